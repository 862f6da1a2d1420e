"""The weights with which the probabilities of SVM and graph network are combined."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from convert.calibration import scaled, sharpness
from convert.trained import Trained
from edge.errors import SetupError
from edge.types import CLASSES

Array = NDArray[Any]


def combine(
    trained: dict[str, Trained], answers: dict[str, np.ndarray], mirrored: dict[str, np.ndarray]
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """The manifest's entry: weights of likeliest answers on validation; and the answers (V, 7) of
    the two together, to the pictures and to their mirror images.

    `answers`, `mirrored`: the device's (V, 7) of each. Only sources that were trained on are
    looked at.
    Raises SetupError where the two were not judged on the same pictures.
    """
    (one, other), names = trained.values(), list(trained)
    if any(one.description[key] != other.description[key] for key in ("dataset", "meshes")):
        raise SetupError(
            f"{one.path} and {other.path} were trained on different data: train both again"
        )
    pair = np.stack([answers[name] for name in names], axis=1)
    weight, factor = fit(pair[one.judged], one.label[one.judged])
    other = np.stack([mirrored[name] for name in names], axis=1)
    entry = {
        "kind": "both",
        "weights": {names[0]: weight, names[1]: round(1 - weight, 3)},
        "temperature": round(1 / factor, 4),
    }
    return entry, mix(pair, weight, factor), mix(other, weight, factor)


def fit(pair: Array, label: Array) -> tuple[float, float]:
    """Weight of the first of `pair` (N, 2, 7), and the factor for `scaled` of the mean."""
    steps = np.linspace(0, 1, 41)
    losses = [log_loss(label, mix(pair, w), labels=range(len(CLASSES))) for w in steps]
    weight = round(float(steps[int(np.argmin(losses))]), 3)
    return weight, sharpness(mix(pair, weight), label)


def mix(pair: Array, weight: float, factor: float = 1.0) -> Array:
    """(N, 2, 7) → (N, 7): as `edge.classify` does it."""
    return scaled(pair[:, 0] * weight + pair[:, 1] * (1 - weight), factor)
