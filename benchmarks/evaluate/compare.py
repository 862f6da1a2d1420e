"""`make compare A=… B=…`: which of two models or bundles reads better, on the same pictures.

A side is a bundle's folder, a model of the shipped bundle, or a result of `make evaluate` (its
folder, or a file in it); `:MODEL` after a folder names one model, without it all that both have
are compared. Bundles and models need DATA to read. McNemar's exact test for accuracy, corrected by
Holm for the number of tests; paired bootstrap by groups for the intervals of all differences.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported, as in `__main__`

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluate import command, draw, metrics, page
from benchmarks.evaluate.readings import Readings
from benchmarks.evaluate.sides import Side, matched, named, opened
from benchmarks.report import table
from edge.errors import SetupError
from train.command import finish

SHOWN = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "accuracy_at_70": "accuracy, 70 % surest",
    "told": "told",
    "ece": "ECE",
    "brier": "Brier",
    "nll": "NLL",
}
"""Figures in the tables, by their names. Of the last three less is better."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; the exit status."""
    parser = command.parser("benchmarks.evaluate.compare", __doc__)
    parser.add_argument("a", help="bundle, model, or result; :MODEL for one of its models")
    parser.add_argument("b", help="another")
    parser.add_argument("data", nargs="*", type=Path, help="to read with bundles and models")
    parser.add_argument("--model", nargs="+", default=[], help="only these, of both sides")
    return finish(parser, arguments, compare)


def compare(options: argparse.Namespace) -> None:
    """Open both sides, test, write."""
    both = [named(name, options) for name in (options.a, options.b)]
    found = matched(*both)
    one, other = (opened(side, options) for side in both)
    pairs, notes = [], [f"A = {_made(one)}", f"B = {_made(other)}"]
    for before, after in found:
        pair, told = paired(one.readings[before], other.readings[after])
        notes += [line for line in told if line not in notes]
        names = (before, after) if before != after else (f"A's {before}", f"B's {after}")
        pairs.append({"a": names[0], "b": names[1], "parts": parts(*pair, options.samples)})
    verdicts = judge(pairs)
    result = {
        "kind": "comparison",
        "subject": "; ".join(f"{pair['b']} against {pair['a']}" for pair in pairs),
        "verdicts": verdicts,
        "warnings": [f"{s.name}: {line}" for s in (one, other) for line in s.warnings],
        "notes": notes,
        "about": {"a": one.about, "b": other.about, "bootstrap samples": options.samples},
        "pairs": pairs,
    }
    folder = command.new_folder(options.out, "comparison")
    command.write_json(folder / "comparison.json", result)
    pictures = {"B less A, with 95 % intervals": draw.differences(folder, pairs, SHOWN)}
    (folder / "index.html").write_text(_page(result, folder, pictures), encoding="utf-8")
    print("\n".join([*notes, "", *table(HEAD, rows(pairs)), "", *verdicts]))
    for line in result["warnings"]:
        print(f"\nWARNING: {line}")
    print(f"\npage: {folder / 'index.html'}")


def paired(one: Readings, other: Readings) -> tuple[tuple[Readings, Readings], list[str]]:
    """The rows of both for the pictures that both have, in one order; and what to tell."""
    _, at, place = np.intersect1d(one.id, other.id, return_indices=True)
    one_, other_ = one.take(at), other.take(place)
    same = (one_.content == other_.content) & (one_.truth == other_.truth)
    if not same.any():
        raise SetupError("no picture is in both results: evaluate both on the same data")
    both = (one_.take(same), other_.take(same))
    told = []
    if not len(one.id) == len(other.id) == same.sum():
        told.append(f"{same.sum():,} pictures are in both (A {len(one.id):,}, B {len(other.id):,})")
    return both, told


def parts(one: Readings, other: Readings, samples: int) -> dict[str, Any]:
    """All differences, of every source and of all pictures."""
    sources = {str(name): one.source == name for name in np.unique(one.source)}
    if len(sources) > 1:
        sources["all"] = np.full(len(one.id), True)
    return {
        name: differences(one.take(rows), other.take(rows), samples)
        for name, rows in sources.items()
    }


