"""What was found, as tables and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.report import table
from benchmarks.robustness.conditions import CLEAN, CONDITIONS, FOLLOWED, SHRINK, TURN, Condition
from benchmarks.robustness.judge import Figures

Key = tuple[str, str, float, str]
"""Source, condition, level, system."""
OURS = ("svm", "gnn", "both")
SYSTEMS = (*OURS, "pixels", "pixels, level", "fer")
GOAL = 0.02
"""Of accuracy, that may be lost at the levels of a condition's `reach`."""
_FULL = 0.4
"""Loss that has the darkest colour."""
HOW = f"""\
Pictures are validation pictures; no system of ours was trained on them, nor on any like them.
Crops are FER-2013's, read by the path for crops. Photographs lie on a 640×480 frame of their mean
colour and go through the detector, each frame for itself; where it says "followed" the face turns
by {TURN:g}° a frame, or shrinks to {SHRINK:g}, and the tracker follows. `svm`, `gnn`, `both`:
`edge.Recognizer` as on the device. `pixels`: a residual network of 0.4 million parameters on 48×48
grey pixels, trained by us on both sources' training pictures; it sees a crop as it is, of a
photograph the upright square around the mesh that our mesher found; `pixels, level`: the same
square turned until the eyes are level. `fer`: the package of that name, 25.10.3, as it comes, with
its own face detector; a crop is handed to it as one face. FER-2013 trained it too, and nobody says
on which part of it.

Accuracy counts every picture: without a face the reading is wrong. It is that of the likeliest
expression, whether or not the label is `unknown`. A loss is against the same pictures clean, and
followed where the others are, in points, with its 95 % interval (bootstrap of whole persons or
copies)."""


def summary(found: Mapping[Key, Figures], sources: Mapping[str, str], faces: str) -> list[str]:
    """The report without machine and tables of every cell. `sources`: name → kind."""
    lines = [HOW, "", faces, "", "## Clean pictures", ""]
    rows = []
    for source, kind in sources.items():
        for clean, how in ((CLEAN, kind), (FOLLOWED, f"{kind}, followed")):
            for system in _systems(found, source):
                if (key := (source, clean.name, 0.0, system)) in found:
                    f = found[key]
                    shares = map(_percent, (f.accuracy, f.coverage, f.unknown, f.told))
                    rows.append([source, how, system, str(f.pictures), *shares])
    head = ["source", "as", "system", "pictures", "accuracy", "a face", "unknown", "told, right"]
    lines += [*table(head, rows), "", "## The goal: at most 2 points lost", ""]
    lines += reached(found, sources)
    for source in sources:
        lines += ["", f"## {source}: what is lost, points", ""]
        lines += losses(found, source)
    return lines


def reached(found: Mapping[Key, Figures], sources: Mapping[str, str]) -> list[str]:
    """Whether ±30°, ×0.5 to ×2, and ±40 % of brightness cost no more than the goal."""
    rows = []
    for source, kind in sources.items():
        for condition in CONDITIONS:
            for level in condition.reach if kind in condition.kinds else ():
                row = [source, f"{condition.name} {condition.tell(level)}"]
                for system in OURS:
                    f = found[source, condition.name, level, system]
                    row.append(f"{_interval(f)} {verdict(f)}")
                rows.append(row)
    return table(["source", "change", *OURS], rows)


def verdict(figures: Figures) -> str:
    """In a word or two."""
    if figures.high <= GOAL:
        return "held"
    if figures.drop <= GOAL:
        return "held, not proven"
    return "broken" if figures.low > GOAL else "broken, not proven"


def losses(found: Mapping[Key, Figures], source: str) -> list[str]:
    """At the middle and at the worst severity of each condition."""
    systems = _systems(found, source)
    rows = []
    for condition in _of(found, source):
        for level in (condition.levels[2], condition.levels[4]):
            row = [condition.name, condition.tell(level)]
            row += [
                _interval(found[key])
                if (key := (source, condition.name, level, s)) in found
                else "–"
                for s in systems
            ]
            rows.append(row)
    return table(["change", "severity", *systems], rows)


