"""The figures of an evaluation: against scikit-learn and scipy, and what must always hold."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from benchmarks.evaluate import metrics

Answers = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def answers(count: int, seed: int, *, missing: float = 0.1, steps: int = 0) -> Answers:
    """Truth, probabilities, weights, groups. `steps`: confidences that are tied often."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 7, count)
    logits = rng.normal(0, 1, (count, 7)) + 1.5 * np.eye(7)[truth]
    if steps:
        logits = np.round(logits * steps) / steps
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities[rng.random(count) < missing] = np.nan
    return truth, probabilities, rng.integers(0, 4, count).astype(float), np.arange(count) // 3


some = st.builds(
    answers,
    st.integers(1, 80),
    st.integers(0, 10_000),
    missing=st.sampled_from([0.0, 0.1, 0.9]),
    steps=st.sampled_from([0, 1]),
)


@given(some)
def test_scores_are_scikit_learns(given_: Answers) -> None:
    truth, probabilities, weight, _ = given_
    weight = weight + 0.5  # a class that occurs has some weight
    answer = metrics.predicted(probabilities)
    got = metrics.scorer(truth, probabilities)(weight)
    occur = np.unique(truth)
    of_all: dict[str, Any] = {"sample_weight": weight, "zero_division": 0}
    assert got["accuracy"] == pytest.approx(
        reference.accuracy_score(truth, answer, sample_weight=weight)
    )
    assert got["macro_f1"] == pytest.approx(
        reference.f1_score(truth, answer, labels=occur, average="macro", **of_all)
    )
    assert got["balanced_accuracy"] == pytest.approx(
        reference.recall_score(truth, answer, labels=occur, average="macro", **of_all)
    )
    rows = reference.precision_recall_fscore_support(truth, answer, labels=range(7), **of_all)
    for key, values in zip(("precision", "recall", "f1"), rows, strict=False):
        for i, name in enumerate(metrics.CLASSES):
            assert got[f"{key}/{name}"] == pytest.approx(values[i])
    np.testing.assert_allclose(
        metrics.confusion(truth, answer, weight),
        reference.confusion_matrix(truth, answer, labels=range(8), sample_weight=weight)[:7],
    )


@given(some)
def test_losses_are_scikit_learns(given_: Answers) -> None:
    truth, probabilities, weight, _ = given_
    mesh = ~np.isnan(probabilities[:, 0])
    weight = weight + 0.5
    got = metrics.scorer(truth, probabilities)(weight)
    if not mesh.any():
        assert np.isnan(got["brier"]) and np.isnan(got["nll"]) and got["ece"] == 0
        return
    asked = (truth[mesh], probabilities[mesh])
    options: dict[str, Any] = {"labels": range(7), "sample_weight": weight[mesh]}
    assert got["nll"] == pytest.approx(reference.log_loss(*asked, **options))
    assert got["brier"] == pytest.approx(
        reference.brier_score_loss(*asked, scale_by_half=False, **options)
    )


def test_a_truth_of_no_probability_costs_no_infinity() -> None:
    certain = np.eye(7)[[3]]
    assert metrics.log_loss(np.array([3]), certain) == 0
    assert 15 < metrics.log_loss(np.array([4]), certain)[0] < 17


@given(some)
def test_reliability_is_scikit_learns(given_: Answers) -> None:
    truth, probabilities, _, _ = given_
    sure, right = metrics.confidence(probabilities), metrics.predicted(probabilities) == truth
    bins = metrics.reliability(sure, right)
    kept = bins["weight"] > 0
    hits, confident = calibration_curve(right, sure, n_bins=15)
    np.testing.assert_allclose(bins["accuracy"][kept], hits)
    np.testing.assert_allclose(bins["confidence"][kept], confident)
    assert bins["weight"].sum() == len(truth)
    error = np.abs(hits - confident) @ bins["weight"][kept] / len(truth)
    assert metrics.calibration_error(sure, right) == pytest.approx(error)


@given(some)
def test_all_figures_keep_their_bounds(given_: Answers) -> None:
    truth, probabilities, weight, _ = given_
    got = metrics.scorer(truth, probabilities)(weight)
    for name, value in got.items():
        most = {"brier": 2, "nll": 17}.get(name, 1)
        assert np.isnan(value) or -1e-12 <= value <= most + 1e-12, name


def test_who_says_what_is_so_is_calibrated() -> None:
    """Of 10 answers with confidence 0.7, 7 are right."""
    sure, right = np.repeat([0.7, 0.9], 10), np.array([1] * 7 + [0] * 3 + [1] * 9 + [0])
    assert metrics.calibration_error(sure, right) == pytest.approx(0)
    assert metrics.calibration_error(np.full(4, 0.9), np.zeros(4)) == pytest.approx(0.9)


@given(some, st.randoms(use_true_random=False))
def test_the_order_of_pictures_does_not_matter(given_: Answers, random: Any) -> None:
    """Also where confidences are tied, and for the intervals."""
    order = list(range(len(given_[0])))
    random.shuffle(order)
    one, other = (
        metrics.with_intervals(metrics.scorer(truth, probabilities), group, samples=3)
        for truth, probabilities, _, group in (given_, [column[order] for column in given_])
    )
    for name, ends in one.items():
        for key, value in ends.items():
            assert other[name][key] == (value if value is None else pytest.approx(value)), name


