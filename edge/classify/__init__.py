"""Mesh → probabilities: the classifiers, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bundle import MANIFEST, Bundle
from edge.classify.svm import SupportVectorMachine
from edge.errors import SetupError
from edge.features import FEATURES
from edge.types import CLASSES, LANDMARKS

Vector = NDArray[np.float32]
_TINY = np.float32(1e-12)
MIRRORED = 1 / 3
"""Weight of the mirror image: it is one look of three."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """The two halves of a classifier, apart so that each can be timed."""

    features: Callable[[Vector], Vector]
    """Landmarks (468, 3) → feature vector."""
    predict: Callable[[Vector], Vector]
    """Feature vector → probabilities (7,), in the order of CLASSES."""
    size: int
    """Length of the feature vector."""
    sharpness: float = 1.0
    """Power of the mean of two answers: it is less sure than it may be, since they differ."""

    def together(self, one: Vector, other: Vector) -> Vector:
        """Probabilities (7,) of what was seen twice: `one` of a picture, `other` of its mirror.

        The weighted mean of logarithms (a logarithmic opinion pool: Genest & Zidek, 1986).
        """
        logits = np.log(np.maximum(one, _TINY)) * np.float32(1 - MIRRORED)
        logits += np.log(np.maximum(other, _TINY)) * np.float32(MIRRORED)
        logits *= np.float32(self.sharpness)
        weights = np.exp(logits - logits.max())
        probabilities: Vector = weights / weights.sum()
        return probabilities


def open_classifier(bundle: Bundle, name: str) -> Classifier:
    """Classifier `name` of the bundle. Raises SetupError where it does not fit this runtime."""
    try:
        entry = bundle.model(name)
        sharpness = _positive(entry, "sharpness", 1.0)
        if entry["kind"] != "both":
            return replace(_single(bundle, name), sharpness=sharpness)
        weights = {member: _number(weight, member) for member, weight in entry["weights"].items()}
        if not (all(w >= 0 for w in weights.values()) and abs(sum(weights.values()) - 1) < 1e-3):
            raise SetupError(
                f"{bundle.folder / MANIFEST}: the weights of model {name!r} are not parts of one"
            )
        temperature = _positive(entry, "temperature")
        members = [(_single(bundle, member), weight) for member, weight in weights.items()]
        return replace(_mean(members, temperature), sharpness=sharpness)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise SetupError(
            f"{bundle.folder / MANIFEST}: the entry of model {name!r} is not whole ({error}): run "
            "`git checkout models`, or `make convert`"
        ) from None


def _positive(entry: dict[str, Any], key: str, default: float | None = None) -> float:
    value = _number(entry[key] if default is None else entry.get(key, default), key)
    if not 0 < value < inf:
        raise ValueError(f"{key} {value}")
    return value


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool):  # which Python takes for 0 or 1
        raise ValueError(f"{key} {value}")
    return float(value)


def _single(bundle: Bundle, name: str) -> Classifier:
    entry = bundle.model(name)
    kind, wanted = entry["kind"], (entry["feature"]["name"], entry["feature"]["version"])
    feature = FEATURES.get(wanted[0]) if isinstance(wanted[0], str) else None
    if kind not in _OPEN or feature is None or feature.version != wanted[1]:
        raise SetupError(
            f"{bundle.folder / MANIFEST}: model {name!r} is of kind {kind!r} and needs feature "
            f"{wanted[0]!r} version {wanted[1]}, which this runtime lacks: update the program, or "
            "run `make convert`"
        )
    return Classifier(feature.compute, _OPEN[kind](bundle, entry), feature.size)


def _svm(bundle: Bundle, entry: dict[str, Any]) -> Callable[[Vector], Vector]:
    path = bundle.file(entry["file"], entry["sha256"])
    return SupportVectorMachine(path, FEATURES[entry["feature"]["name"]].size)


def _gnn(bundle: Bundle, entry: dict[str, Any]) -> Callable[[Vector], Vector]:
    from edge.classify.gnn import GraphNetwork

    other = entry["normaliser"]
    if FEATURES[entry["feature"]["name"]].size != LANDMARKS * 2:
        raise ValueError(f"feature {entry['feature']['name']!r} is not x and y of every point")
    return GraphNetwork(
        bundle.file(entry["file"], entry["sha256"]), bundle.file(other["file"], other["sha256"])
    )


_OPEN = {"svm": _svm, "gnn": _gnn}


def _mean(members: list[tuple[Classifier, float]], temperature: float) -> Classifier:
    """The weighted mean of several classifiers' probabilities; the weights sum to one.

    Calibrated probabilities are less sure when they are averaged than they should be (Rahaman &
    Thiery, 2021), so the mean has a temperature of its own: it is raised to its inverse.
    """
    ends = np.cumsum([member.size for member, _ in members]).tolist()
    parts = [slice(end - member.size, end) for (member, _), end in zip(members, ends, strict=True)]

    def features(landmarks: Vector) -> Vector:
        return np.concatenate([member.features(landmarks) for member, _ in members])

    def predict(feature: Vector) -> Vector:
        total = np.zeros(len(CLASSES), np.float32)
        for (member, weight), part in zip(members, parts, strict=True):
            total += np.float32(weight) * member.predict(feature[part])
        np.power(total, np.float32(1 / temperature), out=total)
        total /= total.sum()
        return total

    return Classifier(features, predict, ends[-1])
