"""What every recipe gives, and the file in which `convert` finds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import log_loss

from edge import arrays
from edge.errors import SetupError
from edge.features import FEATURES
from edge.types import CLASSES
from train.prepare import Data

Array = NDArray[Any]
_ALL = list(range(len(CLASSES)))


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained classifier, reduced to arrays."""

    feature: str
    """Name in `edge.features.FEATURES`."""
    arrays: Mapping[str, Array]
    """What it is made of, as its module in `edge.classify` documents it."""
    probabilities: Array
    """(V, 7) of the validation set, by the library that trained it."""
    predicted: Array
    """(V,) labels that the library's own `predict` gives the validation set."""
    figures: Mapping[str, Any]
    """Numbers for the report."""
    curves: Mapping[str, list[float]] = field(default_factory=dict)
    """For the report's pictures: "explained variance" of each component, or a figure by epoch."""


def features(name: str, landmarks: Array) -> Array:
    """(N, 468, 3) → (N, d), by the code that runs on the device.

    float64, so that training computes in it: its answers are what float32 is judged by.
    """
    compute = FEATURES[name].compute
    return np.stack([compute(mesh) for mesh in landmarks]).astype(np.float64)


def temperature(decision: Array, label: Array) -> float:
    """The factor by which decisions (V, 7) become the likeliest logits. It moves no label."""

    def loss(log_scale: float) -> float:
        return float(log_loss(label, softmax(decision * np.exp(log_scale), axis=1), labels=_ALL))

    found = minimize_scalar(loss, bounds=(-4, 6), method="bounded").x
    return float(np.float32(np.exp(found)))  # as the device holds it


def store(path: Path, **some: Array) -> None:
    """Replace the .npz file `path`, or leave it as it was where the disk is full."""
    arrays.save(path, some, compressed=True)


def save(path: Path, fitted: Fitted, data: Data, about: Mapping[str, Any]) -> None:
    """What `convert` needs: arrays, and the library's answers on validation. No pickle."""
    name = path.stem
    description = {
        "recipe": name,
        "feature": fitted.feature,
        "classes": list(CLASSES),
        "dataset": about["dataset"],
        "meshes": about["meshes"],
        "training": {k: v for k, v in about["models"][name].items() if k != "seconds"},
    }
    try:
        store(
            path,
            description=np.array(json.dumps(description, sort_keys=True)),
            validation_landmarks=data.validation_landmarks,
            validation_label=data.validation_label,
            validation_source=data.validation_source,
            validation_probabilities=fitted.probabilities,
            **{f"array_{key}": value for key, value in fitted.arrays.items()},
        )
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror or error}") from None
