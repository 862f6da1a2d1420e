"""The reduced machine against scikit-learn's own parts, where it has to be the same thing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from train.balance import weights
from train.machine import LeastSquaresSvm, PartlyWhitenedPca, _shares


@pytest.fixture(scope="module")
def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    features, labels = make_classification(
        1400, 20, n_informative=12, n_classes=7, random_state=0, class_sep=1.5
    )
    features = features.astype(np.float16).astype(np.float64)
    return features[:900], labels[:900], features[900:], labels[900:]


def test_with_all_vectors_it_is_kernel_ridge(problem) -> None:
    features, labels, others, _ = problem
    machine = LeastSquaresSvm(vectors=10**6, C=10, balance=0, jitter=1e-12).fit(features, labels)
    targets = np.eye(7)[labels] * 2 - 1
    ridge = KernelRidge(alpha=0.1, kernel="rbf", gamma=machine.gamma_)
    ridge.fit(features, targets - targets.mean(axis=0))
    expected = ridge.predict(others) + targets.mean(axis=0)
    np.testing.assert_allclose(machine.decision_function(others), expected, atol=0.02)


def test_views_weigh_what_their_picture_weighs(problem) -> None:
    """A second view (here: the same) of one source's pictures does not make the source larger."""
    features, labels, others, _ = problem
    source = np.arange(len(labels)) % 3 // 2  # a third is of the second source
    picture = np.concatenate([np.arange(len(labels)), np.flatnonzero(source)])
    machine = LeastSquaresSvm(10**6, C=10, balance=0.5, jitter=1e-12, candidates=len(labels))
    machine.fit(features[picture], labels[picture], source[picture], picture)
    weight = weights(labels, source, 0.5) * np.bincount(picture)
    targets = np.eye(7)[labels] * 2 - 1
    mean = weight @ targets / weight.sum()
    ridge = KernelRidge(alpha=0.1, kernel="rbf", gamma=machine.gamma_)
    ridge.fit(features, targets - mean, sample_weight=weight)
    expected = ridge.predict(others) + mean
    np.testing.assert_allclose(machine.decision_function(others), expected, atol=0.02)


def test_few_vectors_come_close_to_an_svc(problem) -> None:
    features, labels, others, truth = problem
    svc = SVC(C=5).fit(features, labels)
    machine = LeastSquaresSvm(vectors=300).fit(features, labels)
    assert len(machine.support_vectors_) <= 300 < svc.n_support_.sum()
    reduced = accuracy_score(truth, machine.predict(others))
    assert reduced > accuracy_score(truth, svc.predict(others)) - 0.05


def test_vectors_lose_nothing_in_float16(problem) -> None:
    machine = clone(LeastSquaresSvm(vectors=100)).fit(*problem[:2])
    vectors = machine.support_vectors_
    np.testing.assert_array_equal(vectors.astype(np.float16).astype(np.float64), vectors)


def test_balance_helps_the_rare_class(problem) -> None:
    features, labels, others, truth = problem
    kept = (labels != 2) | (np.arange(len(labels)) % 8 == 0)
    recall = [
        (LeastSquaresSvm(balance=b).fit(features[kept], labels[kept]).predict(others) == 2)[
            truth == 2
        ].mean()
        for b in (0.0, 1.0)
    ]
    assert recall[1] > recall[0]


def test_whitening_spans_from_pca_to_standard_scaler(problem) -> None:
    features, _, others, _ = problem
    pca = PCA(5, svd_solver="full").fit(features)
    plain = PartlyWhitenedPca(5, 0.0).fit(features).transform(others)
    np.testing.assert_allclose(plain, pca.transform(others), atol=1e-5)
    scaler = StandardScaler().fit(pca.transform(features))
    white = PartlyWhitenedPca(5, 1.0).fit(features).transform(others)
    # scikit-learn's two ways to estimate a variance differ by n / (n - 1).
    np.testing.assert_allclose(white, scaler.transform(pca.transform(others)), rtol=1e-2, atol=1e-3)


def test_fewer_rows_than_components_is_no_error(problem) -> None:
    features = problem[0]
    assert PartlyWhitenedPca(80).fit(features[:9]).transform(features).shape == (len(features), 9)


@given(st.lists(st.integers(1, 9000), min_size=2, max_size=7), st.integers(14, 20000))
def test_shares_fit_the_classes_and_the_total(counts: list[int], total: int) -> None:
    shares = _shares(np.array(counts), total)
    assert all(1 <= share <= count for share, count in zip(shares, counts, strict=True))
    assert sum(shares) <= total + len(counts)  # each class keeps at least one
    assert sum(shares) >= min(total, sum(counts)) - len(counts)
