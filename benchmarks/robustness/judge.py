"""How much worse a system reads changed pictures than clean ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.robustness.read import LABELS, Said
from edge.types import UNKNOWN

Array = NDArray[Any]
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one system in one cell. Shares of all pictures, unless said."""

    pictures: int
    coverage: float
    """With a face that was found and believed in."""
    accuracy: float
    """Whose likeliest expression is the right one; without a face it is not."""
    drop: float
    """Of accuracy, against the same pictures clean; positive is worse."""
    low: float
    """Where the drop's 95 % interval begins: bootstrap, paired, by group."""
    high: float
    unknown: float
    """Read as `unknown`."""
    told: float | None
    """Accuracy of the others."""
    agreement: float
    """Whose likeliest expression is that of the clean picture, of those with a face there."""


def judge(truth: Array, said: Said, clean: Said, group: Array, seed: int = 0) -> Figures:
    """The first rows of `clean`, `truth` and `group` are those of `said`."""
    count = len(said.best)
    truth, group, before = truth[:count], group[:count], clean.best[:count]
    right = (said.best == truth).astype(float)
    lost = (before == truth) - right
    low, high = interval(lost, group, seed)
    known = said.label != LABELS.index(UNKNOWN)
    had = before >= 0
    return Figures(
        pictures=count,
        coverage=float(said.face.mean()),
        accuracy=float(right.mean()),
        drop=float(lost.mean()),
        low=low,
        high=high,
        unknown=float(1 - known.mean()),
        told=float((said.label == truth)[known].mean()) if known.any() else None,
        agreement=float((said.best == before)[had].mean()) if had.any() else float("nan"),
    )


def interval(values: Array, group: Array, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of `values` (N,) when whole groups are drawn anew."""
    names, index = np.unique(group, return_inverse=True)
    sums = np.bincount(index, values, len(names))
    sizes = np.bincount(index, minlength=len(names))
    drawn = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), RESAMPLES
    )
    low, high = np.percentile((drawn @ sums) / (drawn @ sizes), [2.5, 97.5])
    return float(low), float(high)