def every(found: Mapping[Key, Figures], source: str) -> list[str]:
    """A table for each thing that was measured, with all five severities."""
    lines = []
    for title, field, systems in (
        ("accuracy", "accuracy", SYSTEMS),
        ("points lost", "drop", SYSTEMS),
        ("pictures with a face", "coverage", ("svm", "fer")),
        ("read as unknown", "unknown", OURS),
        ("the same expression as of the clean picture", "agreement", SYSTEMS),
    ):
        shown = [system for system in systems if system in _systems(found, source)]
        rows = []
        for condition in _of(found, source):
            row = [f"{condition.name}, {condition.unit.format(_levels(condition))}"]
            for system in shown:
                values = [
                    getattr(found[key], field) if key in found else None
                    for level in condition.levels
                    for key in [(source, condition.name, level, system)]
                ]
                row.append(" ".join("–" if v is None else f"{100 * v:.0f}" for v in values))
            rows.append(row)
        lines += ["", f"### {source}: {title}, %", "", *table(["change", *shown], rows)]
    return lines


def picture(found: Mapping[Key, Figures], source: str, path: Path) -> None:
    """A panel a system: what each severity of each condition costs."""
    systems, conditions = _systems(found, source), _of(found, source)
    width = 1.75 + 1.12 * len(systems)
    figure, panels = plt.subplots(
        1, len(systems), figsize=(width, 0.19 * len(conditions) + 0.75), sharey=True, squeeze=False
    )
    for axes, system in zip(panels[0], systems, strict=True):
        lost = np.full((len(conditions), 5), np.nan)
        for y, condition in enumerate(conditions):
            for x, level in enumerate(condition.levels):
                if (key := (source, condition.name, level, system)) in found:
                    lost[y, x] = found[key].drop
        axes.imshow(lost, cmap="Blues", vmin=0, vmax=_FULL, aspect="auto")
        for (y, x), value in np.ndenumerate(lost):
            if not np.isnan(value):
                colour = "white" if value > _FULL * 0.5 else "black"
                axes.text(
                    x, y, f"{100 * value:.0f}", ha="center", va="center", fontsize=6.5, color=colour
                )
        clean = found[source, CLEAN.name, 0.0, system].accuracy
        axes.set_title(f"{system}\n{100 * clean:.0f} % clean", fontsize=7.5)
        axes.set_xticks([])
        families = [condition.family for condition in conditions]
        for y in range(1, len(families)):
            if families[y] != families[y - 1]:
                axes.axhline(y - 0.5, color="black", lw=0.6)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    told = [f"{c.name}  {c.unit.format(_levels(c))}" for c in conditions]
    panels[0][0].set_yticks(range(len(conditions)), told, fontsize=6.5)
    figure.subplots_adjust(left=1.85 / width, right=0.995, top=0.9, bottom=0.05, wspace=0.04)
    figure.text(
        0.995,
        0.012,
        f"{source}: points of accuracy lost, five severities from left to right",
        ha="right",
        fontsize=7,
    )
    figure.savefig(path, dpi=200)
    plt.close(figure)


def _levels(condition: Condition) -> str:
    return f"{condition.levels[0]:g}…{condition.levels[-1]:g}"


def _systems(found: Mapping[Key, Figures], source: str) -> list[str]:
    return [system for system in SYSTEMS if (source, CLEAN.name, 0.0, system) in found]


def _of(found: Mapping[Key, Figures], source: str) -> Sequence[Condition]:
    return [c for c in CONDITIONS if (source, c.name, c.levels[0], OURS[0]) in found]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _interval(figures: Figures) -> str:
    low, high = 100 * figures.low, 100 * figures.high
    return f"{100 * figures.drop:.1f} ({low:.1f} to {high:.1f})"
