"""What training left in `build/train`: arrays, and the training library's own answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.arrays import load
from edge.errors import SetupError
from edge.features import FEATURES
from edge.types import CLASSES

Array = NDArray[Any]
Answer = Callable[[Array], Array]
"""A classifier of the device: feature vector → probabilities (7,)."""
_ANSWERS = ("landmarks", "label", "source", "probabilities")


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """One trained classifier."""

    path: Path
    """The file."""
    description: dict[str, Any]
    """Recipe, feature, data set, figures: see `train.fitted.save`."""
    landmarks: Array
    """(V, 468, 3) of the validation set."""
    label: Array
    """(V,)."""
    source: Array
    """(V,) data set."""
    probabilities: Array
    """(V, 7) by the library that trained it."""

    @classmethod
    def open(cls, path: Path, recipe: str) -> Trained:
        """Read `path`. Raises SetupError unless it holds `recipe`, for this runtime's classes."""
        names = ["description", *(f"validation_{name}" for name in _ANSWERS)]
        file = load(path, names, remedy="run `make train DATA=…`")
        try:
            description = json.loads(str(file["description"]))
            found, known = description["recipe"], description["feature"] in FEATURES
            classes, learnt = description["classes"], description["dataset"]["train_on"]
            short(description["training"]["sources"])
            description["meshes"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SetupError(
                f"{path}: not what this version's training writes ({error}): train again"
            ) from None
        if found != recipe:
            raise SetupError(f"{path}: this is the {found}, not the {recipe}")
        if not known:
            raise SetupError(f"{path}: unknown feature {description['feature']!r}: train again")
        if classes != list(CLASSES):
            raise SetupError(f"{path}: trained on other classes: {classes}")
        answers = [file[f"validation_{name}"] for name in _ANSWERS]
        if {len(answer) for answer in answers} != {len(answers[0])}:
            raise SetupError(f"{path}: meshes and answers differ in number: train again")
        trained = cls(path, description, *answers)
        if not trained.judged.any():
            raise SetupError(f"{path}: no validation mesh is of a source trained on: {learnt}")
        return trained

    def arrays(self, *names: str) -> list[Array]:
        """What the classifier is made of."""
        found = load(self.path, [f"array_{name}" for name in names])
        return [found[f"array_{name}"] for name in names]

    def features(self, landmarks: Array | None = None) -> Array:
        """(V, d) float32 of the validation set, or of others, by the device's code."""
        compute = FEATURES[self.description["feature"]].compute
        return np.stack(
            [compute(mesh) for mesh in (self.landmarks if landmarks is None else landmarks)]
        )

    @property
    def judged(self) -> Array:
        """(V,) whether the picture is of a source that was trained on: what decisions look at."""
        rows: Array = np.isin(self.source, self.description["dataset"]["train_on"])
        return rows

    def entry(self) -> dict[str, Any]:
        """The part of the manifest that every classifier has."""
        name = self.description["feature"]
        feature = FEATURES[name]
        return {"feature": {"name": name, "version": feature.version, "shape": [feature.size]}}


def short(sources: dict[str, Any]) -> dict[str, Any]:
    """Figures of each source, as the manifest has them."""
    return {
        source: {
            "pictures": figures["pictures"],
            **{k: round(figures[k], 4) for k in ("accuracy", "macro_f1") if k in figures},
            "f1": {label: round(of["f1"], 4) for label, of in figures.get("per_class", {}).items()},
        }
        for source, figures in sources.items()
    }
