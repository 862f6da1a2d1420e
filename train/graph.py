"""The graph network, in Keras + Spektral: mesh points → regions of the face → expression.

Each point of the normalised mesh exchanges what it knows with its neighbours in MediaPipe's face
tessellation (GCN: Kipf & Welling, 2017), next to a residual path of its own. Then points are
pooled into regions by a learned assignment that starts at patches of the face (DiffPool's idea,
Ying et al., 2018, with one assignment for all faces), and the regions are read together.

The adjacency is dense and constant: so GCNConv becomes a FULLY_CONNECTED in TFLite. A sparse one
would be a custom operator; Flatten → Dense at the points would be most of the network's weights.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Spektral 1.3 needs Keras 2, which tf-keras is; both must be set before TensorFlow is imported.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from spektral.layers import GCNConv
from spektral.utils import gcn_filter

from edge.types import CLASSES, LANDMARKS

keras = tf.keras
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network."""

    channels: int = 8
    """Of each mesh point after the graph layer."""
    layers: int = 1
    """Graph layers on the points."""
    regions: int = 48
    """That the points are pooled into."""
    hidden: int = 256
    """Units of the layer that reads the regions."""
    dropout: float = 0.5
    """Share of those units that are left out in training."""


def adjacency(edges: Array) -> Array:
    """Undirected `edges` (E, 2) → D^-½ (A + I) D^-½: (468, 468) float32."""
    matrix = np.zeros((LANDMARKS, LANDMARKS), np.float32)
    matrix[edges[:, 0], edges[:, 1]] = matrix[edges[:, 1], edges[:, 0]] = 1
    filtered: Array = gcn_filter(matrix).astype(np.float32)
    return filtered


def patches(points: Array, count: int) -> Array:
    """`points` (468, 2) softly assigned to `count` patches around far-apart ones: (count, 468).

    The squares of a row sum to one, so that a region's values are of the size of a point's.
    Centres by farthest-point sampling, from the point nearest to the middle.
    """
    chosen = [int(np.argmin(((points - points.mean(0)) ** 2).sum(1)))]
    distance = np.full(len(points), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(distance.argmax()))
    square = ((points[None] - points[chosen][:, None]) ** 2).sum(2)
    weight = np.exp(-square / np.median(np.sort(square, axis=0)[:2].sum(0)))
    return (weight / np.sqrt((weight**2).sum(1, keepdims=True))).astype(np.float32)


@keras.utils.register_keras_serializable("fer")
class RegionPooling(keras.layers.Layer):
    """(batch, points, channels) → (batch, regions, channels) by a learned assignment."""

    def __init__(self, start: Array, **options: Any) -> None:
        """`start` (regions, points): the assignment before training."""
        super().__init__(**options)
        self._start = np.asarray(start, np.float32)

    def build(self, shape: Any) -> None:
        """Make the weights."""
        self._assignment = self.add_weight(
            name="assignment",
            shape=self._start.shape,
            initializer=keras.initializers.Constant(self._start),
        )

    def call(self, nodes: Any) -> Any:
        """Weighted sums over the points, as one matrix product."""
        turned = tf.transpose(nodes, (0, 2, 1))
        return tf.transpose(tf.matmul(turned, self._assignment, transpose_b=True), (0, 2, 1))


class ResumableDropout(keras.layers.Layer):
    """Dropout whose generator is part of a checkpoint: a stopped training goes on with its draws.

    Keras' own starts its draws anew.
    """

    def __init__(self, rate: float, **options: Any) -> None:
        """`rate`: share of the values that are left out in training."""
        super().__init__(**options)
        self._rate = rate
        seed = tf.random.uniform((), maxval=2**31 - 1, dtype=tf.int32)
        self._generator = tf.random.Generator.from_seed(seed)

    def call(self, values: Any, training: bool = False) -> Any:
        """All values, or in training those that are kept, made larger by what is not."""
        if not training:
            return values
        kept = self._generator.uniform(tf.shape(values)) >= self._rate
        return tf.where(kept, values / (1 - self._rate), tf.zeros_like(values))


def build(shape: Shape, matrix: Array, start: Array, batch: int | None = None) -> Any:
    """The Keras model: (batch, 468, 2) → (batch, 7) logits.

    `matrix`: see `adjacency`; `start`: see `patches`. `batch`: fixed, for conversion.
    """
    given = keras.Input((LANDMARKS, 2), batch_size=batch, name="mesh")
    neighbours = tf.constant(matrix)
    nodes = given
    for layer in range(shape.layers):
        passed = GCNConv(shape.channels, name=f"neighbours_{layer}")([nodes, neighbours])
        # The residual path: the first layer's has to widen the points' two channels.
        own = keras.layers.Dense(shape.channels, name=f"own_{layer}")(nodes) if not layer else nodes
        nodes = keras.layers.ReLU()(keras.layers.Add()([passed, own]))
    # The mesh itself goes along, past the nonlinearity. The two are read apart and then added:
    # together they would share one 8-bit scale, which the wider of them sets.
    pool = RegionPooling(start, name="regions")
    read = [
        keras.layers.Dense(shape.hidden, use_bias=not i, name=f"read_{i}")(
            keras.layers.Flatten()(pool(values))
        )
        for i, values in enumerate((nodes, given))
    ]
    hidden = keras.layers.ReLU()(keras.layers.Add()(read))
    hidden = ResumableDropout(shape.dropout)(hidden)
    return keras.Model(given, keras.layers.Dense(len(CLASSES), name="logits")(hidden), name="gnn")
