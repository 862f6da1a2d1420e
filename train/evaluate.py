"""Figures about predictions: plain numbers for JSON, tables and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from edge.types import CLASSES

_ALL = list(range(len(CLASSES)))


def metrics(truth: NDArray[np.intp], predicted: NDArray[np.intp]) -> dict[str, Any]:
    """Accuracy, macro-F1 over the classes that occur, per-class figures, confusion matrix.

    `truth` and `predicted` (N,) are indices into CLASSES. The confusion matrix has the truth in
    its rows.
    """
    if not len(truth):
        return {"pictures": 0}
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=_ALL, zero_division=0
    )
    return {
        "pictures": len(truth),
        "accuracy": float((truth == predicted).mean()),
        "macro_f1": float(
            f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)
        ),
        "per_class": {
            label: {
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "pictures": int(support[i]),
            }
            for i, label in enumerate(CLASSES)
        },
        "confusion": confusion_matrix(truth, predicted, labels=_ALL).tolist(),
    }


def by_source(
    truth: NDArray[np.intp], predicted: NDArray[np.intp], source: NDArray[np.str_]
) -> dict[str, Any]:
    """`metrics` of each source."""
    return {
        str(name): metrics(truth[source == name], predicted[source == name])
        for name in np.unique(source)
    }


def coverage(
    presence: NDArray[np.float32], label: NDArray[np.intp], source: NDArray[np.str_]
) -> dict[str, Any]:
    """For each source and class: pictures, and the share in which a face was believed in.

    Every readable picture has a mesh; `believed` is the share of presence of at least 0.5.
    """
    table: dict[str, Any] = {}
    for name in np.unique(source):
        rows = table[str(name)] = {}
        for i, class_name in [*enumerate(CLASSES), (None, "all")]:
            chosen = (source == name) & ((label == i) if i is not None else True)
            count = int(chosen.sum())
            believed = float((presence[chosen] >= 0.5).mean()) if count else None
            rows[class_name] = {"pictures": count, "believed": believed}
    return table
