"""The weights with which the probabilities of SVM and graph network are combined."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import log_loss

from convert.trained import Trained, short
from edge.errors import SetupError
from edge.types import CLASSES
from train.evaluate import by_source


def combine(trained: dict[str, Trained], answers: dict[str, np.ndarray]) -> dict[str, Any]:
    """The manifest's entry: weights of likeliest answers on validation, and their metrics.

    `answers`: the device's (V, 7) of each. Only sources that were trained on are looked at.
    Raises SetupError where the two were not judged on the same pictures.
    """
    (one, other), names = trained.values(), list(trained)
    if any(one.description[key] != other.description[key] for key in ("dataset", "meshes")):
        raise SetupError(
            f"{one.path} and {other.path} were trained on different data: train both again"
        )
    judged, label = one.judged, one.label
    steps = np.linspace(0, 1, 41)
    mixed = [answers[names[0]] * w + answers[names[1]] * (1 - w) for w in steps]
    losses = [log_loss(label[judged], m[judged], labels=range(len(CLASSES))) for m in mixed]
    best = int(np.argmin(losses))
    weight = round(float(steps[best]), 3)
    metrics = by_source(label, mixed[best].argmax(axis=1), one.source)
    return {
        "kind": "both",
        "weights": {names[0]: weight, names[1]: round(1 - weight, 3)},
        "metrics": short(metrics),
    }
