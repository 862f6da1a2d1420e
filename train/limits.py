"""`make limits DATA=…`: what keeps the mesh models from reading more.

Accuracy against the number of training pictures and against the size of the face, a pixel network
on the same split, and the meshes that are mistaken for one another. A page with pictures, and the
figures as JSON, in `build/train/limits`.
"""

from __future__ import annotations

import argparse
import html
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from edge.arguments import number
from edge.bundle import DEFAULT_DIR, MANIFEST, Bundle
from edge.classify import open_classifier
from edge.features import INNER, aligned
from edge.mesh.topology import CONNECTIONS_FILE, tessellation
from edge.types import CLASSES
from train import command, evaluate, gnn, kept, meshes, pixels, spread
from train.prepare import Data
from train.report import STYLE, save_figure
from train.views import SIZES

Array = NDArray[Any]
SHARES = (0.125, 0.25, 0.5, 1.0)
"""Of the training pictures."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the page; the exit status."""
    parser = command.parser("train.limits", __doc__)
    parser.add_argument(
        "--epochs", type=number(int, 1), default=25, help="of the pixel network (default 25)"
    )
    return command.run(parser, arguments, measure)


def measure(data: Data, about: dict[str, Any], options: argparse.Namespace) -> None:
    """All four parts. Each is kept as soon as it is known, and not measured again."""
    folder = options.out / "limits"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "limits.json"
    base = {key: about["dataset"][key] for key in ("fingerprint", "near", "train_on")}
    found = kept.read(path)
    if found.get("dataset") != base:
        found = {"dataset": base}
    # What a part depends on besides.
    of = {
        "size of the face": f"bundle {sha256((DEFAULT_DIR / MANIFEST).read_bytes()).hexdigest()}",
        "training pictures": json.dumps(asdict(gnn.Settings())),
        "pixel network": f"{options.epochs} epochs",
    }
    known = found.setdefault("of", {})
    judged = data.judged
    for name, part in {
        "size of the face": lambda: sizes(data, judged, options),
        "training pictures": lambda: learning(data, judged, options.out),
        "pixel network": lambda: pixel(data, judged, options.epochs),
    }.items():
        if known.get(name) != of[name]:
            print(f"{name} …", flush=True)
            found[name], known[name] = part(), of[name]
            kept.write(path, found)
        print(f"{name}: {found[name]}", flush=True)
    pictures = [
        _curve(folder, "size of the face", "longer side of the picture, pixels", found),
        _curve(folder, "training pictures", "training pictures", found),
        mistaken(data, judged, folder),
    ]
    page = folder / "index.html"
    page.write_text(_page(found, pictures), encoding="utf-8")
    print(f"page: {page}")


