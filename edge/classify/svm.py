"""PCA + RBF support vector machine as plain numpy arrays.

The arrays (`models/svm.npz`), for a feature of d values, k components, n support vectors and
seven classes:

=================== ======= ==========================================================
mean                (d,)    subtracted from the feature
projection          (d, k)  PCA, with the scaler folded in
support_vectors     (n, k)  in the projected space
gamma               ()      kernel exp(-gamma |z - v|²)
dual_coef           (n, m)  weight of each vector in each of m decisions
intercept           (m,)
calibration         (m, 7)  decisions → logits, fitted on validation
calibration_bias    (7,)
=================== ======= ==========================================================
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import SetupError
from edge.types import CLASSES

ARRAYS = (
    "mean",
    "projection",
    "support_vectors",
    "gamma",
    "dual_coef",
    "intercept",
    "calibration",
    "calibration_bias",
)
"""What `svm.npz` holds."""


class SupportVectorMachine:
    """Feature vector → probabilities."""

    def __init__(self, path: Path, feature_size: int) -> None:
        """Load `path`. Raises SetupError when it is no such file or its shapes do not fit."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name].astype(np.float32) for name in ARRAYS}
        except KeyError as error:
            raise SetupError(f"{path}: array {error} is missing: run `make convert`") from None
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise SetupError(f"{path}: cannot be read: {error}") from None
        self._mean, self._projection = arrays["mean"], arrays["projection"]
        self._vectors = arrays["support_vectors"]
        self._gamma = arrays["gamma"]
        # Decisions and calibration are both linear in the kernel: one matrix does both. It is the
        # one sum in float64: large weights cancel in it, and float32 would be 4e-5 off.
        calibration = arrays["calibration"].astype(np.float64)
        self._weights = arrays["dual_coef"] @ calibration
        self._bias = arrays["intercept"] @ calibration + arrays["calibration_bias"]
        self._squares = (self._vectors**2).sum(axis=1)
        size, components = self._projection.shape
        fits = (
            size == self._mean.shape[0] == feature_size
            and self._vectors.shape[1] == components
            and self._weights.shape == (len(self._vectors), len(CLASSES))
        )
        if not fits:
            raise SetupError(
                f"{path}: shapes do not fit together or the feature: run `make convert`"
            )

    def __call__(self, feature: NDArray[np.float32]) -> NDArray[np.float32]:
        """`feature` (d,) float32 → probabilities (7,) float32 in the order of CLASSES."""
        projected = (feature - self._mean) @ self._projection
        distance = self._vectors @ projected
        distance *= -2
        distance += self._squares
        distance += projected @ projected
        distance *= -self._gamma
        kernel = np.exp(distance, out=distance)
        logits = kernel @ self._weights + self._bias
        logits -= logits.max()
        np.exp(logits, out=logits)
        logits /= logits.sum()
        probabilities: NDArray[np.float32] = logits.astype(np.float32)
        return probabilities
