"""The training report: one HTML page with pictures, and the same figures as JSON."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from edge.types import CLASSES
from train import kept

Curves = Mapping[str, Sequence[float]]
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .25rem .75rem;
       text-align: right; border-bottom: 1px solid #ddd } td:first-child, th:first-child
       { text-align: left } img { max-width: 100% } li { margin: .2rem 0 }
"""


def write(folder: Path, report: Mapping[str, Any], curves: Mapping[str, Curves]) -> Path:
    """Write `report.json`, the pictures and `index.html` into `folder`; the page's path.

    `report`: see `train.__main__`. `curves`: of each model, see `train.fitted.Fitted`.
    Models that an earlier training of the same meshes and splits made stay in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain = json.loads(json.dumps({**report, "curves": curves}))  # as it is when read again
    report = _with_earlier(folder / "report.json", plain)
    kept.write(folder / "report.json", report)
    pictures = []
    for name, model in report["models"].items():
        pictures.append(_confusion(folder, name, model))
        pictures.append(_per_class(folder, name, model))
    for name, of in report["curves"].items():
        if "explained variance" in of:
            pictures.append(_variance(folder, name, of["explained variance"]))
        elif of:
            pictures.append(_learning(folder, name, of))
    pictures.append(_coverage(folder, report["coverage"]))
    page = folder / "index.html"
    page.write_text(_page(report, pictures), encoding="utf-8")
    return page


def _with_earlier(path: Path, report: dict[str, Any]) -> dict[str, Any]:
    """The report, and what `path` tells of other models of the same data."""
    old = kept.read(path)
    parts = ("models", "curves")
    if not old.keys() >= set(parts):  # none, or another version's
        return report
    if any(old.get(key) != report[key] for key in ("dataset", "meshes")):
        return report
    return {**old, **report, **{key: {**old[key], **report[key]} for key in parts}}


def save_figure(folder: Path, name: str, figure: plt.Figure) -> str:
    """Write a figure as a picture and forget it; its name."""
    figure.savefig(folder / name, dpi=110, bbox_inches="tight")
    plt.close(figure)
    return name


def _confusion(folder: Path, name: str, model: Mapping[str, Any]) -> str:
    counts = np.array(model["validation"]["confusion"], float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(6.4, 5.6))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(*shares.shape):
        colour = "white" if shares[i, j] > 0.5 else "black"
        axes.text(j, i, f"{shares[i, j]:.0%}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(CLASSES)), CLASSES, rotation=35, ha="right")
    axes.set_yticks(range(len(CLASSES)), CLASSES)
    axes.set(xlabel="predicted", ylabel="labelled", title=f"{name}: confusion on validation")
    return save_figure(folder, f"confusion_{name}.png", figure)


def _per_class(folder: Path, name: str, model: Mapping[str, Any]) -> str:
    rows = model["validation"]["per_class"]
    figure, axes = plt.subplots(figsize=(7.5, 3.2))
    for k, key in enumerate(("precision", "recall", "f1")):
        position = np.arange(len(CLASSES)) + (k - 1) * 0.27
        axes.bar(position, [rows[label][key] for label in CLASSES], 0.25, label=key)
    axes.set_xticks(range(len(CLASSES)), [f"{c}\n({rows[c]['pictures']})" for c in CLASSES])
    axes.set(ylim=(0, 1), title=f"{name}: per class on validation")
    axes.legend(ncols=3, fontsize=8)
    return save_figure(folder, f"per_class_{name}.png", figure)


def _variance(folder: Path, name: str, variance: Sequence[float]) -> str:
    figure, axes = plt.subplots(figsize=(7.5, 3))
    axes.plot(np.arange(1, len(variance) + 1), np.cumsum(variance))
    axes.set(xlabel="PCA components", ylabel="explained variance", title=f"{name}: PCA")
    axes.grid(alpha=0.3)
    return save_figure(folder, f"explained_variance_{name}.png", figure)


def _learning(folder: Path, name: str, curves: Curves) -> str:
    figure, both = plt.subplots(1, 2, figsize=(9, 3.2))
    for axes, what in zip(both, ("accuracy", "loss"), strict=True):
        for key, label in ((what, "training, views drawn anew"), (f"val_{what}", "validation")):
            axes.plot(np.arange(1, len(curves[key]) + 1), curves[key], label=label)
        axes.set(xlabel="epoch", title=f"{name}: {what}")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return save_figure(folder, f"learning_{name}.png", figure)


def _coverage(folder: Path, coverage: Mapping[str, Any]) -> str:
    figure, axes = plt.subplots(figsize=(7.5, 3))
    names = (*CLASSES, "all")
    for k, (source, rows) in enumerate(coverage.items()):
        shares = [rows[name]["believed"] or 0 for name in names]
        width = 0.8 / len(coverage)
        axes.bar(np.arange(len(names)) + k * width, shares, width * 0.92, label=source)
    axes.set_xticks(np.arange(len(names)) + 0.4 - 0.4 / len(coverage), names)
    axes.set(ylim=(0, 1.15), title="pictures with a mesh of presence ≥ 0.5")
    axes.legend(fontsize=8, loc="upper left", ncols=len(coverage))
    return save_figure(folder, "coverage.png", figure)


def _page(report: Mapping[str, Any], pictures: list[str]) -> str:
    rows = []
    for name, model in report["models"].items():
        for where, figures in {"all": model["validation"], **model["sources"]}.items():
            if figures["pictures"]:
                rows.append(
                    f"<tr><td>{html.escape(name)}</td><td>{html.escape(where)}</td>"
                    f"<td>{figures['pictures']}</td><td>{figures['accuracy']:.3f}</td>"
                    f"<td>{figures['macro_f1']:.3f}</td></tr>"
                )
    for source, models in report.get("left_out", {}).items():
        for name, figures in models.items():
            rows.append(
                f"<tr><td>{html.escape(name)}, trained without it</td>"
                f"<td>{html.escape(source)}, every picture</td><td>{figures['pictures']}</td>"
                f"<td>{figures['accuracy']:.3f}</td><td>{figures['macro_f1']:.3f}</td></tr>"
            )
    told = "".join(f"<li>{html.escape(line)}</li>" for line in report["notes"])
    images = "".join(f'<p><img src="{name}" alt="{name[:-4]}"></p>' for name in pictures)
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Training report</title>
<style>{STYLE}</style><h1>Training report</h1>
<p>Validation: FER-2013's PublicTest, and a share of the groups of every other source. No picture
of it, and none like it, was trained on.</p>
<table><tr><th>model</th><th>source</th><th>pictures</th><th>accuracy</th><th>macro-F1</th></tr>
{"".join(rows)}</table>{images}<h2>The pictures</h2><ul>{told}</ul></html>
"""
