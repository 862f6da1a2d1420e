"""The result of a comparison: table, goals, picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Figures
from benchmarks.heat import Heat, summary
from benchmarks.peers.listing import OURS, PEERS, Peer
from benchmarks.peers.measure import DAEMON
from benchmarks.report import table

HOW = (
    "640×480 RGB frames in memory, the same for all, one process at a time on one core with one "
    "thread each. In every round each plays the same frames, in an order by chance. Milliseconds "
    "are medians over rounds of a round's p50 (p95) by the clock, and of its p50 in CPU time of "
    "all threads, which others' work on the machine disturbs less; “× ours” is the median "
    f"of each round's own ratio to {next(peer.title for peer in PEERS if peer.name == OURS)}. "
    "Tracked: the face was in the frame before; fer looks for it in every frame. Cold start: from "
    "starting Python to the first reading, files read before. RSS: its peak. On disk: installed "
    "packages, for ours with program and models, without Python itself."
)
GOALS = (
    ("a frame to its label, of FaceMesh's time to a mesh alone", "time", OURS, "facemesh", 0.7),
    ("the same in CPU time", "work", OURS, "facemesh", 0.7),
    ("our daemon's peak RSS, of the precursor's way", "rss", DAEMON, "precursor", 1 / 4),
    ("our daemon's cold start, of the precursor's way", "start", DAEMON, "precursor", 1 / 5),
)
"""What, part of a figure's name, ours, theirs, the share that ours may take."""
_HEAD = (
    "peer",
    "gives",
    "tracked, ms",
    "× ours",
    "CPU, ms",
    "× ours",
    "no face, ms",
    "face found",
    "cold start, s",
    "RSS, MB",
    "PSS, MB",
    "on disk, MB",
)
_PANELS = (
    ("time", "tracked frame, ms", "time/{}/tracked/p50"),
    ("start", "cold start, s", "start/{}"),
    ("rss", "peak RSS, MB", "rss/{}"),
    ("disk", "on disk, MB", "disk/{}"),
)


def rows(figures: Figures, peers: Sequence[Peer]) -> list[list[str]]:
    """A row for each that was measured, and one for our daemon."""
    found = []
    for peer in peers:
        name = peer.name
        if figures.select("time", name) or figures.select("start", name):
            row = [peer.title, peer.gives, _time(figures, name, "tracked")]
            row += [_number(figures.median(f"ratio/{name}/tracked/time"), 2)]
            row += [_number(figures.median(f"work/{name}/tracked"), 2)]
            row += [_number(figures.median(f"ratio/{name}/tracked/work"), 2)]
            row += [_time(figures, name, "empty"), _percent(figures, f"faces/{name}/tracked")]
            found.append(row + _program(figures, name))
    if figures.select("start", DAEMON):
        row = ["ours, the daemon with svm", "labels, sent", *["–"] * 6]
        found.append(row + _program(figures, DAEMON))
    return found


def goals(figures: Figures) -> list[str]:
    """Whether each is held, where both sides were measured."""
    told = []
    for what, part, ours, theirs, goal in GOALS:
        share = _share(figures, part, ours, theirs)
        if share is not None:
            verdict = "held" if share <= goal else "**missed**"
            told.append(f"{what}: {share:.2f}, at most {goal:.2f}: {verdict}")
    return told


def lines(
    figures: Figures,
    peers: Sequence[Peer],
    about: Mapping[str, str],
    moments: Sequence[Heat],
    *,
    picture: str = "",
) -> list[str]:
    """The report; with its picture and the machine in a file."""
    told = table(_HEAD, rows(figures, peers))
    if picture:
        told += ["", f"![Peers beside each other]({picture})"]
    rounds = {part: len(figures.rounds[next(iter(names))]) for part, names in _parts(figures)}
    counted = ", ".join(f"{part} {count}" for part, count in rounds.items())
    told += ["", f"{HOW} Rounds: {counted}."]
    if kept := goals(figures):
        told += ["", "## Goals", "", *(f"- {line}" for line in kept)]
    if picture:
        told += ["", "## Heat", "", *(f"- {line}" for line in summary(moments))]
    if figures.notes:
        told += ["", "## Notes", "", *(f"- {note}" for note in figures.notes)]
    told += ["", "## What failed", ""]
    told += [f"- **{failure}**" for failure in figures.failures] or ["Nothing."]
    if picture:
        told += ["", "## Machine", "", *table(["what", "is"], [[k, v] for k, v in about.items()])]
    return told


def draw(figures: Figures, peers: Sequence[Peer], path: Path) -> None:
    """Bars of time, cold start, memory and disk."""
    from matplotlib.figure import Figure

    shown = [peer for peer in peers if figures.select("time", peer.name)]
    picture = Figure(figsize=(13, 1.2 + 0.42 * len(shown)), layout="constrained")
    panels = picture.subplots(1, len(_PANELS), sharey=True)
    for panel, (_, title, name) in zip(panels, _PANELS, strict=True):
        values = [figures.median(name.format(peer.name)) or 0.0 for peer in shown]
        colours = ["#3d5a80" if peer.environment == "ours" else "#e07a5f" for peer in shown]
        bars = panel.barh([peer.title for peer in shown], values, color=colours)
        panel.bar_label(bars, [_number(value or None, None) for value in values], padding=3)
        panel.set_title(title)
        panel.set_xlim(0, 1.3 * max([*values, 1e-9]))
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(axis="x", labelbottom=False, which="both", length=0)
    panels[0].invert_yaxis()
    picture.savefig(path, dpi=110)


def _parts(figures: Figures) -> list[tuple[str, list[str]]]:
    parts = (("frames", "time"), ("starts", "start"))
    return [(title, found) for title, part in parts if (found := figures.select(part))]


def _share(figures: Figures, part: str, ours: str, theirs: str) -> float | None:
    if part in ("time", "work"):  # round by round, since the machine changes between them
        ratio = figures.median(f"ratio/{theirs}/tracked/{part}")
        return None if ratio is None else 1 / ratio
    a, b = figures.median(f"{part}/{ours}"), figures.median(f"{part}/{theirs}")
    return a / b if a is not None and b else None


def _time(figures: Figures, name: str, scene: str) -> str:
    p50, p95 = (figures.median(f"time/{name}/{scene}/p{q}") for q in (50, 95))
    return "–" if p50 is None or p95 is None else f"{p50:.2f} ({p95:.2f})"


def _program(figures: Figures, name: str) -> list[str]:
    digits = {"start": 2, "rss": 0, "pss": 0, "disk": 0}
    return [_number(figures.median(f"{part}/{name}"), n) for part, n in digits.items()]


def _percent(figures: Figures, name: str) -> str:
    value = figures.median(name)
    return "–" if value is None else f"{100 * value:.0f} %"


def _number(value: float | None, digits: int | None) -> str:
    if value is None:
        return "–"
    if digits is None:  # three that count
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"
