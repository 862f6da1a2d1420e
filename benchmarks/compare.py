"""Whether two results differ by more than their noise: `make benchmark-compare A=… B=…`.

Each figure has a value a round; rounds of A against rounds of B go through an exact Mann-Whitney
rank test, with Holm's correction for the number of figures (5 % that any of them is called
different by chance). That sees the noise within a run. Between two runs the machine differs, too:
its neighbours, its heat. So beside each part of a run yardsticks are timed, work that never
changes: in the caches, in memory, out of cold caches. Whatever the machine did to the program is
taken to lie between what it did to the yardsticks and nothing, and only what is outside of that
counts, by 5 % of the median at least. The exit status is 1 where something got worse.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import ceil, comb
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import UNITS

CHANCE = 0.05
"""Probability that in two results that are the same anything is called different."""
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


def different(p: Sequence[float], chance: float = CHANCE) -> list[bool]:
    """Holm: which of these p-values still count when they are so many."""
    order = np.argsort(p, kind="stable")
    passed = [p[i] <= chance / (len(p) - rank) for rank, i in enumerate(order)]
    kept = list(accumulate(passed, lambda one, other: one and other))
    found = [False] * len(p)
    for i, keep in zip(order, kept, strict=True):
        found[i] = bool(keep)
    return found


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
    sure = different([one.p for one in found])
    return [
        one if counts else replace(one, verdict="same")
        for one, counts in zip(found, sure, strict=True)
    ]


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
        if result["kind"] == "benchmark":
            return dict(result)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    raise ValueError(f"{path}: not a benchmark's result")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print it; 1 where something got worse, 2 where there is nothing to compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("a", type=Path, help="the JSON of a result: before")
    parser.add_argument("b", type=Path, help="of another: after")
    parser.add_argument("--all", action="store_true", help="stages that do not differ, too")
    parser.add_argument("--least", type=float, default=LEAST, help="share (default: %(default)s)")
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
        stage = one.name.startswith("time/") and "/end to end/" not in one.name
        if options.all or not stage or one.verdict != "same":
            unit = UNITS[one.name.split("/")[0]]
            values = f"{one.ratio:6.3f} ×  {one.before:8.3f} → {one.after:8.3f} {unit:4}"
            print(f"{one.verdict:6}  {values}  {one.name}  (p {one.p:.2g})")
    missing = sorted(name for name in a["figures"].keys() ^ b["figures"].keys() if _judged(name))
    if missing:
        print(f"in one result only: {len(missing)} figures, such as {missing[0]}")
    worse = [one for one in found if one.verdict == "worse"]
    better = sum(one.verdict == "better" for one in found)
    same = len(found) - len(worse) - better
    print(f"{len(worse)} worse, {better} better, {same} the same within their noise")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
