"""Fitting the graph network: normalised X,Y of every mesh point + the mesh's adjacency.

The normaliser is fitted on the training meshes only. Each epoch draws, for each face, one of its
views (`train.views`; those of large pictures alone cost it a point on clean photographs). A stopped
run goes on at the epoch where it was.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from edge.arrays import load
from edge.bundle import DEFAULT_DIR
from edge.errors import SetupError
from edge.features import normalised
from edge.mesh.topology import CONNECTIONS_FILE, tessellation
from edge.types import CLASSES, LANDMARKS
from train.balance import weights
from train.fitted import Fitted, features, store, temperature
from train.graph import Shape, adjacency, build, keras, patches, tf
from train.prepare import Data
from train.views import OF_LARGE

Array = NDArray[Any]
FEATURE = "aligned_xy"
_ROUNDING = 1e-9
"""Share of the largest variance below which there is none."""
SAMPLES = 512
"""Training meshes that are kept for the converter to measure ranges on."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the network is made and trained. `make search MODEL=gnn` looks for better ones."""

    shape: Shape = field(default_factory=Shape)
    """Sizes of the network."""
    directions: int = 160
    """In which faces vary that are kept, see `edge.features.normalised`."""
    whitening: float = 0.8
    """Power of its deviation by which each direction is divided; 1 makes all alike."""
    epochs: int = 30
    """Largest number; the learning rate falls along half a cosine to zero at the last."""
    patience: int = 10
    """Epochs without a lower validation loss after which training stops."""
    batch: int = 256
    """Faces in a step."""
    learning_rate: float = 3e-3
    """Of AdamW, at the start."""
    weight_decay: float = 1e-3
    """Of AdamW, relative to the learning rate."""
    smoothing: float = 0.1
    """Share of each label that is spread over all classes: many labels are disputed."""
    balance: float = 0.3
    """Faces are weighted by (share of their class in their source)^-balance."""
    seed: int = 1
    """Of weights, order, views and dropout. Of 0, 1, 2 the one of least validation log loss."""


def recipe(out: Path) -> Callable[[Data], Fitted]:
    """The recipe as shipped; what a stopped run goes on with is kept in `out`."""

    def graph_network(data: Data) -> Fitted:
        """Normalised X,Y + tessellation → residual GCN → learned regions: the graph network."""
        return fit(data, out, Settings())

    return graph_network


def fit(data: Data, out: Path, settings: Settings) -> Fitted:
    """Train with `settings`."""
    edges = tessellation(DEFAULT_DIR / CONNECTIONS_FILE)
    out.mkdir(parents=True, exist_ok=True)
    store(out / "adjacency.npz", edges=edges)
    others = [view for name, view in data.views.items() if name not in OF_LARGE]
    views = [features(FEATURE, view) for view in (data.landmarks, *others)]
    normaliser = fit_normaliser(np.concatenate(views[:2]), settings)
    nodes = np.stack([_nodes(view, normaliser) for view in views])
    validation = _nodes(features(FEATURE, data.validation_landmarks), normaliser)

    keras.utils.set_random_seed(settings.seed)
    points = normaliser["mean"].reshape(LANDMARKS, 2)
    matrix = adjacency(edges)
    model = build(settings.shape, matrix, patches(points, settings.shape.regions))
    judge = data.judged
    history = _train(
        model,
        nodes,
        data.label,
        data.source,
        (validation[judge], data.validation_label[judge]),
        out,
        settings,
    )

    logits = model.predict(validation, batch_size=1024, verbose=0).astype(np.float64)
    scale = temperature(logits[judge], data.validation_label[judge])
    rows = np.random.default_rng(settings.seed).choice(
        len(data.label), min(SAMPLES, len(data.label)), replace=False
    )
    weights = {f"weight_{i:03d}": value for i, value in enumerate(model.get_weights())}
    return Fitted(
        FEATURE,
        {
            **normaliser,
            "temperature": np.float32(1 / scale),
            **weights,
            # For the converter: ranges are measured on real meshes.
            "samples": nodes[0][rows],
            "adjacency": matrix,
        },
        softmax(logits * scale, axis=1),
        logits.argmax(axis=1),
        {"parameters": model.count_params(), "settings": asdict(settings)},
        history,
    )


def fit_normaliser(training: Array, settings: Settings) -> dict[str, Array]:
    """Mean, basis and gain of `edge.features.normalised`, from `aligned_xy` (N, 936).

    Rounded as they are shipped, and scaled so that the points' coordinates have RMS 1.
    """
    mean = training.mean(axis=0)
    variance, basis = np.linalg.eigh(np.cov((training - mean).T))
    # Few faces vary in few directions; along the others there is only rounding.
    real = int((variance > _ROUNDING * variance[-1]).sum())
    keep = slice(None, -min(settings.directions, real) - 1, -1)
    deviation, basis = np.sqrt(variance[keep]), basis[:, keep]
    gain = deviation**-settings.whitening
    gain *= np.sqrt(training.shape[1] / ((deviation * gain) ** 2).sum())
    # Signs of eigenvectors are the library's whim; the files are the same with these.
    basis = basis * np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])])
    return {
        "mean": mean.astype(np.float32),
        "basis": basis.astype(np.float16),
        "gain": gain.astype(np.float32),
    }


