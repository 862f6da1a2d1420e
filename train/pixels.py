"""A small residual network on pixels, trained on the same split: what the mesh leaves out.

It is a yardstick for `train.limits`; nothing of it is shipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from edge.types import CLASSES
from train.crops import SIDE, crops
from train.graph import keras
from train.prepare import Data

Array = NDArray[Any]


def network(stem: int = 32, blocks: Sequence[int] = (48, 96, 160, 224)) -> Any:
    """(batch, 48, 48, 1) → logits (batch, 7): a residual network.

    `stem`, `blocks`: channels; by default 0.95 million parameters.
    """
    layers = keras.layers

    def convolution(x: Any, channels: int, size: int = 3, stride: int = 1) -> Any:
        x = layers.Conv2D(channels, size, stride, "same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    def block(x: Any, channels: int, stride: int) -> Any:
        y = layers.ReLU()(convolution(x, channels, stride=stride))
        y = convolution(y, channels)
        if stride > 1 or x.shape[-1] != channels:
            x = convolution(x, channels, size=1, stride=stride)
        return layers.ReLU()(layers.Add()([x, y]))

    given = keras.Input((SIDE, SIDE, 1))
    x = layers.ReLU()(convolution(given, stem, stride=2))
    for index, channels in enumerate(blocks):
        x = block(x, channels, stride=2 if index else 1)
    x = layers.Dropout(0.4)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(given, layers.Dense(len(CLASSES), dtype="float32")(x))


def _precision() -> str:
    """bfloat16 where the processor computes in it, three times as fast; elsewhere it is slower."""
    information = Path("/proc/cpuinfo")
    known = information.read_text(encoding="utf-8") if information.exists() else ""
    return "mixed_bfloat16" if "avx512_bf16" in known else "float32"


class _Faces(keras.utils.Sequence):  # type: ignore[misc]
    """Batches of turned, scaled, moved, mirrored, partly covered faces."""

    def __init__(self, faces: Array, label: Array, batch: int, seed: int) -> None:
        self._faces, self._batch = faces, batch
        self._target = np.eye(len(CLASSES), dtype=np.float32)[label] * 0.9 + 0.1 / len(CLASSES)
        self._rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        self._order = self._rng.permutation(len(self._faces))

    def __len__(self) -> int:
        return -(-len(self._faces) // self._batch)

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        rows = self._order[index * self._batch : (index + 1) * self._batch]
        return np.stack([self._changed(face) for face in self._faces[rows]]), self._target[rows]

    def _changed(self, face: Array) -> Array:
        rng, middle = self._rng, (SIDE - 1) / 2
        matrix = cv2.getRotationMatrix2D(
            (middle, middle), rng.uniform(-15, 15), rng.uniform(0.85, 1.15)
        )
        matrix[:, 2] += rng.uniform(-4, 4, 2)
        if rng.random() < 0.5:
            face = face[:, ::-1]
        face = cv2.warpAffine(
            np.ascontiguousarray(face), matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE
        )
        if rng.random() < 0.5:
            (w, h), (x, y) = rng.integers(6, 18, 2), rng.integers(0, SIDE - 6, 2)
            face[y : y + h, x : x + w] = 0
        return (face * rng.uniform(0.8, 1.2))[..., None]


def fit(data: Data, epochs: int = 25, batch: int = 128, seed: int = 0) -> Array:
    """Train it; (V, 7) probabilities of validation, means over picture and mirror."""
    validation = crops(data.validation_pictures, data.validation_landmarks)
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(_precision())
    keras.utils.set_random_seed(seed)
    model = network()
    keras.mixed_precision.set_global_policy(before)
    learn(model, crops(data.pictures, data.landmarks), data.label, epochs, batch, seed)
    return probabilities(model, validation)


def learn(
    model: Any,
    faces: Array,
    label: Array,
    epochs: int,
    batch: int = 128,
    seed: int = 0,
    callbacks: Sequence[Any] = (),
) -> None:
    """Train `model` on normal `faces` (N, 48, 48) with their `label` (N,)."""
    batches = _Faces(faces, label, batch, seed)
    rate = keras.optimizers.schedules.CosineDecay(0.08, len(batches) * epochs)
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=5e-4, clipnorm=5.0),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(batches, epochs=epochs, callbacks=list(callbacks), verbose=2)


def probabilities(model: Any, faces: Array) -> Array:
    """(N, 7) of normal `faces` (N, 48, 48), means over picture and mirror."""
    faces = faces[..., None]
    both = [model.predict(view, batch_size=512, verbose=0) for view in (faces, faces[:, :, ::-1])]
    found: Array = softmax(np.mean(both, axis=0), axis=1)
    return found
