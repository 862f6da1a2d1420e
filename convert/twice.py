"""What a classifier makes of a picture and its mirror image together, as `classify` reads them.

The mean of two answers' logarithms is less sure than it may be: it gets a power of its own, fitted
on validation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from convert.calibration import scaled, sharpness
from edge.classify import MIRRORED

Array = NDArray[Any]


def together(pair: Array, power: float = 1.0) -> Array:
    """(N, 2, 7), of the picture and of its mirror image → (N, 7): as `edge.classify` does it."""
    one, other = scaled(pair[:, 0], 1 - MIRRORED), scaled(pair[:, 1], MIRRORED)
    return scaled(one * other, power)


def fit(pair: Array, label: Array) -> float:
    """The power of least log loss."""
    return round(sharpness(together(pair), label), 4)


def fitting(pair: Array, label: Array) -> Callable[[Array], Callable[[Array], Array]]:
    """`fit` as `convert.calibration.crossed` wants it."""

    def learn(rows: Array) -> Callable[[Array], Array]:
        power = fit(pair[rows], label[rows])
        return lambda asked: together(pair[asked], power)

    return learn
