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

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import native
from edge.arrays import load
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
_SAFE = 80.0
"""Largest exponent whose exp a float32 holds, with some room."""
_MOST = float(np.finfo(np.float32).max)


class SupportVectorMachine:
    """Feature vector → probabilities."""

    def __init__(self, path: Path, feature_size: int, *, compiled: bool = True) -> None:
        """Load `path`. Raises SetupError when it is no such file or its shapes do not fit.

        `compiled`: the kernel by `edge.native` where that was compiled.
        """
        # Nothing here makes a large copy that is not needed: it would be the program's peak memory.
        arrays = load(path, ARRAYS)
        if any(value.dtype.kind not in "fi" for value in arrays.values()):
            raise SetupError(f"{path}: an array is not of numbers: run `make convert`")
        shapes = [arrays[name].shape for name in ARRAYS]
        size, components = shapes[1] if len(shapes[1]) == 2 else (0, 0)
        count, decisions = shapes[4] if len(shapes[4]) == 2 else (0, 0)
        classes = len(CLASSES)
        wanted = [
            (feature_size,),
            (size, components),
            (count, components),
            (),
            (count, decisions),
            (decisions,),
            (decisions, classes),
            (classes,),
        ]
        for name, shape, right in zip(ARRAYS, shapes, wanted, strict=True):
            if shape != right or size != feature_size or 0 in shape:
                raise SetupError(
                    f"{path}: shapes do not fit together or the feature; {name!r} has {shape}: "
                    "run `make convert`"
                )
            least, most = float(arrays[name].min()), float(arrays[name].max())
            if not -_MOST <= least <= most <= _MOST:  # not in float16, whose range is smaller
                raise SetupError(f"{path}: array {name!r} is not finite: run `make convert`")
        # Late components are small differences of large sums: projected in float64.
        self._mean = arrays["mean"].astype(np.float64)
        self._projection = np.ascontiguousarray(arrays["projection"].T, np.float64)
        self._gamma = float(arrays["gamma"])
        vectors = arrays.pop("support_vectors")
        library = native.load() if compiled and vectors.dtype == np.float16 else None
        self._library = library if library and library.halves() else None
        self._vectors: NDArray[np.floating[Any]]
        if self._library:  # late components are small: summed first, they are not rounded away
            self._projection = np.ascontiguousarray(self._projection[::-1])
            self._vectors = _blocks(vectors)
            squares = np.einsum("bcv,bcv->bv", *[self._vectors] * 2, dtype=np.float64).ravel()
        else:
            self._vectors = vectors.astype(np.float32)
            squares = np.einsum("vc,vc->v", *[self._vectors] * 2, dtype=np.float64)
        self._at = self._vectors.ctypes.data
        # exp(-γ|z - v|²) = exp(2γ v·z) exp(-γ|v|²) exp(-γ|z|²). The second factor, the duals and
        # the calibration are constant: one matrix. That is less work than the distance, and less
        # rounding: large weights cancel in the last sum, so it is in float64.
        calibration = arrays["calibration"].astype(np.float64)
        self._weights = np.zeros((classes, len(squares)))  # a row a class: read in order
        np.einsum("vd,dc->cv", arrays["dual_coef"], calibration, out=self._weights[:, :count])
        self._weights *= np.exp(-self._gamma * squares)
        self._bias = arrays["intercept"] @ calibration + arrays["calibration_bias"]

    def __call__(self, feature: NDArray[np.float32]) -> NDArray[np.float32]:
        """`feature` (d,) float32 → probabilities (7,) float32 in the order of CLASSES."""
        projected = self._projection @ (feature - self._mean)
        kernel, largest = self._kernel((projected * (2 * self._gamma)).astype(np.float32))
        scale = np.exp(largest - self._gamma * float(projected @ projected))
        logits = (self._weights @ kernel.astype(np.float64, copy=False)) * scale + self._bias
        logits -= logits.max()
        np.exp(logits, out=logits)
        logits /= logits.sum()
        probabilities: NDArray[np.float32] = logits.astype(np.float32)
        return probabilities

    def _kernel(self, point: NDArray[np.float32]) -> tuple[NDArray[np.floating[Any]], float]:
        """exp(v·point - shift) for each vector v, and the shift: large exponents overflow."""
        if self._library:
            kernel = np.empty(self._weights.shape[1], np.float32)
            blocks, components, _ = self._vectors.shape
            shift: float = self._library.kernel(
                self._at, blocks, components, point.ctypes.data, _SAFE, kernel.ctypes.data
            )
            return kernel, shift
        exponent = self._vectors @ point
        shift = max(float(exponent.max()) - _SAFE, 0.0)
        if shift:  # a mesh unlike any face
            exponent -= np.float32(shift + _SAFE)
            exponent += np.float32(_SAFE)  # in this order: no rounding at the top
        # numpy's float32 exp would be half of the error that is left.
        return np.exp(exponent, dtype=np.float64), shift


def _blocks(vectors: NDArray[np.float16]) -> NDArray[np.float16]:
    """Vectors (n, k) as the compiled kernel takes them: (n / TOGETHER, k, TOGETHER) float16.

    Components come last first. The last block is filled up with zeros, for vectors of no weight.
    """
    side = native.TOGETHER
    blocks = np.zeros((-(-len(vectors) // side), vectors.shape[1], side), np.float16)
    for index, block in enumerate(blocks):
        part = vectors[index * side : (index + 1) * side, ::-1].T
        block[:, : part.shape[1]] = part
    return blocks
