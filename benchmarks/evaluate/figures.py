"""Readings → figures with intervals: plain numbers for JSON, tables and pictures."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluate import metrics
from benchmarks.evaluate.readings import Readings
from edge import Recognizer
from edge.cameras.opencv import read_file
from edge.smooth import Smoother

Array = NDArray[Any]
SIZES = (24, 32, 40, 48, 64, 96, 128, 192)
"""Edges, pixels, between the classes of face size."""
_POINTS = np.linspace(0.01, 1, 100)
"""Coverages at which a risk–coverage curve is told."""


def judge(readings: Readings, samples: int) -> dict[str, Any]:
    """All figures of one model: of all pictures, of each source and of each size of face."""
    sources = {str(name): readings.source == name for name in np.unique(readings.source)}
    return {
        "all": one(readings, samples),
        "sources": {name: one(readings.take(rows), samples) for name, rows in sources.items()},
        "face sizes": {
            name: one(readings.take(rows), samples, brief=True)
            for name, rows in by_size(readings.face).items()
            if rows.any()
        },
    }


def one(readings: Readings, samples: int, *, brief: bool = False) -> dict[str, Any]:
    """Figures of some pictures. `brief` leaves out matrices and curves."""
    score = metrics.scorer(readings.truth, readings.probabilities, readings.told)
    found: dict[str, Any] = {
        "pictures": len(readings.id),
        "groups": len(np.unique(readings.group)),
        "trained the bundle": int(readings.seen.sum()),
        "unknown": dict(sorted(Counter(readings.reason[~readings.told].tolist()).items())),
        "figures": metrics.with_intervals(score, readings.group, samples=samples),
    }
    if brief:
        return found
    answer = metrics.predicted(readings.probabilities)
    sure, right = metrics.confidence(readings.probabilities), answer == readings.truth
    mesh = answer < len(metrics.CLASSES)
    coverage, risk = metrics.risk_coverage(sure, right)
    accuracies = [metrics.accuracy_at(float(share), coverage, risk) for share in _POINTS]
    return found | {
        "confusion": metrics.confusion(readings.truth, answer).astype(int).tolist(),
        "reliability": {
            name: [None if np.isnan(value) else float(value) for value in values]
            for name, values in metrics.reliability(sure[mesh], right[mesh]).items()
        },
        "risk_coverage": {
            "coverage": [round(float(share), 2) for share in _POINTS],
            "risk": [1 - accuracy for accuracy in accuracies],
        },
    }


def by_size(face: Array) -> dict[str, Array]:
    """Names of size classes, in pixels, with the pictures (N,) in each."""
    edges = (0, *SIZES, np.inf)
    place = np.where(face > 0, np.digitize(face, edges), 0)
    names = ["no mesh", f"under {SIZES[0]}"]
    names += [f"{low} to {high}" for low, high in pairwise(SIZES)]
    names += [f"{SIZES[-1]} and more"]
    return {name: place == i for i, name in enumerate(names)}


def flips(clip: Path, bundle: Path, model: str) -> dict[str, Any]:
    """How often the label changes on a clip: of single frames, and smoothed as `run` does it.

    Raises SourceError where the clip cannot be read.
    """
    recognise, smooth = Recognizer(bundle, model), Smoother()
    raw, steady, first, last = [], [], 0.0, 0.0
    for frame in read_file(clip):
        reading = recognise(frame.image)
        raw.append(reading.label)
        steady.append(smooth(frame, reading).label)
        first, last = (frame.time_s if len(raw) == 1 else first), frame.time_s
    minutes = (last - first) / 60
    found: dict[str, Any] = {
        "clip": clip.name,
        "frames": len(raw),
        "seconds": round(60 * minutes, 2),
    }
    for name, labels in (("single frames", raw), ("smoothed", steady)):
        changes = sum(a != b for a, b in pairwise(labels))
        found[name] = {
            "changes": changes,
            "per_minute": round(changes / minutes, 2) if minutes else None,
        }
    return found
