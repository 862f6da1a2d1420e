"""The control: a small network on pixels, trained on the very pictures that train ours.

What it loses beside the mesh models is what the mesh is worth. It sees what a program of its kind
sees in practice: a face crop as it is, of a larger picture the box around the face that our own
mesher found (`train.crops.cut`), so it is spared a detector of its own.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from edge.arrays import load, save
from edge.errors import SetupError
from train import crops, pixels
from train.graph import keras
from train.prepare import Data

Array = NDArray[Any]
STEM, BLOCKS = 24, (32, 64, 96, 144)
"""Channels: 0.4 million parameters, 26 million multiplications a face."""
EPOCHS = 14
_BATCH = 256


class Control:
    """Faces → probabilities."""

    def __init__(self, model: Any, made_by: str) -> None:
        self._model = model
        self.made_by = made_by

    def __call__(self, faces: Array) -> Array:
        """(N, 48, 48) uint8 grey → (N, 7)."""
        given = np.stack([*map(crops.normal, faces)])[..., None]
        parts = [
            np.asarray(self._model(given[start : start + _BATCH], training=False))
            for start in range(0, len(given), _BATCH)
        ]
        found: Array = softmax(np.concatenate(parts), axis=1)
        return found


def trained(data: Data, folder: Path, fingerprint: str, epochs: int = EPOCHS) -> Control:
    """The network kept in `folder` when it was trained on this; else it is trained, and kept.

    `fingerprint`: of the data sets. In float32: bfloat16 aborts inside TensorFlow now and then. A
    training that was stopped goes on.
    """
    path = folder / "control.npz"
    learnt = [picture.id for picture in data.pictures]
    about = [fingerprint, learnt, STEM, *BLOCKS, epochs]
    made_by = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    keras.utils.set_random_seed(0)
    model = pixels.network(STEM, BLOCKS)
    names = [f"weight{i:03d}" for i in range(len(model.get_weights()))]
    try:
        kept = load(path, ["made_by", *names])
        if str(kept["made_by"]) == made_by:
            model.set_weights([kept[name] for name in names])
            return Control(model, made_by)
    except SetupError:
        pass
    print(f"training the control on {len(data.label):,} pictures, {epochs} epochs …", flush=True)
    faces = crops.crops(data.pictures, data.landmarks)
    backup = keras.callbacks.BackupAndRestore(str(folder / f"control-{made_by}"))
    pixels.learn(model, faces, data.label, epochs, callbacks=[backup])
    weights = dict(zip(names, model.get_weights(), strict=True))
    save(path, {"made_by": np.array(made_by), **weights})
    return Control(model, made_by)
