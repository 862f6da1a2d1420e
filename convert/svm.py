"""PCA + SVM → `svm.npz` of plain float arrays.

Before it is accepted the device's own code, compiled and not, runs it over the whole validation
set: the same label as scikit-learn for every mesh, probabilities within 1e-5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convert.trained import Answer, Trained
from edge.classify.svm import ARRAYS, SupportVectorMachine
from edge.errors import SetupError
from edge.features import FEATURES

FILE = "svm.npz"
TOLERANCE = 1e-5
"""Largest difference of a probability from scikit-learn's."""
LIMIT = 3_000_000
"""Bytes that the shipped file may have."""


def convert(trained: Trained, folder: Path) -> tuple[dict[str, Any], np.ndarray, Answer]:
    """Write `svm.npz` into `folder`; its entry in the manifest, its answers (V, 7), and itself."""
    arrays = dict(zip(ARRAYS, map(_plain, trained.arrays(*ARRAYS)), strict=True))
    np.savez_compressed(folder / FILE, **arrays)
    size = (folder / FILE).stat().st_size
    if size > LIMIT:
        raise SetupError(f"{FILE} would have {size:,} bytes; allowed are {LIMIT:,}")
    features, length = trained.features(), FEATURES[trained.description["feature"]].size
    parities = []
    for compiled in (False, True):  # the same where there is no compiler
        classifier = SupportVectorMachine(folder / FILE, length, compiled=compiled)
        answers = np.stack([classifier(feature) for feature in features])
        parities.append(compare(answers, trained.probabilities))
    entry = {
        "kind": "svm",
        "file": FILE,
        "bytes": size,
        **trained.entry(),
        "arrays": {
            name: {"shape": list(value.shape), "dtype": str(value.dtype)}
            for name, value in arrays.items()
        },
        "parity": max(parities, key=lambda parity: parity["largest_difference"]),
    }
    return entry, answers, classifier


def compare(got: np.ndarray, expected: np.ndarray) -> dict[str, Any]:
    """Compare the device's answers (V, 7) with scikit-learn's.

    Raises SetupError when a label differs or a probability is further off than TOLERANCE.
    """
    if got.shape != expected.shape:
        raise SetupError(f"{len(got)} meshes, but answers of shape {expected.shape}: train again")
    different = int((got.argmax(axis=1) != expected.argmax(axis=1)).sum())
    largest = float(np.abs(got - expected).max())
    if different or not largest <= TOLERANCE:  # `not <=` also catches NaN
        raise SetupError(
            f"{different} of {len(got)} labels differ from scikit-learn's, probabilities by up to "
            f"{largest:.1e} (allowed {TOLERANCE:.0e}): not written"
        )
    return {"meshes": len(got), "different_labels": different, "largest_difference": largest}


def _plain(value: np.ndarray) -> np.ndarray:
    """float32, but for what was trained in float16 and loses nothing there."""
    half = value.astype(np.float16)
    small = value.ndim and np.array_equal(half.astype(value.dtype), value)
    return half if small else value.astype(np.float32)
