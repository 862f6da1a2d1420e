"""The SVM on plain arrays against scikit-learn."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from edge.classify.svm import ARRAYS, SupportVectorMachine
from edge.errors import SetupError
from train.machine import PartlyWhitenedPca
from train.svm import one_against_one

SIZE = 40


class Problem(NamedTuple):
    """Seven classes, an SVM of scikit-learn for them, and points that it has not seen."""

    pca: PartlyWhitenedPca
    svc: SVC
    platt: LogisticRegression
    arrays: dict[str, np.ndarray]
    unseen: np.ndarray


@pytest.fixture(scope="module")
def problem() -> Problem:
    points, label = make_classification(
        1400, SIZE, n_informative=12, n_classes=7, n_clusters_per_class=1, random_state=3
    )
    points = points.astype(np.float32).astype(float)  # as features are
    training, validation, unseen = points[:600], points[600:1000], points[1000:]
    pca = PartlyWhitenedPca(15, whitening=1).fit(training)
    svc = SVC(C=5, decision_function_shape="ovo")
    svc.fit(pca.transform(training), label[:600])
    decision = svc.decision_function(pca.transform(validation))
    platt = LogisticRegression(max_iter=2000).fit(decision, label[600:1000])
    arrays = {
        "mean": pca.mean_,
        "projection": pca.projection_,
        "support_vectors": svc.support_vectors_,
        "gamma": np.array(svc._gamma),
        "dual_coef": one_against_one(svc),
        "intercept": svc.intercept_,
        "calibration": platt.coef_.T,
        "calibration_bias": platt.intercept_,
    }
    assert set(arrays) == set(ARRAYS)
    return Problem(pca, svc, platt, arrays, unseen)


def saved(folder: Path, arrays: dict[str, Any]) -> Path:
    np.savez(folder / "svm.npz", **arrays)
    return folder / "svm.npz"


def test_probabilities_and_labels_of_unseen_points(problem: Problem, tmp_path: Path) -> None:
    machine = SupportVectorMachine(saved(tmp_path, problem.arrays), SIZE)
    got = np.stack([machine(point.astype(np.float32)) for point in problem.unseen])
    decision = problem.svc.decision_function(problem.pca.transform(problem.unseen))
    expected = problem.platt.predict_proba(decision)
    assert (got.shape, got.dtype) == (expected.shape, np.float32)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_array_equal(got.argmax(axis=1), problem.platt.predict(decision))
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-6)
    assert len(set(got.argmax(axis=1))) == 7  # else equal labels would say little


def test_one_against_one_is_libsvms_decision(problem: Problem) -> None:
    points = problem.pca.transform(problem.unseen)
    square = ((points[:, None] - problem.svc.support_vectors_) ** 2).sum(axis=2)
    kernel = np.exp(-problem.svc._gamma * square)
    weights = one_against_one(problem.svc)
    assert weights.shape == (len(problem.svc.support_vectors_), 21)
    decision = kernel @ weights + problem.svc.intercept_
    np.testing.assert_allclose(decision, problem.svc.decision_function(points), atol=1e-9)


def test_a_reading_far_from_all_is_still_a_probability(problem: Problem, tmp_path: Path) -> None:
    machine = SupportVectorMachine(saved(tmp_path, problem.arrays), SIZE)
    for value in (0.0, 1e3, -1e6):
        got = machine(np.full(SIZE, value, np.float32))
        assert np.isfinite(got).all()
        assert got.sum() == pytest.approx(1, abs=1e-6)


def refusal(path: Path, size: int = SIZE) -> str:
    with pytest.raises(SetupError) as error:
        SupportVectorMachine(path, size)
    message = str(error.value)
    assert str(path) in message
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("name", ARRAYS)
def test_missing_array(problem: Problem, tmp_path: Path, name: str) -> None:
    arrays = {key: value for key, value in problem.arrays.items() if key != name}
    assert name in refusal(saved(tmp_path, arrays))


@pytest.mark.parametrize(
    ("name", "shape"),
    [("mean", (SIZE + 1,)), ("projection", (SIZE, 14)), ("support_vectors", (9, 15))],
)
def test_shapes_that_do_not_fit(
    problem: Problem, tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    path = saved(tmp_path, {**problem.arrays, name: np.ones(shape)})
    assert "shapes do not fit" in refusal(path)


def test_another_feature(problem: Problem, tmp_path: Path) -> None:
    path = saved(tmp_path, problem.arrays)
    assert "shapes do not fit" in refusal(path, SIZE * 3)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("mean", ()),
        ("projection", (SIZE,)),
        ("support_vectors", (15,)),
        ("gamma", (3,)),
        ("dual_coef", (9, 20)),
        ("intercept", (20,)),
        ("calibration", (20, 7)),
        ("calibration_bias", (3,)),
    ],
)
def test_shapes_that_numpy_stumbles_over(
    problem: Problem, tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    path = saved(tmp_path, {**problem.arrays, name: np.ones(shape)})
    assert "shapes do not fit" in refusal(path)


def test_a_pickle_is_never_loaded(problem: Problem, tmp_path: Path) -> None:
    """It would run what it likes on the device."""
    refusal(saved(tmp_path, {**problem.arrays, "gamma": np.array([{}], object)}))
    (tmp_path / "plain.npz").write_bytes(pickle.dumps({"gamma": 1}))
    refusal(tmp_path / "plain.npz")


def test_broken_files(problem: Problem, tmp_path: Path) -> None:
    refusal(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("hello")
    refusal(tmp_path / "text.npz")
    path = saved(tmp_path, problem.arrays)
    path.write_bytes(path.read_bytes()[:1000])
    refusal(path)
    refusal(saved(tmp_path, {**problem.arrays, "gamma": np.array("a")}))


@pytest.mark.parametrize("kind", ["empty", "npy", "damaged"])
def test_files_broken_otherwise(problem: Problem, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "svm.npz"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "npy":
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    else:
        np.savez_compressed(path, **problem.arrays)
        data = bytearray(path.read_bytes())
        data[3000:3100] = b"\xff" * 100
        path.write_bytes(data)
    refusal(path)
