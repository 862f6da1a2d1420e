"""The two SVMs: the mission's baseline, and the best that the search found.

Everything is fitted on training data only; probabilities are calibrated on validation, outside
`SVC(probability=True)`, which scikit-learn is removing. What is saved are plain arrays, in the
form that `edge.classify.svm` runs, and scikit-learn's own answers on the validation set, which
`convert` compares with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from edge.types import CLASSES
from train.fitted import Fitted, features, temperature
from train.machine import LeastSquaresSvm, PartlyWhitenedPca
from train.prepare import Data, made

Array = NDArray[Any]
VIEWS = ("mirrored", "degraded", "worn")
"""Besides the pictures themselves: turned ones add nothing to these, and worn ones are turned."""


def baseline(data: Data) -> Fitted:
    """Distances to the nose tip → PCA 50 → StandardScaler → RBF SVM, C=5: the mission's baseline.

    Its 21 pairwise decisions become probabilities by multinomial Platt scaling.
    """
    name = "distances"
    training = features(name, data.landmarks)
    validation = features(name, data.validation_landmarks)
    pca = PartlyWhitenedPca(50, whitening=1).fit(training)
    svc = SVC(C=5, cache_size=2000, decision_function_shape="ovo")
    svc.fit(pca.transform(training), data.label)
    decision = svc.decision_function(pca.transform(validation))
    platt = LogisticRegression(max_iter=2000).fit(decision, data.validation_label)
    return Fitted(
        name,
        {
            "mean": pca.mean_,
            "projection": pca.projection_,
            "support_vectors": svc.support_vectors_,
            "gamma": np.array(svc._gamma),
            "dual_coef": one_against_one(svc),
            "intercept": svc.intercept_,
            "calibration": platt.coef_.T,
            "calibration_bias": platt.intercept_,
        },
        platt.predict_proba(decision),
        svc.predict(pca.transform(validation)),
        {"support_vectors": len(svc.support_vectors_)},
        {"explained variance": pca.explained_variance_ratio_.tolist()},
    )


def best(data: Data) -> Fitted:
    """Aligned inner points → PCA, partly whitened → least-squares RBF SVM: the best of the search.

    Trained on the pictures, also mirrored and degraded, and large ones worn; see `train.search` for
    what it won against.
    """
    name = "inner_xyz"
    seen = [data.landmarks, *(data.views[view] for view in VIEWS)]
    of = np.concatenate([np.flatnonzero(made(view)) for view in seen])
    training = features(name, np.concatenate([view[made(view)] for view in seen]))
    validation = features(name, data.validation_landmarks)
    pipeline = make_pipeline(PartlyWhitenedPca(), LeastSquaresSvm(candidates=len(data.label)))
    given = {"leastsquaressvm__source": data.source[of], "leastsquaressvm__picture": of}
    pipeline.fit(training, data.label[of], **given)
    pca, svm = (step for _, step in pipeline.steps)
    decision = pipeline.decision_function(validation)
    scale = temperature(decision[data.judged], data.validation_label[data.judged])
    return Fitted(
        name,
        {
            "mean": pca.mean_,
            "projection": pca.projection_,
            "support_vectors": svm.support_vectors_,
            "gamma": np.array(svm.gamma_),
            "dual_coef": svm.dual_coef_,
            "intercept": svm.intercept_,
            "calibration": np.eye(len(CLASSES)) * scale,
            "calibration_bias": np.zeros(len(CLASSES)),
        },
        softmax(decision * scale, axis=1),
        pipeline.predict(validation),
        {"support_vectors": len(svm.support_vectors_)},
        {"explained variance": pca.explained_variance_ratio_.tolist()},
    )


RECIPES: dict[str, Callable[[Data], Fitted]] = {"baseline": baseline, "svm": best}
"""Those that need no TensorFlow. `svm` is shipped."""


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
