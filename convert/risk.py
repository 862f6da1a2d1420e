"""How sure a model has to be for a chosen risk: thresholds with a guarantee.

Selective classification by Learn then Test (Angelopoulos, Bates, Candès, Jordan & Lei, 2021,
fixed-sequence testing): from the confidence that a tenth of the validation pictures reach (more,
where fewer could prove nothing), downwards, each threshold is tested by the exact binomial tail
(Clopper & Pearson, 1934) whether its risk may still be above the allowed one, at the 5 % level; the
first that is not rejected ends the sequence. So, but for one validation set in twenty, no threshold
that is given has a larger risk than it says, among faces like those of the validation set. The
order is fixed by confidences alone, never by labels. The temperature was fitted on the same
pictures; with one or two numbers it cannot have learnt their labels.

A group (copies, or pictures of one person) counts once, by one of its pictures, drawn beforehand:
members of a group are wrong together, and would count as more evidence than they are.
"""

from __future__ import annotations

from math import ceil, log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

Array = NDArray[Any]
RISKS = (0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05)
"""Shares of wrong labels, of which those that the model can keep are offered."""
LEVEL = 0.05
"""Share of validation sets for which a threshold may be too low."""
_SHARES = np.linspace(0.1, 1, 91)
"""Of the pictures, which the thresholds that are tested let through, in this order."""


def table(confidence: Array, wrong: Array, group: Array) -> list[dict[str, float]]:
    """Rows of risk, least confidence, and its coverage and observed risk on all pictures.

    `confidence` (V,), `wrong` (V,) bool, `group` (V,) of the plausible validation meshes.
    """
    drawn = one_of_each(group)
    found = []
    for risk in RISKS:
        least = threshold(confidence[drawn], wrong[drawn], risk)
        if least is None:
            continue
        told = confidence >= least
        found.append(
            {
                "risk": risk,
                "confidence": least,
                "coverage": round(float(told.mean()), 4),
                "observed": round(float(wrong[told].mean()), 4),
            }
        )
    return found


def threshold(confidence: Array, wrong: Array, risk: float) -> float | None:
    """The lowest confidence that keeps `risk`; None where not even the highest tested does.

    `confidence` and `wrong` (N,) of independent pictures.
    """
    order = np.argsort(-confidence, kind="stable")
    mistakes = np.cumsum(wrong[order])
    fewest = ceil(log(LEVEL) / log(1 - risk))  # so many without a mistake are just enough
    counts = np.unique((_SHARES * len(order)).astype(int))
    best = None
    for count in counts[counts >= fewest].tolist():
        if binom.cdf(mistakes[count - 1], count, risk) > LEVEL:
            break
        best = 0.0 if count == len(order) else float(confidence[order[count - 1]])
    return None if best is None else float(np.ceil(best * 1e4) / 1e4)


def one_of_each(group: Array, seed: int = 0) -> Array:
    """Indices of one member, drawn by chance, of each group."""
    order = np.random.default_rng(seed).permutation(len(group))
    _, first = np.unique(group[order], return_index=True)
    chosen: Array = np.sort(order[first])
    return chosen
