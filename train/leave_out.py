"""How well a face of a source is read that no training picture came from.

The same recipes, trained on all sources but one and judged on every picture of that one: other
people, cameras and labellers. The honest figure for a camera that nobody trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import SetupError
from train import evaluate, kept
from train.fitted import Fitted
from train.prepare import Data

Array = NDArray[Any]
FILE = "leave-out.json"


def judge(
    data: Data, recipes: Mapping[str, Callable[[Data], Fitted]], out: Path, dataset: Any
) -> dict[str, dict[str, Any]]:
    """Source that was left out → recipe → `evaluate.metrics` on all of its pictures.

    Each figure is kept in `out` as soon as it is known, and is not measured again on the same
    `dataset`. Raises SetupError where there is only one source, as `sources` does.
    """
    path = out / FILE
    found = kept.read(path)
    if found.get("dataset") != dataset:
        found = {"dataset": dataset}
    left: dict[str, dict[str, Any]] = found.setdefault("sources", {})
    for source in sources(data):
        rest = without(data, source)
        for name, recipe in recipes.items():
            figures = left.setdefault(source, {}).get(name)
            if figures is None:
                print(f"{name} without {source} …", flush=True)
                predicted = recipe(rest).predicted
                rows = rest.validation_source == source
                figures = evaluate.metrics(rest.validation_label[rows], predicted[rows])
                left[source][name] = figures
                kept.write(path, found)
            print(
                f"{name} without {source}: accuracy {figures['accuracy']:.4f}, macro-F1 "
                f"{figures['macro_f1']:.4f} on its {figures['pictures']} pictures",
                flush=True,
            )
    return left


def sources(data: Data) -> list[str]:
    """What can be left out. Raises SetupError where nothing would be left."""
    found = [str(name) for name in np.unique(data.source)]
    if len(found) < 2:
        raise SetupError(f"--leave-out needs two sources to train on; there is only {found[0]}")
    return found


def without(data: Data, source: str) -> Data:
    """`data` whose training pictures of `source` are judged instead."""
    gone = data.source == source
    keep = ~gone
    return replace(
        data,
        landmarks=data.landmarks[keep],
        views={name: view[keep] for name, view in data.views.items()},
        label=data.label[keep],
        source=data.source[keep],
        pictures=[p for p, kept in zip(data.pictures, keep, strict=True) if kept],
        validation_landmarks=np.concatenate([data.validation_landmarks, data.landmarks[gone]]),
        validation_label=np.concatenate([data.validation_label, data.label[gone]]),
        validation_source=np.concatenate([data.validation_source, data.source[gone]]),
        validation_pictures=[
            *data.validation_pictures,
            *(p for p, left in zip(data.pictures, gone, strict=True) if left),
        ],
    )