def sizes(data: Data, judged: Array, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Accuracy of the shipped models on the same pictures, shrunk."""
    pictures = [p for p, keep in zip(data.validation_pictures, judged, strict=True) if keep]
    label = data.validation_label[judged]
    rows = {"48": data.validation_landmarks[judged]}
    for side in SIZES:
        view = f"{side}px"
        path = options.out / f"meshes-validation-{view}.npz"
        with spread.over(options.jobs, options.dask):
            rows[str(side)] = meshes.extract(pictures, path, view=view).landmarks
    found: dict[str, dict[str, float]] = {}
    for name in ("svm", "gnn", "both"):
        found[name] = {
            side: _share(_predicted(name, landmarks), label) for side, landmarks in rows.items()
        }
    return found


def learning(data: Data, judged: Array, out: Path) -> dict[str, dict[str, float]]:
    """Accuracy of the graph network trained on a part of the pictures."""
    order = np.random.default_rng(0).permutation(len(data.label))
    found = {}
    for share in SHARES:
        rows = order[: int(len(order) * share)]
        part = replace(
            data,
            landmarks=data.landmarks[rows],
            views={name: view[rows] for name, view in data.views.items()},
            label=data.label[rows],
            source=data.source[rows],
        )
        # As many steps for each, so that only the pictures differ.
        settings = replace(
            gnn.Settings(), epochs=round(gnn.Settings().epochs / share), patience=999
        )
        fitted = gnn.fit(part, out / "limits", settings)
        found[str(len(rows))] = _share(fitted.predicted[judged], data.validation_label[judged])
    return {"gnn": found}


def pixel(data: Data, judged: Array, epochs: int) -> dict[str, Any]:
    """What a pixel network of a million parameters gets."""
    predicted = pixels.fit(data, epochs).argmax(axis=1)[judged]
    figures = evaluate.metrics(data.validation_label[judged], predicted)
    return {key: round(figures[key], 4) for key in ("accuracy", "macro_f1")}


def mistaken(data: Data, judged: Array, folder: Path) -> str:
    """Mean meshes of the six commonest mistakes, with those of faces read rightly; the picture.

    Of lips, eyes, brows and nose, their deviations from the mean face three times as large.
    """
    label = data.validation_label[judged]
    shapes = np.stack([aligned(mesh)[:, :2] for mesh in data.validation_landmarks[judged]])
    predicted = _predicted("gnn", data.validation_landmarks[judged])
    counts = np.zeros((len(CLASSES), len(CLASSES)), int)
    np.add.at(counts, (label, predicted), 1)
    off = counts * (1 - np.eye(len(CLASSES), dtype=int))
    edges = tessellation(DEFAULT_DIR / CONNECTIONS_FILE)
    edges = edges[np.isin(edges, INNER).all(axis=1)]
    mean = shapes.mean(axis=0)
    figure, grid = plt.subplots(2, 3, figsize=(10, 7.6))
    for axes, flat in zip(grid.ravel(), np.argsort(-off, axis=None)[:6], strict=True):
        truth, said = np.unravel_index(flat, off.shape)
        for rows, colour, what in (
            ((label == truth) & (predicted == truth), "tab:blue", f"{CLASSES[truth]}, read so"),
            ((label == said) & (predicted == said), "tab:orange", f"{CLASSES[said]}, read so"),
            ((label == truth) & (predicted == said), "black", "mistaken for it"),
        ):
            if not rows.any():
                continue
            lines = (mean + 3 * (shapes[rows].mean(axis=0) - mean))[edges]
            axes.add_collection(LineCollection(list(lines), color=colour, lw=0.8, label=what))
        axes.set_title(f"{CLASSES[truth]} → {CLASSES[said]}: {off[truth, said]} faces", fontsize=9)
        axes.autoscale()
        axes.invert_yaxis()
        axes.set_aspect("equal")
        axes.axis("off")
        axes.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3)
    return save_figure(folder, "mistaken.png", figure)


def _predicted(model: str, landmarks: Array) -> Array:
    """Labels (N,) that a shipped model gives meshes (N, 468, 3)."""
    classifier = open_classifier(Bundle.open(), model)
    answers = [classifier.predict(classifier.features(mesh)).argmax() for mesh in landmarks]
    return np.array(answers)


def _share(predicted: Any, label: Array) -> float:
    return round(float((np.asarray(predicted) == label).mean()), 4)


def _curve(folder: Path, name: str, axis: str, found: dict[str, Any]) -> str:
    figure, axes = plt.subplots(figsize=(6, 3.6))
    for model, points in found[name].items():
        x = [int(key) for key in points]
        axes.plot(x, list(points.values()), marker="o", label=model)
    axes.set(xlabel=axis, ylabel="accuracy on validation", xscale="log")
    axes.set_xticks(x, [f"{value:,}" for value in x])
    axes.axhline(found["pixel network"]["accuracy"], ls="--", color="grey", label="pixel network")
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return save_figure(folder, f"{name.replace(' ', '_')}.png", figure)


def _page(found: dict[str, Any], pictures: list[str]) -> str:
    shown = "".join(f'<p><img src="{name}" alt="{name[:-4]}"></p>' for name in pictures)
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>What limits the mesh models</title>
<style>{STYLE}</style><h1>What limits the mesh models</h1>{shown}
<h2>Figures</h2><pre>{html.escape(json.dumps(found, indent=1))}</pre></html>
"""


if __name__ == "__main__":
    sys.exit(main())
