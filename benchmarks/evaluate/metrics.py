"""Figures of merit as pure functions of arrays; numpy alone.

N pictures have a `truth` (N,), an index into CLASSES, and `probabilities` (N, 7): a row of NaN
where there was no mesh, which counts as a wrong answer and as the least confident one. `weight`
(N,) says how often each picture counts: the bootstrap draws groups of pictures that way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.types import CLASSES

Array = NDArray[Any]
Score = Callable[[Array], dict[str, float]]
"""Weights (N,) → figures by name."""
BINS = 15
"""Of confidence, all as wide: for the expected calibration error."""
SHARE = 0.7
"""Of the pictures, the most confident: how well are these read?"""
SAMPLES = 1000
"""Draws of a bootstrap."""
FEW = 10
"""Groups below which an interval would say more than is known."""
_K = len(CLASSES)
_LEAST = float(np.finfo(np.float32).eps)


def predicted(probabilities: Array) -> Array:
    """(N,) the likeliest class of each row; 7, one beyond the last, where there was no mesh."""
    none = np.isnan(probabilities[:, 0])
    return np.where(none, _K, np.where(none[:, None], 0, probabilities).argmax(axis=1))


def confidence(probabilities: Array) -> Array:
    """(N,) the largest probability of each row; 0 where there was no mesh."""
    none = np.isnan(probabilities[:, 0])
    return np.where(none[:, None], 0, probabilities).max(axis=1)


def confusion(truth: Array, answer: Array, weight: Array | None = None) -> Array:
    """(7, 8) counts: the truth in its rows, answers in its columns, the last is no answer."""
    cells = np.bincount(truth * (_K + 1) + answer, weight, minlength=_K * (_K + 1))
    return cells.reshape(_K, _K + 1)


def per_class(counts: Array) -> dict[str, Array]:
    """Precision, recall and F1 (7,) of a confusion matrix; 0 where they have no denominator."""
    hits, asked, told = counts[:, :_K].diagonal(), counts.sum(axis=1), counts[:, :_K].sum(axis=0)
    return {
        "precision": _ratio(hits, told),
        "recall": _ratio(hits, asked),
        "f1": _ratio(2 * hits, asked + told),
    }


def of_confusion(counts: Array) -> dict[str, float]:
    """Accuracy, and balanced accuracy and macro-F1 over the classes that occur."""
    rows, occur = per_class(counts), counts.sum(axis=1) > 0
    return {
        "accuracy": float(_ratio(counts[:, :_K].trace(), counts.sum())),
        "balanced_accuracy": _mean(rows["recall"][occur]),
        "macro_f1": _mean(rows["f1"][occur]),
    }


def reliability(sure: Array, right: Array, weight: Array | None = None) -> dict[str, Array]:
    """Weight, mean confidence and accuracy (15,) of each bin of confidence; NaN in empty ones."""
    # As scikit-learn's calibration_curve: what lies on an edge belongs to the bin below.
    place = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], sure)
    weight = np.ones(len(sure)) if weight is None else weight
    total, confident, hits = (
        np.bincount(place, weight * value, minlength=BINS) for value in (1.0, sure, right)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"weight": total, "confidence": confident / total, "accuracy": hits / total}


def calibration_error(sure: Array, right: Array, weight: Array | None = None) -> float:
    """Expected calibration error: the mean distance of confidence and accuracy over the bins."""
    bins = reliability(sure, right, weight)
    gaps = np.nan_to_num(np.abs(bins["confidence"] - bins["accuracy"]))
    return float(_ratio(gaps @ bins["weight"], bins["weight"].sum()))


def brier(truth: Array, probabilities: Array) -> Array:
    """(N,) squared distance of the probabilities from the truth, 0 to 2; NaN without a mesh."""
    return np.square(probabilities - np.eye(_K)[truth]).sum(axis=1)


def log_loss(truth: Array, probabilities: Array) -> Array:
    """(N,) -ln of the truth's probability, float32's least one at least; NaN without a mesh."""
    return -np.log(np.clip(probabilities[np.arange(len(truth)), truth], _LEAST, 1))


def risk_coverage(sure: Array, right: Array, weight: Array | None = None) -> tuple[Array, Array]:
    """Coverage and risk (K,): answered pictures, most confident first, and the share of mistakes.

    Pictures of one confidence come together: no order among them is better than another.
    """
    return _Ranking(sure, right).curve(np.ones(len(sure)) if weight is None else weight)


def accuracy_at(share: float, coverage: Array, risk: Array) -> float:
    """Accuracy of the `share` most confident pictures of a risk–coverage curve."""
    if not len(coverage):
        return float("nan")
    mistakes = np.interp(share, np.append(0, coverage), np.append(0, risk * coverage))
    return float(1 - mistakes / share)


def scorer(truth: Array, probabilities: Array, told: Array | None = None) -> Score:
    """All figures of N answers as a function of their weights.

    `told` (N,): where the label was one of CLASSES, not `unknown`; by default wherever there is a
    mesh. Accuracy, balanced accuracy, macro-F1, precision, recall and F1 of each class and
    accuracy at 70 % coverage are of every picture; ECE, Brier and NLL of those with a mesh.
    """
    probabilities = np.asarray(probabilities, np.float64)
    answer, sure = predicted(probabilities), confidence(probabilities)
    right, mesh = answer == truth, answer < _K
    told = mesh if told is None else told
    losses = np.nan_to_num(
        np.stack([brier(truth, probabilities), log_loss(truth, probabilities)], axis=1)
    )
    ranking = _Ranking(sure, right)

    def score(weight: Array) -> dict[str, float]:
        counts = confusion(truth, answer, weight)
        total, seen, heard = weight.sum(), weight @ mesh, weight @ told
        coverage, risk = ranking.curve(weight)
        squares, logs = weight @ losses
        found = of_confusion(counts) | {
            "mesh": float(_ratio(seen, total)),
            "told": float(_ratio(heard, total)),
            "accuracy_told": float(weight @ (told & right) / heard) if heard else float("nan"),
            "accuracy_at_70": accuracy_at(SHARE, coverage, risk),
            "area_under_risk": float(_ratio(np.diff(coverage, prepend=0) @ risk, 1.0)),
            "ece": calibration_error(sure[mesh], right[mesh], weight[mesh]),
            "brier": float(squares / seen) if seen else float("nan"),
            "nll": float(logs / seen) if seen else float("nan"),
        }
        rows = per_class(counts)
        for key, values in rows.items():
            found |= {f"{key}/{name}": float(values[i]) for i, name in enumerate(CLASSES)}
        return found

    return score


def bootstrap(
    score: Score, group: Array, *, samples: int = SAMPLES, level: float = 0.95, seed: int = 0
) -> dict[str, tuple[float, float] | None]:
    """Intervals that hold each figure with probability `level`, by percentiles.

    Whole groups (N,) are drawn with replacement: copies, near copies and pictures of one person
    tell one thing, so they come and go together. None where there are fewer than FEW groups.
    """
    names, of = np.unique(group, return_inverse=True)
    if len(names) < FEW:
        return dict.fromkeys(score(np.ones(len(group))))
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for _ in range(samples):
        drawn = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        for name, value in score(drawn[of].astype(np.float64)).items():
            found.setdefault(name, []).append(value)
    tails = [50 * (1 - level), 50 * (1 + level)]
    return {name: _percentiles(values, tails) for name, values in found.items()}


def difference(one: Score, other: Score) -> Score:
    """`other` less `one`, figure by figure: for a paired bootstrap."""

    def score(weight: Array) -> dict[str, float]:
        before, after = one(weight), other(weight)
        return {name: after[name] - value for name, value in before.items()}

    return score


def mcnemar(one: Array, other: Array, group: Array) -> dict[str, float]:
    """McNemar's exact test of two answers to the same pictures, each right (N,) or not.

    A group counts once, for whichever has more right in it. `p` is two-sided: the probability of
    votes as unequal as these if both were as good.
    """
    _, of = np.unique(group, return_inverse=True)
    votes = np.bincount(of, other.astype(float) - one.astype(float))
    first, second = int((votes < 0).sum()), int((votes > 0).sum())
    fewer, votes_cast = min(first, second), first + second
    ways = total = 1  # how many outcomes have k votes for the weaker one, and at most k
    for k in range(fewer):
        ways = ways * (votes_cast - k) // (k + 1)
        total += ways
    # No float holds such sums: the integers are divided.
    return {"one": first, "other": second, "p": min(1.0, 2 * total / 2**votes_cast)}


def holm(p: Sequence[float], chance: float = 0.05) -> list[bool]:
    """Which of these p-values still count when they are so many (Holm, 1979).

    `chance`: probability that any of them counts where nothing differs.
    """
    found = [False] * len(p)
    for rank, i in enumerate(np.argsort(p, kind="stable")):
        if p[i] > chance / (len(p) - rank):
            break
        found[i] = True
    return found


def with_intervals(
    score: Score, group: Array, *, samples: int = SAMPLES
) -> Mapping[str, dict[str, float | None]]:
    """Each figure's value with the ends of its 95 % interval, as plain numbers for JSON."""
    ends = bootstrap(score, group, samples=samples)
    return {
        name: {"value": _plain(value), "low": low, "high": high}
        for name, value in score(np.ones(len(group))).items()
        for low, high in [ends[name] or (None, None)]
    }


class _Ranking:
    """Answers, most confident first, in blocks of one confidence."""

    def __init__(self, sure: Array, right: Array) -> None:
        self._order = np.argsort(-sure, kind="stable")
        ranked = sure[self._order]
        self._ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)])
        self._wrong = ~right[self._order]

    def curve(self, weight: Array) -> tuple[Array, Array]:
        """Coverage and risk (K,) after each block that has any weight."""
        ranked = weight[self._order]
        done = np.cumsum(ranked)[self._ends]
        mistakes = np.cumsum(ranked * self._wrong)[self._ends]
        new = np.diff(done, prepend=0) > 0
        done, mistakes = done[new], mistakes[new]
        return (done / done[-1], mistakes / done) if len(done) else (done, done)


def _ratio(over: Array, under: Array) -> Array:
    return np.divide(over, under, out=np.zeros(np.shape(under)), where=np.asarray(under) > 0)


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _percentiles(values: list[float], tails: list[float]) -> tuple[float, float] | None:
    known = np.array(values)[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.percentile(known, tails)
    return float(low), float(high)


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
