"""Whether two results differ by more than their noise: `make benchmark-compare A=… B=…`.

Each figure has a value a round; rounds of A against rounds of B go through an exact Mann-Whitney
rank test. Figures of a kind are judged together (Benjamini & Hochberg, 1995), and the kinds share
the 5 % that anything is called different by chance. That sees the noise within a run. Between two
runs the machine differs, too: its neighbours, its heat. So beside each part of a run yardsticks are
timed, work that never changes: in the caches, in memory, out of cold caches. Whatever the machine
did to the program is taken to lie between what it did to the yardsticks and nothing, and only what
is outside of that counts, by 5 % of the median at least. The exit status is 1 where something got
worse, and 2 where that cannot be told: too few rounds, figures that B lacks, a run that failed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, comb, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import UNITS
from benchmarks.stages import WHOLE
from edge.arguments import number

CHANCE = 0.05
"""Probability that in two results that are the same anything is called different."""
KINDS = ("time", "stage", "start", "rss", "pss", "cpu")
"""Of figures that are judged; `time` are whole frames."""
LEAST = 0.05
"""Smallest difference of the medians, as a share, that is told."""


@dataclass(frozen=True)
class Difference:
    """One figure of both results. Less is better in all of them."""

    name: str
    before: float
    """Median of A's rounds."""
    after: float
    """That of B's."""
    p: float
    """Probability of ranks like these without a difference but the machine's."""
    verdict: str
    """"same", "worse" or "better"."""

    @property
    def ratio(self) -> float:
        """Of B to A."""
        return self.after / self.before if self.before else float("inf")


