"""Mesh → probabilities: the classifiers, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.bundle import MANIFEST, Bundle
from edge.classify.svm import SupportVectorMachine
from edge.errors import SetupError
from edge.features import FEATURES

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Classifier:
    """The two halves of a classifier, apart so that each can be timed."""

    features: Callable[[Vector], Vector]
    """Landmarks (468, 3) → feature vector."""
    predict: Callable[[Vector], Vector]
    """Feature vector → probabilities (7,), in the order of CLASSES."""


def open_classifier(bundle: Bundle, name: str) -> Classifier:
    """Classifier `name` of the bundle. Raises SetupError where it does not fit this runtime."""
    entry = bundle.model(name)
    try:
        wanted, version = entry["feature"]["name"], entry["feature"]["version"]
        path = bundle.file(entry["file"], entry["sha256"])
    except (KeyError, TypeError) as error:
        raise SetupError(f"{bundle.folder / MANIFEST}: model {name!r} lacks {error}") from None
    feature = FEATURES.get(wanted) if isinstance(wanted, str) else None
    if feature is None or feature.version != version:
        raise SetupError(
            f"{bundle.folder / MANIFEST}: model {name!r} needs feature {wanted!r} version "
            f"{version}, which this runtime lacks: update the program, or run `make convert`"
        )
    return Classifier(feature.compute, SupportVectorMachine(path, feature.size))
