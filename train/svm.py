"""The two SVMs: the mission's baseline, and the best that the search found.

Everything is fitted on training data only; probabilities are calibrated on validation, outside
`SVC(probability=True)`, which scikit-learn is removing. What is saved are plain arrays, in the
form that `edge.classify.svm` runs, and scikit-learn's own answers on the validation set, which
`convert` compares with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from edge.errors import SetupError
from edge.features import FEATURES
from edge.types import CLASSES

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Meshes and labels, split."""

    landmarks: Array
    """(N, 468, 3) of the training pictures."""
    mirrored: Array
    """(N, 468, 3) of the mirrored training pictures."""
    label: Array
    """(N,) indices into CLASSES."""
    source: Array
    """(N,) data set."""
    validation_landmarks: Array
    """(V, 468, 3)."""
    validation_label: Array
    """(V,)."""
    validation_source: Array
    """(V,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained SVM, reduced to arrays."""

    feature: str
    """Name in `edge.features.FEATURES`."""
    arrays: Mapping[str, Array]
    """As `edge.classify.svm` documents them, float64 as fitted."""
    probabilities: Array
    """(V, 7) of the validation set, by scikit-learn."""
    explained_variance: Array
    """(k,) share of each PCA component."""


def features(name: str, landmarks: Array) -> Array:
    """(N, 468, 3) → (N, d), by the code that runs on the device.

    float64, so that scikit-learn computes in it: its answers are what float32 is judged by.
    """
    compute = FEATURES[name].compute
    return np.stack([compute(mesh) for mesh in landmarks]).astype(np.float64)


def calibrate(decision: Array, label: Array) -> LogisticRegression:
    """Decisions (V, m) → probabilities: multinomial Platt scaling."""
    return LogisticRegression(C=1.0, max_iter=2000).fit(decision, label)


def baseline(data: Data) -> Fitted:
    """Distances to the nose tip → PCA 50 → StandardScaler → RBF SVM, C=5 (the mission's)."""
    name = "distances"
    training = features(name, data.landmarks)
    project = projection(PCA(50, random_state=0), training)
    svc = SVC(C=5, cache_size=2000).fit(project.transform(training), data.label)
    pipeline = make_pipeline(*(step for _, step in project.steps), svc)
    return reduce(name, pipeline, features(name, data.validation_landmarks), data.validation_label)


RECIPES: dict[str, Callable[[Data], Fitted]] = {"baseline": baseline}
"""What `make train` fits."""


def projection(pca: PCA, training: Array) -> Pipeline:
    """Fit PCA → StandardScaler, then fold the scaler into the PCA and round to float32.

    The device holds these arrays in float32. Late components are divided by small deviations,
    which would make of that rounding a difference of 1e-4; so the SVM is trained behind the very
    numbers that the device will use.
    """
    scaler = StandardScaler()
    scaler.fit(pca.fit_transform(training))
    pca.mean_ = (pca.mean_ + scaler.mean_ @ pca.components_).astype(np.float32).astype(float)
    folded = pca.components_ / scaler.scale_[:, None]
    pca.components_ = folded.astype(np.float32).astype(float)
    scaler.mean_, scaler.scale_ = np.zeros_like(scaler.mean_), np.ones_like(scaler.scale_)
    return make_pipeline(pca, scaler)


def reduce(name: str, pipeline: Pipeline, validation: Array, label: Array) -> Fitted:
    """A fitted PCA → StandardScaler → SVC as arrays, calibrated on `validation` (V, d)."""
    pca, _, svc = (step for _, step in pipeline.steps)
    svc.decision_function_shape = "ovo"
    decision = pipeline.decision_function(validation)
    calibrator = calibrate(decision, label)
    return Fitted(
        name,
        {
            "mean": pca.mean_,
            "projection": pca.components_.T,
            "support_vectors": svc.support_vectors_,
            "gamma": np.array(svc._gamma),
            "dual_coef": one_against_one(svc),
            "intercept": svc.intercept_,
            "calibration": calibrator.coef_.T,
            "calibration_bias": calibrator.intercept_,
        },
        calibrator.predict_proba(decision),
        pca.explained_variance_ratio_,
    )


def one_against_one(svc: SVC) -> Array:
    """libsvm's packed dual coefficients as a matrix (n, 21): a column for each pair of classes."""
    first = np.concatenate([[0], np.cumsum(svc.n_support_)])
    classes = len(svc.n_support_)
    pairs = [(i, j) for i in range(classes) for j in range(i + 1, classes)]
    out = np.zeros((len(svc.support_vectors_), len(pairs)))
    for column, (i, j) in enumerate(pairs):
        of_i, of_j = slice(*first[i : i + 2]), slice(*first[j : j + 2])
        # Row r of dual_coef_ holds a vector's weights against the other classes, its own left out.
        out[of_i, column] = svc.dual_coef_[j - 1, of_i]
        out[of_j, column] = svc.dual_coef_[i, of_j]
    return out


def save(path: Path, fitted: Fitted, data: Data, about: Mapping[str, Any]) -> None:
    """What `convert` needs: arrays, and scikit-learn's answers. No pickle."""
    name = path.stem
    description = {
        "feature": fitted.feature,
        "classes": list(CLASSES),
        "dataset": about["dataset"],
        "meshes": about["meshes"],
        "training": about["models"][name],
    }
    try:
        np.savez_compressed(
            path,
            description=np.array(json.dumps(description, sort_keys=True)),
            validation_landmarks=data.validation_landmarks,
            validation_probabilities=fitted.probabilities,
            **{f"array_{key}": value for key, value in fitted.arrays.items()},
        )
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror or error}") from None