def rank_test(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of the Mann-Whitney test, exact; ties count for there being no difference."""
    n, m = len(a), len(b)
    above, ties = sum(y > x for x in a for y in b), sum(y == x for x in a for y in b)
    above = min(max(n * m / 2, above), above + ties)
    least = ceil(min(above, n * m - above))
    # How many of all orders give each value: the coefficients of a Gaussian binomial.
    ways = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for u in range(n * m, m + i - 1, -1):
            ways[u] -= ways[u - m - i]
        for u in range(i, n * m + 1):
            ways[u] += ways[u - i]
    return min(1.0, 2 * sum(ways[: least + 1]) / comb(n + m, n))


def different(p: Sequence[float], chance: float) -> list[bool]:
    """Benjamini-Hochberg: which of these p-values still count when they are so many."""
    order = np.argsort(p, kind="stable")
    passed = [rank for rank, i in enumerate(order, 1) if p[i] <= chance * rank / len(p)]
    found = [False] * len(p)
    for i in order[: max(passed, default=0)]:
        found[i] = True
    return found


def kind(name: str) -> str:
    """Of the figure `name`: those of one kind are judged together."""
    first = name.split("/")[0]
    return "stage" if first == "time" and WHOLE not in name else first


def tellable(a: int, b: int) -> bool:
    """Whether so many rounds of A and of B can tell anything."""
    return 2 / comb(a + b, a) <= CHANCE / len(KINDS)


def compare(a: dict[str, Any], b: dict[str, Any], least: float = LEAST) -> list[Difference]:
    """Every figure of both results, in A's order."""
    before, after = a["figures"], b["figures"]
    names = [name for name in before if name in after and _judged(name)]
    found, machine = [], slower(a, b)
    for name in names:
        one = Difference(name, _median(before, name), _median(after, name), 1.0, "same")
        low, high = machine.get(name.split("/")[0], (1.0, 1.0))  # memory has no yardstick
        scale = min(max(one.ratio, low), high)
        rest = one.ratio / scale
        one = replace(one, p=rank_test(before[name], [value / scale for value in after[name]]))
        if abs(rest - 1) >= least:
            one = replace(one, verdict="worse" if rest > 1 else "better")
        found.append(one)
    sure: set[str] = set()
    for judged in KINDS:
        family = [one for one in found if kind(one.name) == judged]
        told = different([one.p for one in family], CHANCE / len(KINDS))
        sure |= {one.name for one, counts in zip(family, told, strict=True) if counts}
    return [one if one.name in sure else replace(one, verdict="same") for one in found]


def slower(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """For each part, between what and what the machine took times as long in B; 1 is within."""
    found: dict[str, tuple[float, float]] = {}
    for name in a["figures"].keys() & b["figures"].keys():
        if name.startswith("yardstick/"):
            part = name.split("/")[1]
            ratio = _median(b["figures"], name) / _median(a["figures"], name)
            low, high = found.get(part, (1.0, 1.0))
            found[part] = min(low, ratio), max(high, ratio)
    return found


def _judged(name: str) -> bool:
    return name.split("/")[0] in UNITS.keys() - {"yardstick", "steady"} and name[-4:] != "/p99"


def _median(figures: dict[str, Any], name: str) -> float:
    return float(np.median(figures[name]))


def load(path: Path) -> dict[str, Any]:
    """A result's JSON. Raises ValueError with one line."""
    try:
        result = json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    if not isinstance(result, dict) or result.get("kind") != "benchmark":
        raise ValueError(f"{path}: not a benchmark's result")
    figures = result.get("figures")
    if not (isinstance(result.get("about"), dict) and isinstance(figures, dict)):
        raise ValueError(f"{path}: not whole: 'about' or 'figures' is missing")
    for name, rounds in figures.items():
        if not (isinstance(rounds, list) and rounds and all(map(_number, rounds))):
            raise ValueError(f"{path}: {name}: not a list of numbers")
    return result


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print it; 1 where something got worse, 2 where that cannot be told."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("a", type=Path, help="the JSON of a result: before")
    parser.add_argument("b", type=Path, help="of another: after")
    parser.add_argument("--all", action="store_true", help="stages that do not differ, too")
    parser.add_argument(
        "--least", type=number(float, 0), default=LEAST, help="share (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    if options.a.resolve() == options.b.resolve():
        print(f"benchmark-compare: A and B are the same: {options.a}", file=sys.stderr)
        return 2
    try:
        a, b = load(options.a), load(options.b)
    except ValueError as error:
        parser.error(str(error))
    for key in ("machine", "cores", "governor", "python", "ai-edge-litert", "target"):
        one, other = (result["about"].get(key, "none") for result in (a, b))
        if one != other:
            print(f"{key}: {one} and {other}")
    for part, (low, high) in sorted(slower(a, b).items()):
        print(f"{part}: the machine itself took {low:.3f} to {high:.3f} × as long")
    found = compare(a, b, options.least)
    for one in found:
        if options.all or kind(one.name) != "stage" or one.verdict != "same":
            unit = UNITS[one.name.split("/")[0]]
            values = f"{one.ratio:6.3f} ×  {one.before:8.3f} → {one.after:8.3f} {unit:4}"
            print(f"{one.verdict:6}  {values}  {one.name}  (p {one.p:.2g})")
    worse = [one for one in found if one.verdict == "worse"]
    better = sum(one.verdict == "better" for one in found)
    same = len(found) - len(worse) - better
    print(f"{len(worse)} worse, {better} better, {same} the same within their noise")
    doubts = _doubts(a, b, [one.name for one in found])
    for doubt in doubts:
        print(f"cannot be told: {doubt}")
    if a["about"].get("machine") != b["about"].get("machine"):
        print("the machines differ: so do the programs' times, whatever the yardsticks say")
    return 1 if worse else 2 if doubts else 0


def _doubts(a: dict[str, Any], b: dict[str, Any], shared: Sequence[str]) -> list[str]:
    """Why nothing that is worse does not mean that nothing is."""
    told = [f"{which} failed: {why}" for which, one in (("A", a), ("B", b)) for why in _failed(one)]
    if not shared:
        return [*told, "A and B have no figure in common"]
    before, after = a["figures"], b["figures"]
    for lacks, one, other in (("B", before, after), ("A", after, before)):
        missing = sorted(name for name in one.keys() - other.keys() if _judged(name))
        if missing:
            told.append(f"{lacks} lacks {len(missing)} figures, such as {missing[0]}")
    few = [name for name in shared if not tellable(len(before[name]), len(after[name]))]
    if few:
        rounds = f"{len(before[few[0]])} and {len(after[few[0]])}"
        told.append(
            f"{len(few)} figures have too few rounds, such as {few[0]} ({rounds}): measure longer "
            "(--seconds, --starts, --windows)"
        )
    return told


def _failed(result: dict[str, Any]) -> list[str]:
    return [str(why) for why in result.get("failures") or []]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # `| head` has seen enough
        os._exit(0)
