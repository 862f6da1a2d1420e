"""How well confidences agree with the shares of right labels, told honestly.

Temperatures are fitted on the validation pictures, so what they come to there flatters. The crossed
figure is of pictures whose groups had no part in the fit (but for `both`'s weights: one number).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.model_selection import GroupKFold

from train.fitted import temperature

Array = NDArray[Any]
Fit = Callable[[Array], Callable[[Array], Array]]
"""Rows to fit on → a function from rows to their probabilities."""
BINS = 15
FOLDS = 5
SELECTED = 0.7
"""Share of the pictures, the surest, whose accuracy is told."""
_TINY = 1e-12


def scaled(probabilities: Array, factor: float) -> Array:
    """Probabilities (N, 7) to the power `factor`, the inverse of a temperature; sum 1."""
    return softmax(np.log(np.maximum(probabilities, _TINY)) * factor, axis=1)


def sharpness(probabilities: Array, label: Array) -> float:
    """The factor for `scaled` of least log loss."""
    return temperature(np.log(np.maximum(probabilities, _TINY)), label)


def expected_error(probabilities: Array, label: Array) -> float:
    """Expected calibration error of the likeliest class, in 15 bins of equal width."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == label
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gap = np.bincount(place, confidence - right, BINS)
    return float(np.abs(gap).sum() / len(label))


def figures(probabilities: Array, label: Array, source: Array, judged: Array) -> dict[str, Any]:
    """Calibration error, and accuracy of the surest 70 %, of each source and of those trained on.

    `probabilities` (V, 7), `label`, `source` and `judged` (V,).
    """

    def of(rows: Array) -> dict[str, float]:
        p, truth = probabilities[rows], label[rows]
        surest = np.argsort(-p.max(axis=1), kind="stable")[: max(round(SELECTED * len(p)), 1)]
        right = p.argmax(axis=1) == truth
        return {
            "ece": round(expected_error(p, truth), 4),
            "accuracy_of_surest_70": round(float(right[surest].mean()), 4),
        }

    found = {str(name): of(source == name) for name in np.unique(source)}
    return {**found, "trained on": of(judged)}


def crossed(fit: Fit, group: Array, judged: Array) -> Array:
    """(V, 7) probabilities of each picture, fitted on judged ones of other groups only."""
    out: Array = np.zeros((len(group), 0))
    for learnt, asked in _folds(group):
        answers = fit(learnt[judged[learnt]])(asked)
        if not out.shape[1]:
            out = np.zeros((len(group), answers.shape[1]))
        out[asked] = answers
    return out


def _folds(group: Array) -> Iterator[tuple[Array, Array]]:
    folds = min(FOLDS, len(np.unique(group)))
    yield from GroupKFold(folds).split(group, groups=group)
