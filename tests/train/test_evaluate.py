"""The report's figures against scikit-learn."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, recall_score

from edge.types import CLASSES
from train.evaluate import by_source, coverage, metrics

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=60)


@settings(max_examples=40)
@given(PAIRS)
def test_metrics(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    got = metrics(truth, predicted)
    assert got["pictures"] == len(pairs)
    assert got["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    expected = classification_report(
        truth,
        predicted,
        labels=range(7),
        target_names=CLASSES,
        output_dict=True,
        zero_division=0,
    )
    occur = [CLASSES[i] for i in np.unique(truth)]
    assert got["macro_f1"] == pytest.approx(np.mean([expected[c]["f1-score"] for c in occur]))
    for name in CLASSES:
        row, figures = expected[name], got["per_class"][name]
        assert figures["precision"] == pytest.approx(row["precision"])
        assert figures["recall"] == pytest.approx(row["recall"])
        assert figures["f1"] == pytest.approx(row["f1-score"])
        assert figures["pictures"] == row["support"]
    json.dumps(got)  # plain numbers


def test_confusion_has_the_truth_in_its_rows() -> None:
    truth, predicted = np.array([0, 0, 1, 6]), np.array([0, 2, 1, 5])
    got = np.array(metrics(truth, predicted)["confusion"])
    np.testing.assert_array_equal(got, confusion_matrix(truth, predicted, labels=range(7)))
    assert (got[0, 2], got[2, 0], got[6, 5]) == (1, 0, 1)
    recalls = recall_score(truth, predicted, labels=range(7), average=None, zero_division=0)
    np.testing.assert_allclose(got.diagonal() / np.maximum(got.sum(axis=1), 1), recalls)


def test_no_pictures() -> None:
    assert metrics(np.array([], int), np.array([], int)) == {"pictures": 0}


def test_by_source() -> None:
    truth, predicted = np.array([0, 1, 2, 3]), np.array([0, 1, 2, 0])
    got = by_source(truth, predicted, np.array(["a", "b", "a", "b"]))
    assert {name: rows["accuracy"] for name, rows in got.items()} == {"a": 1.0, "b": 0.5}


def test_coverage() -> None:
    """A presence of just 0.5 counts, as it does on the device."""
    presence = np.array([0.5, 0.49, 1.0, 0.0], np.float32)
    got = coverage(presence, np.array([3, 3, 5, 5]), np.array(["a", "a", "a", "b"]))
    assert got["a"]["happy"] == {"pictures": 2, "believed": 0.5}
    assert got["a"]["sad"] == {"pictures": 1, "believed": 1.0}
    assert got["a"]["angry"] == {"pictures": 0, "believed": None}
    assert got["a"]["all"] == {"pictures": 3, "believed": pytest.approx(2 / 3)}
    assert got["b"]["all"] == {"pictures": 1, "believed": 0.0}
    json.dumps(got)
