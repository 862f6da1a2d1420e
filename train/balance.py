"""What one picture weighs, so that no source and no class drowns the others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.types import CLASSES

Array = NDArray[Any]


def weights(label: Array, source: Array, balance: float) -> Array:
    """(N,) of `label` and `source`, each (N,): (the class's share of its own source)^-balance.

    In units of an even share: 1 for a class that has a seventh of its source. 0 weighs all classes
    alike; 1 gives each class of a source the same sum. So what is common in one source decides
    less how often it is read in another. A source that is smaller than the largest weighs less, in
    proportion: a picture of one with a third of the pictures, a third.
    """
    weight = np.empty(len(label))
    names, sizes = np.unique(source, return_counts=True)
    for name, size in zip(names, sizes, strict=True):
        rows = source == name
        counts = np.bincount(label[rows], minlength=len(CLASSES))
        even = size / (len(CLASSES) * counts[label[rows]])
        weight[rows] = even**balance * size / sizes.max()
    return weight
