"""A result as tables, on the terminal and in Markdown, and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.figures import Figures
from benchmarks.heat import Heat, summary
from benchmarks.stages import STAGES, WHOLE

SCENES = ("tracked", "detected", "empty", "still")
_ORDER = {"svm": 0, "gnn": 1, "both": 2}
_COLOURS = dict(
    zip(
        STAGES,
        (
            *("#9aa5b1", "#ced4da", "#e07a5f", "#f2cc8f", "#3d5a80"),
            *("#81b29a", "#6d597a", "#b56576", "#e9c46a"),
        ),
        strict=True,
    )
)
HOW = (
    "Each figure is the median over rounds, ± half the distance of the rounds' quartiles; a "
    "percentile is taken within a round. Tracked: the face was in the frame before. Detected: it "
    "has to be searched. Empty: there is none. Still: nothing but the sensor's noise changes, and "
    "one frame in eight is read, which its p95 tells. In the picture the number is the frame's "
    "median, and the bar those of its stages, which need not add up to it. Capture is that of a "
    "640×480 clip without compression, not a camera's, and publish one of JSON lines. Cold starts "
    "are of a new process whose files were read before, load is of one process for each rate. The "
    "program is the daemon, RSS is its peak, PSS depends on who else has the same libraries open."
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns line up."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        for row in (head, ["-" * width for width in widths], *rows)
    ]
    return [f"| {' | '.join(line)} |" for line in lines]


def configurations(figures: Figures) -> list[tuple[str, str]]:
    """Model and threads, in the order of both."""
    found = {(name.split("/")[1], name.split("/")[2]) for name in figures.select("time")}
    return sorted(found, key=lambda key: (_ORDER.get(key[0], 9), key[0], int(key[1])))


def end_to_end(figures: Figures) -> list[str]:
    """Whole frames of all configurations."""
    rows = []
    for model, threads in configurations(figures):
        for scene in SCENES:
            name = f"time/{model}/{threads}/{scene}/{WHOLE}"
            if figures.median(f"{name}/p50") is not None:
                rows.append([model, threads, scene, *_percentiles(figures, name)])
    return table(["model", "threads", "frame", "p50, ms", "p95, ms", "p99, ms"], rows)


def stages(figures: Figures, model: str, threads: str) -> list[str]:
    """All stages of one configuration."""
    rows = []
    for stage in (*STAGES, WHOLE):
        row = [stage]
        for scene in SCENES:
            values = [
                figures.median(f"time/{model}/{threads}/{scene}/{stage}/p{q}") for q in (50, 95, 99)
            ]
            row.append(" / ".join("–" if v is None else f"{v:.2f}" for v in values))
        rows.append(row)
    return table(["p50 / p95 / p99, ms", *SCENES], rows)


def program(figures: Figures) -> list[str]:
    """Cold start, memory, load."""
    models = [name.split("/")[1] for name in figures.select("start")]
    rates = sorted({float(name.split("/")[2]) for name in figures.select("cpu")})
    rows = []
    for model in models:
        row = [
            _with_noise(figures, f"start/{model}", "s"),
            _with_noise(figures, f"rss/{model}", "MB"),
        ]
        row.append(_with_noise(figures, f"pss/{model}", "MB"))
        for rate in rates:
            row.append(_with_noise(figures, f"cpu/{model}/{rate:g}", "", 100) + " %")
        rows.append([model, *row])
    head = ["model", "cold start", "RSS", "PSS", *(f"CPU at {rate:g}/s" for rate in rates)]
    return table(head, rows)


def lines(
    figures: Figures, about: dict[str, str], moments: list[Heat], *, whole: bool, picture: str = ""
) -> list[str]:
    """The report. `whole`: stages of all configurations, and the machine."""
    told = ["## Whole frames", "", *end_to_end(figures)]
    if picture:
        told += ["", f"![Stages of a frame, milliseconds]({picture})"]
    for model, threads in configurations(figures):
        if whole or threads == "1":
            told += ["", f"## Stages: {model}, {threads} thread{'s' * (threads != '1')}", ""]
            told += stages(figures, model, threads)
    told += ["", "## The program", "", *program(figures)]
    counts = [
        f"{what} {max(len(figures.rounds[name]) for name in figures.select(part))}"
        for part, what in (("time", "frames"), ("start", "starts"), ("cpu", "load"))
        if figures.select(part)
    ]
    told += ["", f"{HOW} Rounds: {', '.join(counts)}."]
    told += ["", "## Heat", "", *(f"- {line}" for line in summary(moments))]
    if figures.notes:
        told += ["", "## Notes", "", *(f"- {note}" for note in figures.notes)]
    told += ["", "## What failed", ""]
    told += [f"- **{failure}**" for failure in figures.failures] or ["Nothing."]
    if whole:
        told += ["", "## Machine", "", *table(["what", "is"], [[k, v] for k, v in about.items()])]
    return told


def picture(figures: Figures) -> str:
    """Stacked bars of the stages' medians, as SVG."""
    bars = [
        (f"{model}, {threads} thr., {scene}", f"time/{model}/{threads}/{scene}")
        for model, threads in configurations(figures)
        for scene in SCENES
        if figures.select("time", model, threads, scene)
    ]
    parts = {
        name: [(stage, figures.median(f"{name}/{stage}/p50") or 0.0) for stage in STAGES]
        for _, name in bars
    }
    longest = max((sum(ms for _, ms in some) for some in parts.values()), default=0.0)
    scale, height = 560 / (longest or 1.0), 22
    drawn = []
    for i, stage in enumerate(STAGES):
        drawn.append(
            f'<rect x="{10 + 88 * i}" y="8" width="12" height="12" fill="{_COLOURS[stage]}"/>'
        )
        drawn.append(f'<text x="{26 + 88 * i}" y="18">{stage}</text>')
    for row, (label, name) in enumerate(bars):
        y, x = 34 + row * height, 170.0
        drawn.append(f'<text x="10" y="{y + 13}">{escape(label)}</text>')
        for stage, ms in parts[name]:
            drawn.append(
                f'<rect x="{x:.1f}" y="{y}" width="{ms * scale:.1f}" height="16" '
                f'fill="{_COLOURS[stage]}"/>'
            )
            x += ms * scale
        whole = figures.median(f"{name}/{WHOLE}/p50") or 0.0
        drawn.append(f'<text x="{x + 4:.1f}" y="{y + 13}">{whole:.2f} ms</text>')
    below = 44 + len(bars) * height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="810" height="{below}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        + "".join(drawn)
        + "</svg>\n"
    )


def _percentiles(figures: Figures, name: str) -> list[str]:
    return [_with_noise(figures, f"{name}/p{q}", "") for q in (50, 95, 99)]


def _with_noise(figures: Figures, name: str, unit: str, factor: float = 1.0) -> str:
    value = figures.median(name)
    if value is None:
        return "–"
    digits = 1 if unit == "MB" or factor != 1 else 2
    return (
        f"{value * factor:.{digits}f} ± {figures.spread(name) * factor:.{digits}f} {unit}".strip()
    )
