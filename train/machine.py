"""A least-squares RBF support vector machine with a chosen number of vectors, for scikit-learn.

An SVC keeps about 22,000 of 27,000 training faces as support vectors: too many for the device.
Here the vectors are chosen first (k-means centres of each class) and the machine is fitted on all
faces with these vectors only:

    min over W, b of  sum_i w_i |K(x_i, V) W + b - t_i|² + 1/C  trace(W' K(V, V) W)

with targets t of ±1 (one class against the rest): the least-squares SVM (Suykens & Vandewalle,
1999) in its reduced, fixed-size form (Espinoza et al., 2006).

Faces of several sources are weighed within each (`train.balance`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve
from scipy.linalg.blas import dsyrk
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import rbf_kernel

from train.balance import weights

Array = NDArray[Any]
_BLOCK = 4096
"""Faces whose kernel rows are held at once."""


class PartlyWhitenedPca(TransformerMixin, BaseEstimator):
    """PCA whose components are divided by their standard deviation to the power `whitening`.

    0 is plain PCA, 1 is PCA → StandardScaler. The arrays are rounded to float32, in which the
    device holds them: the machine is trained behind the very numbers that the device will use.
    """

    def __init__(self, components: int = 80, whitening: float = 0.8) -> None:
        self.components = components
        self.whitening = whitening

    def fit(self, features: Array, labels: Array | None = None) -> PartlyWhitenedPca:
        """`features` (N, d)."""
        pca = PCA(min(self.components, *features.shape), svd_solver="full").fit(features)
        deviation = np.sqrt(np.maximum(pca.explained_variance_, 1e-12))
        self.mean_ = pca.mean_.astype(np.float32).astype(np.float64)
        scaled = (pca.components_ / (deviation**self.whitening)[:, None]).T
        self.projection_ = scaled.astype(np.float32).astype(np.float64)
        self.explained_variance_ratio_ = pca.explained_variance_ratio_
        return self

    def transform(self, features: Array) -> Array:
        """(N, d) → (N, components)."""
        return (features - self.mean_) @ self.projection_


class LeastSquaresSvm(ClassifierMixin, BaseEstimator):
    """See the module. `gamma` is in units of 1 / median |x|², `C` as in an SVC.

    `vectors`: how many to keep; all faces where there are fewer. `balance`: classes are weighted
    by (their share of their source)^-balance; 0 for not at all, 1 for all alike. `jitter` is added
    to the diagonal: vectors that nearly coincide leave the matrix regular, their weights do not
    cancel each other in the device's float32, and the more of it, the less a mesh a little off
    changes the answer.
    `candidates`: the vectors are chosen among so many first rows (all rows by default): other
    views, which follow behind them, teach the machine but are not worth a vector.
    """

    def __init__(
        self,
        vectors: int = 12000,
        gamma: float = 1.0,
        C: float = 10.0,
        balance: float = 0.3,
        jitter: float = 0.01,
        candidates: int | None = None,
        seed: int = 0,
    ) -> None:
        self.vectors = vectors
        self.gamma = gamma
        self.C = C
        self.balance = balance
        self.jitter = jitter
        self.candidates = candidates
        self.seed = seed

    def fit(
        self,
        features: Array,
        labels: Array,
        source: Array | None = None,
        picture: Array | None = None,
    ) -> LeastSquaresSvm:
        """`features` (N, k), `labels` (N,), and where they are of several, their `source` (N,).

        `picture` (N,): the candidate of which each row is a view. It weighs what that one weighs,
        however many views others have; else every row counts as a picture.
        """
        self.classes_, index = np.unique(labels, return_inverse=True)
        of = np.unique(np.zeros(len(index)) if source is None else source, return_inverse=True)[1]
        self.gamma_ = float(np.float32(self.gamma / np.median((features**2).sum(axis=1))))
        first = slice(self.candidates)
        self.support_vectors_ = self._choose(features[first], index[first], of[first])
        vectors = self.support_vectors_.astype(np.float32)
        if picture is None:
            weight = weights(index, of, self.balance)
        else:
            weight = weights(index[first], of[first], self.balance)[picture]
        targets = np.eye(len(self.classes_))[index] * 2 - 1
        self.intercept_ = weight @ targets / weight.sum()
        # Column-major, and only the upper half: what BLAS fills in place.
        left = np.asfortranarray(rbf_kernel(vectors, vectors, self.gamma_), np.float64)
        left /= self.C
        left[np.diag_indices_from(left)] += self.jitter
        right = np.zeros((len(vectors), targets.shape[1]))
        for start in range(0, len(features), _BLOCK):
            rows = slice(start, start + _BLOCK)
            kernel = rbf_kernel(features[rows].astype(np.float32), vectors, self.gamma_)
            kernel = kernel.astype(np.float64)  # its square in float32 would not stay definite
            root = np.sqrt(weight[rows, None])
            kernel *= root
            left = dsyrk(1.0, kernel.T, beta=1.0, c=left, overwrite_c=True)
            right += kernel.T @ (root * (targets[rows] - self.intercept_))
        dual = solve(left, right, assume_a="pos", overwrite_a=True, check_finite=False)
        # Judged and compared as shipped.
        self.dual_coef_ = dual.astype(np.float32).astype(np.float64)
        self.intercept_ = self.intercept_.astype(np.float32).astype(np.float64)
        return self

    def decision_function(self, features: Array) -> Array:
        """(N, k) → (N, classes)."""
        kernel = rbf_kernel(features, self.support_vectors_, self.gamma_)
        return kernel @ self.dual_coef_ + self.intercept_

    def predict(self, features: Array) -> Array:
        """(N, k) → (N,) labels."""
        return self.classes_[self.decision_function(features).argmax(axis=1)]

    def _choose(self, features: Array, index: Array, of: Array) -> Array:
        """k-means centres of each class of each source, rounded to float16, as they are shipped.

        Sources share by (count)², which is what they weigh; in a source rare classes get more than
        their share: (count)^0.7.
        """
        sizes = np.bincount(of).astype(float)
        chosen = []
        for source, size in enumerate(sizes):
            total = round(self.vectors * size**2 / (sizes**2).sum())
            counts = np.bincount(index[of == source])
            for label, keep in enumerate(_shares(counts, total)):
                rows = features[(of == source) & (index == label)]
                chosen.append(self._centres(rows, keep) if keep < len(rows) else rows)
        return np.concatenate(chosen).astype(np.float16).astype(np.float64)

    def _centres(self, rows: Array, count: int) -> Array:
        """`count` k-means centres of `rows` (N, k)."""
        means = MiniBatchKMeans(
            count,
            init="random",
            n_init=1,
            max_iter=8,
            batch_size=_BLOCK,
            reassignment_ratio=0,
            random_state=self.seed,
        )
        centres: Array = means.fit(rows.astype(np.float32)).cluster_centers_
        return centres


def _shares(counts: Array, total: int) -> list[int]:
    """How many of `total` vectors each class gets: ~ count^0.7, at most all of its faces."""
    wanted = counts**0.7
    full = np.zeros(len(counts), bool)
    share = counts.astype(float)
    while counts.sum() > total:
        free = total - counts[full].sum()
        share = np.where(full, counts, wanted * free / max(wanted[~full].sum(), 1e-12))
        if (share <= counts).all():
            break
        full |= share > counts
    return np.where(counts > 0, np.maximum(np.floor(share), 1), 0).astype(int).tolist()
