"""The pictures of an evaluation. None shows a picture of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.evaluate.metrics import BINS, SHARE
from edge.types import CLASSES
from train.report import save_figure

Models = Mapping[str, Mapping[str, Any]]
"""Model → what `figures.judge` gives."""


def draw(folder: Path, models: Models) -> dict[str, str]:
    """Write all pictures into `folder`; what each shows → its file's name."""
    return {
        "Accuracy and macro-F1, with 95 % intervals": _overview(folder, models),
        "F1 of each expression": _per_class(folder, models),
        "What is mistaken for what": _confusion(folder, models),
        "Is it as sure as it is right?": _reliability(folder, models),
        "If it answers only where it is sure": _risk(folder, models),
        "By the size of the face": _sizes(folder, models),
    }


def parts(models: Models) -> list[str]:
    """The sources, or "all" where they are too many to be shown side by side."""
    sources = list(next(iter(models.values()))["sources"])
    return sources if len(sources) <= 4 else ["all"]


def part(figures: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The figures of a source, or of all."""
    found: Mapping[str, Any] = figures["sources"].get(name) or figures["all"]
    return found


def _colour(models: Models, name: str) -> str:
    return f"C{list(models).index(name)}"


def _grid(rows: int, columns: int, width: float, height: float) -> tuple[plt.Figure, Any]:
    return plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False, layout="constrained"
    )


def _bars(axes: Any, x: Any, entries: list[Mapping[str, Any]], **style: Any) -> None:
    """Points with intervals; what has no value is left out, what has no interval is a point."""
    for at, entry in zip(x, entries, strict=True):
        if entry["value"] is None:
            continue
        ends = [entry["value"] if entry[key] is None else entry[key] for key in ("low", "high")]
        axes.plot([at, at], ends, color=style["color"], lw=2, alpha=0.7)
        axes.plot([at], [entry["value"]], "o", **style)
        style.pop("label", None)


def _overview(folder: Path, models: Models) -> str:
    names = parts(models)
    figure, grid = _grid(1, 2, 4.6, 3.2)
    for axes, key in zip(grid[0], ("accuracy", "macro_f1"), strict=True):
        for k, (model, figures) in enumerate(models.items()):
            x = np.arange(len(names)) + (k - (len(models) - 1) / 2) * 0.18
            entries = [part(figures, name)["figures"][key] for name in names]
            _bars(axes, x, entries, color=_colour(models, model), label=model)
        axes.set_xticks(range(len(names)), names)
        axes.set(title=key.replace("_f1", "-F1"), xlim=(-0.6, len(names) - 0.4))
        axes.grid(axis="y", alpha=0.3)
    grid[0][0].legend(fontsize=8)
    return save_figure(folder, "overview.png", figure)


def _per_class(folder: Path, models: Models) -> str:
    names = parts(models)
    figure, grid = _grid(len(names), 1, 8.5, 2.9)
    for axes, name in zip(grid[:, 0], names, strict=True):
        for k, (model, figures) in enumerate(models.items()):
            found = part(figures, name)
            x = np.arange(len(CLASSES)) + (k - (len(models) - 1) / 2) * 0.2
            entries = [found["figures"][f"f1/{label}"] for label in CLASSES]
            _bars(axes, x, entries, color=_colour(models, model), label=model)
        counts = np.sum(found["confusion"], axis=1)
        axes.set_xticks(
            range(len(CLASSES)), [f"{c}\n{n:,}" for c, n in zip(CLASSES, counts, strict=True)]
        )
        axes.set(ylim=(0, 1), ylabel="F1", title=f"{name}: F1 (and pictures)")
        axes.grid(axis="y", alpha=0.3)
    grid[0, 0].legend(fontsize=8, ncols=3)
    return save_figure(folder, "per_class.png", figure)


def _confusion(folder: Path, models: Models) -> str:
    names = parts(models)
    figure, grid = _grid(len(names), len(models), 4.3, 3.9)
    for row, name in zip(grid, names, strict=True):
        for axes, (model, figures) in zip(row, models.items(), strict=True):
            counts = np.array(part(figures, name)["confusion"], float)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for i, j in np.ndindex(*shares.shape):
                colour = "white" if shares[i, j] > 0.5 else "black"
                axes.text(
                    j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center", color=colour,
                    fontsize=8,
                )  # fmt: skip
            axes.set_xticks(range(len(CLASSES) + 1), [*CLASSES, "no mesh"], rotation=40, ha="right")
            first = axes is row[0]
            axes.set_yticks(range(len(CLASSES)) if first else [], CLASSES if first else [])
            axes.tick_params(labelsize=8)
            axes.set_title(f"{name}, {model}: % of each label", fontsize=9)
    return save_figure(folder, "confusion.png", figure)


def _reliability(folder: Path, models: Models) -> str:
    names = parts(models)
    figure, grid = _grid(len(names), len(models), 3.4, 3.4)
    for row, name in zip(grid, names, strict=True):
        for axes, (model, figures) in zip(row, models.items(), strict=True):
            found = part(figures, name)
            bins = {key: np.array(values, float) for key, values in found["reliability"].items()}
            left, width = np.arange(BINS) / BINS, 1 / BINS
            axes.bar(
                left, bins["weight"] / max(bins["weight"].sum(), 1), width, align="edge",
                color="#ddd", label="share of pictures",
            )  # fmt: skip
            axes.plot([0, 1], [0, 1], color="grey", lw=1, ls="--")
            kept = bins["weight"] >= 5
            axes.plot(
                bins["confidence"][kept], bins["accuracy"][kept], "o-",
                color=_colour(models, model), label="accuracy",
            )  # fmt: skip
            axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence")
            axes.set_title(f"{name}, {model}: ECE {_text(found['figures']['ece'])}", fontsize=9)
            axes.legend(fontsize=7, loc="upper left")
    return save_figure(folder, "reliability.png", figure)


def _risk(folder: Path, models: Models) -> str:
    names = parts(models)
    figure, grid = _grid(1, len(names), 4.6, 3.4)
    for axes, name in zip(grid[0], names, strict=True):
        for model, figures in models.items():
            found = part(figures, name)
            curve, at = found["risk_coverage"], found["figures"]["accuracy_at_70"]
            colour = _colour(models, model)
            axes.plot(curve["coverage"], curve["risk"], color=colour, label=model)
            if at["low"] is not None:
                axes.plot([SHARE, SHARE], [1 - at["high"], 1 - at["low"]], color=colour, alpha=0.5)
        axes.axvline(SHARE, color="grey", lw=0.8, ls=":")
        axes.set(
            xlim=(0, 1), ylim=(0, None), xlabel="share answered, most confident first",
            ylabel="share of these that is wrong", title=name,
        )  # fmt: skip
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return save_figure(folder, "risk_coverage.png", figure)


def _sizes(folder: Path, models: Models) -> str:
    names = list(next(iter(models.values()))["face sizes"])
    figure, grid = _grid(1, 1, 8.5, 3.2)
    axes = grid[0][0]
    for k, (model, figures) in enumerate(models.items()):
        entries = [
            figures["face sizes"].get(name, {}).get("figures", {}).get("accuracy", _NOTHING)
            for name in names
        ]
        x = np.arange(len(names)) + (k - (len(models) - 1) / 2) * 0.15
        _bars(axes, x, entries, color=_colour(models, model), label=model)
    sizes = next(iter(models.values()))["face sizes"]
    axes.set_xticks(range(len(names)), [f"{name}\n{sizes[name]['pictures']:,}" for name in names])
    axes.tick_params(axis="x", labelsize=8)
    axes.set(
        ylim=(0, 1), ylabel="accuracy", xlabel="longer side of the mesh, pixels (and pictures)"
    )
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8)
    return save_figure(folder, "face_size.png", figure)


def differences(
    folder: Path, pairs: Sequence[Mapping[str, Any]], figures: Mapping[str, str]
) -> str:
    """B less A of each pair, for each source; to the right of the line B's figure is higher."""
    names = {**figures, **{f"f1/{label}": f"F1, {label}" for label in CLASSES}}
    figure, grid = _grid(1, len(pairs), 5.2, 0.33 * len(names) + 1)
    for axes, pair in zip(grid[0], pairs, strict=True):
        for k, (source, part) in enumerate(pair["parts"].items()):
            y = np.arange(len(names)) + (k - (len(pair["parts"]) - 1) / 2) * 0.22
            for at, key in zip(y, names, strict=True):
                entry = part["figures"][key]
                if entry["value"] is not None:
                    ends = [entry["value"] if entry[e] is None else entry[e] for e in _ENDS]
                    axes.plot(ends, [at, at], color=f"C{k}", lw=2, alpha=0.7)
                    label = source if at == y[0] else None
                    axes.plot([entry["value"]], [at], "o", color=f"C{k}", ms=4, label=label)
        axes.axvline(0, color="black", lw=0.8)
        axes.set_yticks(range(len(names)), list(names.values()), fontsize=8)
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
        axes.set_title(f"{pair['b']} less {pair['a']}", fontsize=10)
        axes.legend(fontsize=8)
    return save_figure(folder, "differences.png", figure)


_ENDS = ("low", "high")
_NOTHING = {"value": None, "low": None, "high": None}


def _text(entry: Mapping[str, Any]) -> str:
    return "–" if entry["value"] is None else f"{entry['value']:.3f}"