def _nodes(rows: Array, normaliser: Mapping[str, Array]) -> Array:
    """Features (N, 936) → (N, 468, 2) float32, with the arrays as the device holds them."""
    arrays = [normaliser[name].astype(np.float64) for name in ("mean", "basis", "gain")]
    return normalised(rows, *arrays).astype(np.float32).reshape(-1, LANDMARKS, 2)


class _Faces(keras.utils.Sequence):  # type: ignore[misc]
    """Batches of an epoch: every face once, in one of its views."""

    def __init__(self, nodes: Array, label: Array, source: Array, settings: Settings) -> None:
        self._weight = weights(label, source, settings.balance).astype(np.float32)
        spread = settings.smoothing / len(CLASSES)
        self._target = np.eye(len(CLASSES), dtype=np.float32)[label] * (1 - settings.smoothing)
        self._target += np.float32(spread)
        self._nodes, self._settings = nodes, settings
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Draw order and views of an epoch: the same whether or not the run was stopped before."""
        rng = np.random.default_rng([self._settings.seed, epoch])
        self._order = rng.permutation(len(self._target))
        self._view = rng.integers(0, len(self._nodes), len(self._target))

    def __len__(self) -> int:
        return -(-len(self._target) // self._settings.batch)

    def __getitem__(self, index: int) -> tuple[Array, Array, Array]:
        size = self._settings.batch
        rows = self._order[index * size : (index + 1) * size]
        return self._nodes[self._view[rows], rows], self._target[rows], self._weight[rows]


class _Backup(keras.callbacks.BackupAndRestore):  # type: ignore[misc]
    """Keeps after each epoch what the next needs, also what Keras' own forgets.

    That is: the best weights so far, how long ago they were the best, and the curves. They are
    written before the epoch is: what a stop in between leaves is one row more, and is dropped.
    """

    def __init__(self, folder: Path, stopping: Any) -> None:
        """`stopping`: the EarlyStopping; it has to come first among the callbacks."""
        super().__init__(str(folder / "epoch"), save_freq="epoch")
        self._file, self._stopping = folder / "best.npz", stopping
        self.curves: dict[str, list[float]] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        """Take up what a stopped run left, if any."""
        super().on_train_begin(logs)
        done = int(self.model.optimizer.iterations.numpy()) // self.params["steps"]
        if not done:
            return
        weights = [f"best_{i:03d}" for i in range(len(self.model.get_weights()))]
        found = load(self._file, ["curves", *weights])
        curves = json.loads(str(found["curves"]))
        self.curves.update({name: values[:done] for name, values in curves.items()})
        judged = self.curves[self._stopping.monitor]
        self._stopping.best = min(judged)
        self._stopping.best_epoch = judged.index(min(judged))
        self._stopping.wait = done - 1 - self._stopping.best_epoch
        self._stopping.best_weights = [found[name] for name in weights]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write all of it."""
        for name, value in (logs or {}).items():
            self.curves.setdefault(name, []).append(float(value))
        best = {f"best_{i:03d}": w for i, w in enumerate(self._stopping.best_weights)}
        store(self._file, curves=np.array(json.dumps(self.curves)), **best)
        super().on_epoch_end(epoch, logs)


def _train(
    model: Any,
    nodes: Array,
    label: Array,
    source: Array,
    validation: tuple[Array, Array],
    out: Path,
    settings: Settings,
) -> dict[str, list[float]]:
    """Fit `model`; the figures of each epoch. The weights are those of the best epoch."""
    faces = _Faces(nodes, label, source, settings)
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate, len(faces) * settings.epochs
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, clipnorm=2.0),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        weighted_metrics=[],
        metrics=["accuracy"],
    )
    described = json.dumps(asdict(settings), sort_keys=True).encode()
    seen = (label, source, nodes[:, ::64], *validation)
    digest = hashlib.sha256(described + b"".join(part.tobytes() for part in seen)).hexdigest()
    kept = out / f"gnn-{digest[:12]}"
    kept.mkdir(exist_ok=True)
    stopping = keras.callbacks.EarlyStopping(
        "val_loss", patience=settings.patience, restore_best_weights=True
    )
    backup = _Backup(kept, stopping)
    try:
        model.fit(
            faces,
            shuffle=False,  # each epoch has its own order already, a stopped run the same
            epochs=settings.epochs,
            validation_data=(validation[0], np.eye(len(CLASSES), dtype=np.float32)[validation[1]]),
            callbacks=[
                stopping,
                backup,
                keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: faces.begin(epoch)),
                keras.callbacks.TensorBoard(str(out / "tensorboard"), write_graph=False),
            ],
            verbose=2,
        )
    except (tf.errors.OpError, IndexError, SetupError) as error:  # a full disk, a damaged backup
        reason = str(getattr(error, "message", error)).splitlines()[0]
        raise SetupError(
            f"training stopped: {reason}; the same command goes on, or begins anew where {kept} "
            "is deleted"
        ) from None
    shutil.rmtree(kept)
    return backup.curves
