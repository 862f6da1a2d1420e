"""The figures: what counts as lost, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.robustness.judge import interval, judge
from benchmarks.robustness.read import LABELS, Said
from benchmarks.robustness.report import verdict

UNKNOWN = LABELS.index("unknown")


def said(best: list[int], label: list[int] | None = None) -> Said:
    found = np.array(best)
    told = np.where(found < 0, UNKNOWN, found) if label is None else np.array(label)
    return Said(found, told, found >= 0)


def test_every_picture_counts() -> None:
    truth = np.array([0, 1, 2, 3, 4])
    clean = said([0, 1, 2, 3, 0])
    changed = said([0, 1, 0, -1, 4], [0, UNKNOWN, 0, UNKNOWN, 4])
    figures = judge(truth, changed, clean, np.arange(5))
    assert figures.pictures == 5
    assert figures.coverage == pytest.approx(0.8)
    assert figures.accuracy == pytest.approx(0.6)  # 0, 1 and 4
    assert figures.drop == pytest.approx(0.2)  # lost 2 and 3, gained 4
    assert figures.unknown == pytest.approx(0.4)
    assert figures.told == pytest.approx(2 / 3)
    assert figures.agreement == pytest.approx(0.4)


def test_nothing_changed_costs_nothing() -> None:
    truth, clean = np.array([0, 1, 2, 3]), said([0, 1, 0, -1])
    figures = judge(truth, clean, clean, np.arange(4))
    assert (figures.drop, figures.low, figures.high, figures.agreement) == (0, 0, 0, 1)


def test_fewer_pictures_are_compared_with_the_same_ones() -> None:
    truth = np.array([0, 0, 1, 1])
    figures = judge(truth, said([0, 0]), said([0, 0, 0, 0]), np.arange(4))
    assert (figures.pictures, figures.drop) == (2, 0)


def test_copies_make_nothing_surer() -> None:
    """Four copies of each picture tell what one of each does."""
    rng = np.random.default_rng(0)
    lost = rng.integers(-1, 2, 200).astype(float)
    group = np.arange(200)
    single = interval(lost, group)
    copied = interval(np.repeat(lost, 4), np.repeat(group, 4))
    assert copied == pytest.approx(single, abs=1e-9)
    taken_for_many = interval(np.repeat(lost, 4), np.arange(800))
    assert taken_for_many[1] - taken_for_many[0] < 0.7 * (single[1] - single[0])


def test_the_interval_is_that_of_the_mean() -> None:
    lost = np.random.default_rng(1).normal(0.3, 1, 1000)
    low, high = interval(lost, np.arange(1000))
    error = lost.std() / 1000**0.5
    assert (low + high) / 2 == pytest.approx(lost.mean(), abs=error / 4)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [(0, "held"), (18, "held, not proven"), (24, "broken, not proven"), (80, "broken")],
)
def test_the_verdict(wrong: int, expected: str) -> None:
    """Of a thousand pictures that were all right before."""
    answers = said([1] * wrong + [0] * (1000 - wrong))
    figures = judge(np.zeros(1000, int), answers, said([0] * 1000), np.arange(1000))
    assert verdict(figures) == expected