@given(some)
def test_a_picture_that_counts_twice_is_two_pictures(given_: Answers) -> None:
    truth, probabilities, weight, _ = given_
    if not weight.any():
        return
    rows = np.repeat(np.arange(len(truth)), weight.astype(int))
    weighed = metrics.scorer(truth, probabilities)(weight)
    repeated = metrics.scorer(truth[rows], probabilities[rows])(np.ones(len(rows)))
    for name, value in weighed.items():
        assert repeated[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


def test_risk_and_coverage() -> None:
    sure = np.array([0.9, 0.8, 0.8, 0.5, 0.0])
    right = np.array([True, True, False, False, False])
    coverage, risk = metrics.risk_coverage(sure, right)
    np.testing.assert_allclose(coverage, [0.2, 0.6, 0.8, 1.0])
    np.testing.assert_allclose(risk, [0, 1 / 3, 1 / 2, 3 / 5])
    assert metrics.accuracy_at(1.0, coverage, risk) == pytest.approx(0.4)
    assert metrics.accuracy_at(0.2, coverage, risk) == pytest.approx(1.0)
    # Half of the two that are tied: one is right, half of a picture each.
    assert metrics.accuracy_at(0.4, coverage, risk) == pytest.approx(0.75)


def test_no_mesh_is_wrong_and_asked_last() -> None:
    truth, probabilities = np.array([0, 1, 2]), np.eye(7)[[0, 1, 2]]
    probabilities[2] = np.nan
    got = metrics.scorer(truth, probabilities)(np.ones(3))
    assert got["accuracy"] == pytest.approx(2 / 3)
    assert got["mesh"] == got["told"] == pytest.approx(2 / 3)
    assert got["accuracy_told"] == 1
    assert got["accuracy_at_70"] == pytest.approx(2 / 3 / 0.7)
    assert got["recall/fear"] == 0 and got["recall/angry"] == 1
    unsure = metrics.scorer(truth, probabilities, np.array([True, False, False]))(np.ones(3))
    assert (unsure["told"], unsure["accuracy_told"]) == (pytest.approx(1 / 3), 1.0)
    assert unsure["accuracy"] == got["accuracy"]


def test_copies_make_no_interval_narrower() -> None:
    """Each picture four times, in its group: what is known is what was known before."""
    truth, probabilities, _, _ = answers(60, 3)
    group = np.arange(60)
    once = metrics.bootstrap(metrics.scorer(truth, probabilities), group, samples=200)
    again = [np.tile(truth, 4), np.tile(probabilities, (4, 1))]
    grouped = metrics.bootstrap(metrics.scorer(*again), np.tile(group, 4), samples=200)
    alone = metrics.bootstrap(metrics.scorer(*again), np.arange(240), samples=200)
    for name in ("accuracy", "macro_f1", "ece", "nll"):
        assert grouped[name] == pytest.approx(once[name])
        assert alone[name] is not None and once[name] is not None
        assert alone[name][1] - alone[name][0] < 0.7 * (once[name][1] - once[name][0])


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """200 studies of 150 coins, each thrown twice with one result: 95 % of the intervals hold."""
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        coins = np.repeat(rng.random(150) < 0.6, 2)
        ends = metrics.bootstrap(
            lambda weight, coins=coins: {"heads": float(weight @ coins / weight.sum())},
            np.arange(300) // 2,
            samples=300,
            seed=seed,
        )["heads"]
        assert ends is not None
        held += ends[0] <= 0.6 <= ends[1]
    assert 180 <= held <= 199


def test_few_groups_have_no_interval() -> None:
    truth, probabilities, _, group = answers(24, 0)
    got = metrics.with_intervals(metrics.scorer(truth, probabilities), group)
    assert got["accuracy"]["value"] is not None
    assert got["accuracy"]["low"] is None is got["accuracy"]["high"]
    json.dumps(got, allow_nan=False)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=120))
def test_mcnemar_is_the_exact_binomial_test(pairs: list[tuple[bool, bool]]) -> None:
    one, other = np.array(pairs, bool).reshape(-1, 2).T
    got = metrics.mcnemar(one, other, np.arange(len(pairs)))
    first, second = int((one & ~other).sum()), int((other & ~one).sum())
    assert (got["one"], got["other"]) == (first, second)
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert got["p"] == pytest.approx(expected)
    copied = metrics.mcnemar(np.tile(one, 3), np.tile(other, 3), np.tile(np.arange(len(pairs)), 3))
    assert copied == got


def test_mcnemar_of_thousands() -> None:
    votes = np.arange(20_000) < 10_300
    got = metrics.mcnemar(votes, ~votes, np.arange(20_000))
    assert got["p"] == pytest.approx(binomtest(9_700, 20_000).pvalue)


def test_a_paired_difference_is_known_better_than_its_parts() -> None:
    truth, probabilities, _, _ = answers(400, 5, missing=0)
    other = probabilities.copy()
    other[:8] = np.eye(7)[truth[:8]]
    scores = [metrics.scorer(truth, given_) for given_ in (probabilities, other)]
    apart = [metrics.bootstrap(score, np.arange(400))["accuracy"] for score in scores]
    between = metrics.bootstrap(metrics.difference(*scores), np.arange(400))["accuracy"]
    assert between is not None and all(apart)
    assert 0 <= between[0] <= 8 / 400 and between[1] - between[0] < 0.03
    assert all(ends is not None and ends[1] - ends[0] > 0.06 for ends in apart)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_many_tests_ask_for_more(p: list[float]) -> None:
    found = metrics.holm(p)
    assert all(value <= 0.05 for value, one in zip(p, found, strict=True) if one)
    assert all(one for value, one in zip(p, found, strict=True) if value <= 0.05 / len(p))
    assert metrics.holm([0.04, 0.04]) == [False, False]
    assert metrics.holm([0.04, 0.02]) == [True, True]
