"""The weights with which the probabilities of SVM and graph network are combined.

Log loss hardly says which weight is best: its curve is flat, and what is right most often lies a
little farther along. So of the weights whose log loss is not provably above the least, the one with
the most right answers is taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.calibration import scaled, sharpness
from convert.trained import Trained
from edge.errors import SetupError

Array = NDArray[Any]
_PROVABLY = 1.96
"""Standard errors by which a log loss is above another in 19 of 20 validation sets."""
_TINY = 1e-12


def combine(
    trained: dict[str, Trained],
    answers: dict[str, np.ndarray],
    mirrored: dict[str, np.ndarray],
    group: Array,
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """The manifest's entry: weights of the best answers on validation; and the answers (V, 7) of
    the two together, to the pictures and to their mirror images.

    `answers`, `mirrored`: the device's (V, 7) of each. `group`: (V,) number of the picture's group,
    copies or one person. Only sources that were trained on are looked at.
    Raises SetupError where the two were not judged on the same pictures.
    """
    (one, other), names = trained.values(), list(trained)
    if any(one.description[key] != other.description[key] for key in ("dataset", "meshes")):
        raise SetupError(
            f"{one.path} and {other.path} were trained on different data: train both again"
        )
    pair = np.stack([answers[name] for name in names], axis=1)
    judged = one.judged
    weight, factor = fit(pair[judged], one.label[judged], group[judged])
    other = np.stack([mirrored[name] for name in names], axis=1)
    entry = {
        "kind": "both",
        "weights": {names[0]: weight, names[1]: round(1 - weight, 3)},
        "temperature": round(1 / factor, 4),
    }
    return entry, mix(pair, weight, factor), mix(other, weight, factor)


def fit(pair: Array, label: Array, group: Array) -> tuple[float, float]:
    """Weight of the first of `pair` (N, 2, 7), and the factor for `scaled` of the mean."""
    steps = np.linspace(0, 1, 41)
    mixed = [mix(pair, weight) for weight in steps]
    rows = np.arange(len(label))
    losses = np.stack([-np.log(np.maximum(one[rows, label], _TINY)) for one in mixed])
    more = losses - losses[losses.mean(axis=1).argmin()]
    # A group's pictures have their errors in common.
    errors = np.array([np.sqrt((np.bincount(group, one) ** 2).sum()) / len(one) for one in more])
    right = np.array([(one.argmax(axis=1) == label).mean() for one in mixed])
    right[more.mean(axis=1) > _PROVABLY * errors] = -1
    weight = round(float(steps[int(right.argmax())]), 3)
    return weight, sharpness(mix(pair, weight), label)


def mix(pair: Array, weight: float, factor: float = 1.0) -> Array:
    """(N, 2, 7) → (N, 7): as `edge.classify` does it."""
    return scaled(pair[:, 0] * weight + pair[:, 1] * (1 - weight), factor)
