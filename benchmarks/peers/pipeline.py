"""scikit-learn's pipeline of the public precursor, as plain arrays on disk.

Distances to the nose tip → PCA of 50 → StandardScaler → SVC (RBF, C=5, probabilities). Runs in the
precursor's environment: `python -m benchmarks.peers.pipeline FOLDER OUT.npz` fits it to the meshes
that `make train` keeps in FOLDER, or, where there are none, makes one of the same size by chance.
Arrays and not a pickle, since reading a pickle runs what is in it.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOSE_TIP = 1
COMPONENTS = 50
SUPPORT_VECTORS = (3420, 346, 3628, 3402, 4095, 4447, 1815)
"""Of each class, when fitted to FER-2013's training pictures without copies."""
INVENTED = "numbers by chance, of the fitted one's size"
"""What it is made from where there are no meshes."""
MADE_FROM = "made_from"
"""The array that says what the others were fitted to."""


def distances(landmarks: NDArray[np.floating]) -> NDArray[np.floating]:
    """Of every point to the nose tip in the picture plane, mean 1: (N, 468, 2 or 3) → (N, 468)."""
    offset = landmarks[..., :2] - landmarks[..., NOSE_TIP : NOSE_TIP + 1, :2]
    length = np.linalg.norm(offset, axis=-1)
    return length / length.mean(-1, keepdims=True)


def new() -> Any:
    """The pipeline, not fitted."""
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    svm = SVC(C=5, probability=True, cache_size=1000, random_state=0)
    return make_pipeline(PCA(COMPONENTS, random_state=0), StandardScaler(), svm)


def can_fit(folder: Path) -> bool:
    """Whether `make train` left what `fit` reads."""
    return all((folder / name).is_file() for name in ("splits.csv", "meshes.npz"))


def fit(folder: Path) -> tuple[Any, str]:
    """Fitted to FER-2013's training meshes in `folder`, and what to call it."""
    with (folder / "splits.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    label = {row["id"]: int(row["label"]) for row in rows if row["id"].startswith("fer2013/")}
    with np.load(folder / "meshes.npz", allow_pickle=False) as kept:
        chosen = np.isin(kept["id"], list(label))
        features = distances(kept["landmarks"][chosen].astype(np.float64))
        labels = np.array([label[one] for one in kept["id"][chosen]])
    pipeline = new().fit(features, labels)
    return pipeline, f"fitted to {len(labels)} meshes of FER-2013"


def invent() -> tuple[Any, str]:
    """Of the fitted one's size, with numbers by chance: it costs the same and tells nothing."""
    chance = np.random.default_rng(0)
    pipeline = new()
    classes = len(SUPPORT_VECTORS)
    few = chance.normal(1, 0.3, (classes * 60, 468))
    pipeline.fit(few, np.arange(len(few)) % classes)
    svm, count = pipeline[-1], sum(SUPPORT_VECTORS)
    svm.support_ = np.arange(count, dtype=np.int32)
    svm.support_vectors_ = chance.normal(0, 1, (count, COMPONENTS))
    svm._n_support = np.array(SUPPORT_VECTORS, np.int32)
    svm.dual_coef_ = svm._dual_coef_ = chance.uniform(-5, 5, (classes - 1, count))
    svm.shape_fit_ = (count, COMPONENTS)
    return pipeline, INVENTED


def save(path: Path, pipeline: Any, made_from: str) -> None:
    """What `load` needs, written whole or not at all."""
    arrays = {MADE_FROM: np.array(made_from)}
    for name, step in pipeline.steps:
        for attribute, value in vars(step).items():
            if attribute.endswith("_") or attribute.startswith("_"):  # what fitting has found
                array = np.asarray(value)
                if array.dtype.kind in "biufU":
                    arrays[f"{name}/{attribute}"] = array
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)
    part.replace(path)


def load(path: Path) -> Any:
    """The fitted pipeline."""
    pipeline = new()
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            if name != MADE_FROM:
                step, attribute = name.split("/")
                value = arrays[name]
                setattr(pipeline.named_steps[step], attribute, value if value.ndim else value[()])
    return pipeline


def made_from(path: Path) -> str:
    """What `save` was told. Raises OSError."""
    with np.load(path, allow_pickle=False) as arrays:
        return str(arrays[MADE_FROM])


def main(folder: Path, out: Path) -> None:
    """Make it, and see that what was saved answers alike."""
    pipeline, what = fit(folder) if can_fit(folder) else invent()
    save(out, pipeline, what)
    some = np.random.default_rng(1).normal(1, 0.3, (20, 468))
    if not np.array_equal(load(out).predict_proba(some), pipeline.predict_proba(some)):
        out.unlink()
        raise SystemExit("the saved pipeline does not answer as the fitted one does")
    print(f"{what}; support vectors: {pipeline[-1].n_support_.tolist()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