def differences(one: Readings, other: Readings, samples: int) -> dict[str, Any]:
    """`other` less `one` on the same pictures."""
    scores = [metrics.scorer(s.truth, s.probabilities, s.told) for s in (one, other)]
    flat = np.ones(len(one.id))
    values = [score(flat) for score in scores]
    between = metrics.with_intervals(metrics.difference(*scores), one.group, samples=samples)
    right = [metrics.predicted(side.probabilities) == side.truth for side in (one, other)]
    return {
        "pictures": len(one.id),
        "groups": len(np.unique(one.group)),
        "same answer": float(
            np.mean(metrics.predicted(one.probabilities) == metrics.predicted(other.probabilities))
        ),
        "right": [
            [int((right[0] & right[1]).sum()), int((right[0] & ~right[1]).sum())],
            [int((~right[0] & right[1]).sum()), int((~right[0] & ~right[1]).sum())],
        ],
        "mcnemar": metrics.mcnemar(*right, one.group),
        "figures": {
            name: {
                "a": None if np.isnan(values[0][name]) else values[0][name],
                "b": None if np.isnan(values[1][name]) else values[1][name],
                **between[name],
            }
            for name in values[0]
        },
    }


def judge(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each pair and source, in words."""
    tests = [(pair, name, part) for pair in pairs for name, part in pair["parts"].items()]
    sure = metrics.holm([part["mcnemar"]["p"] for _, _, part in tests])
    return [
        _verdict(pair, name, part, told)
        for (pair, name, part), told in zip(tests, sure, strict=True)
    ]


def _verdict(pair: Mapping[str, Any], name: str, part: Mapping[str, Any], sure: bool) -> str:
    accuracy, f1 = part["figures"]["accuracy"], part["figures"]["macro_f1"]
    how = f"accuracy {_points(accuracy)}, p = {part['mcnemar']['p']:.2g}; macro-F1 {_points(f1)}"
    by = "better" if part["mcnemar"]["other"] > part["mcnemar"]["one"] else "worse"
    word = f"{pair['b']} and {pair['a']}: no sure difference in accuracy"
    if sure:
        word = f"{pair['b']} reads {by} than {pair['a']}"
    if not sure and f1["low"] is not None and (f1["low"] > 0 or f1["high"] < 0):
        word += f", but {pair['b']} has the {'higher' if f1['value'] > 0 else 'lower'} macro-F1"
    return f"{name}: {word} ({how})"


def _points(entry: Mapping[str, Any]) -> str:
    value = f"{100 * entry['value']:+.1f} points"
    if entry["low"] is None:
        return value
    return f"{value} ({100 * entry['low']:+.1f} to {100 * entry['high']:+.1f})"


HEAD = ("models", "data", "pictures", "figure", "A", "B", "B less A", "p")


def rows(pairs: Sequence[Mapping[str, Any]], names: Mapping[str, str] = SHOWN) -> list[list[str]]:
    """A row for each pair, source and figure."""
    found = []
    for pair in pairs:
        for name, part in pair["parts"].items():
            for key, title in names.items():
                one = part["figures"][key]
                p = f"{part['mcnemar']['p']:.2g}" if key == "accuracy" else ""
                ends = [page.number(one["a"]), page.number(one["b"]), page.interval(one)]
                what = f"{pair['a']} → {pair['b']}"
                found.append([what, name, f"{part['pictures']:,}", title, *ends, p])
    return found


def _page(result: Mapping[str, Any], folder: Path, pictures: Mapping[str, str]) -> str:
    pairs = result["pairs"]
    body = [f"<p><strong>{page.escape(line)}</strong></p>" for line in result["verdicts"]]
    body += [*page.shown(folder, pictures), page.table(HEAD, rows(pairs))]
    head = ("models", "data", "both right", "only A", "only B", "neither", "same answer", "votes")
    lines = []
    for pair in pairs:
        for name, part in pair["parts"].items():
            (both, a), (b, neither) = part["right"]
            votes = f"{part['mcnemar']['one']} : {part['mcnemar']['other']}"
            counts = [f"{n:,}" for n in (both, a, b, neither)]
            same = f"{100 * part['same answer']:.1f} %"
            lines.append([f"{pair['a']} → {pair['b']}", name, *counts, same, votes])
    body += ["<h2>Who is right where</h2>", page.table(head, lines)]
    body.append(
        "<p class=how>Votes: groups (copies, near copies, one person) in which A, or B, has more "
        "right; McNemar's exact test is of these. Intervals: 95 %, paired bootstrap over the same "
        "groups.</p>"
    )
    return page.page("Comparison", result, body)


def _made(side: Side) -> str:
    about = side.about
    read = ", ".join(f"{name} as {how}" for name, how in about.get("read as", {}).items())
    return f"{side.name}: manifest {about.get('manifest')}, --split {about.get('split')}, {read}"


if __name__ == "__main__":
    sys.exit(main())
