"""Graph network over the mesh points, as a quantised TFLite file and its normaliser.

The normaliser (`models/gnn.npz`), for k directions in which faces vary:

============ ======== ==========================================================
mean         (936,)   the mean face, `aligned_xy`
basis        (936, k) orthonormal directions
gain         (k,)     scale of each, see `edge.features.normalised`
temperature  ()       logits are divided by it, fitted on validation
============ ======== ==========================================================

The network takes (1, 468, 2) and gives seven logits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.arrays import load
from edge.errors import SetupError
from edge.features import normalised
from edge.interpreter import Network
from edge.types import CLASSES, LANDMARKS

ARRAYS = ("mean", "basis", "gain", "temperature")
"""What `gnn.npz` holds."""
_SIZE = LANDMARKS * 2


class GraphNetwork:
    """Feature vector → probabilities."""

    def __init__(self, network: Path, normaliser: Path, runtime_name: str | None = None) -> None:
        """Load both files. Raises SetupError where one is none such or they do not fit."""
        found = load(normaliser, ARRAYS)
        if any(value.dtype.kind not in "fi" for value in found.values()):
            raise SetupError(f"{normaliser}: an array is not of numbers: run `make convert`")
        arrays = {name: value.astype(np.float32) for name, value in found.items()}
        directions = arrays["gain"].size
        wanted = {"mean": (_SIZE,), "basis": (_SIZE, directions), "gain": (directions,)}
        for name, shape in {**wanted, "temperature": ()}.items():
            if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
                raise SetupError(
                    f"{normaliser}: {name!r} is not {shape} finite numbers: run `make convert`"
                )
        self._mean, self._basis, self._gain, temperature = (arrays[name] for name in ARRAYS)
        if temperature <= 0:
            raise SetupError(f"{normaliser}: 'temperature' is not positive: run `make convert`")
        self._temperature = float(temperature)
        self._network = Network(network, runtime_name=runtime_name)
        shapes = self._network.input_shape, self._network.output_shapes
        if shapes != ((1, LANDMARKS, 2), [(1, len(CLASSES))]):
            raise SetupError(f"{network}: takes and gives {shapes}: run `make convert`")

    def __call__(self, feature: NDArray[np.float32]) -> NDArray[np.float32]:
        """`feature` (936,) float32 → probabilities (7,) float32 in the order of CLASSES."""
        nodes = normalised(feature, self._mean, self._basis, self._gain)
        self._network.input()[0] = nodes.reshape(LANDMARKS, 2)
        (logits,) = self._network.run()
        logits = logits[0] / self._temperature
        weights = np.exp(logits - logits.max())
        probabilities: NDArray[np.float32] = weights / weights.sum()
        return probabilities
