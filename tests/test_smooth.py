"""A steady label: still faces stay, changes are told soon, old news is never told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import Recognizer
from edge.settings import SmoothSettings
from edge.smooth import Smoother
from edge.types import CLASSES, Frame, Gap, Mesh, Reading

RATE = 15
IMAGE = np.zeros((1, 1, 3), np.uint8)
MESH = Mesh(np.zeros((468, 3), np.float32), 1.0)
NO_FACE = Reading("unknown", None, None, None, {}, "no face")


def sure(label: str, probability: float) -> np.ndarray:
    """(7,) that much for one label, the rest in equal shares."""
    p = np.full(7, (1 - probability) / 6, np.float32)
    p[CLASSES.index(label)] = probability
    return p


def frame(clock_s: float) -> Frame:
    return Frame(IMAGE, 0.0, "camera", clock_s=clock_s)


def raw(p: np.ndarray) -> Reading:
    best = int(p.argmax())
    return Reading(CLASSES[best], float(p[best]), p.astype(np.float32), MESH)


def noisy(p: np.ndarray, sd: float, seed: int) -> Iterator[np.ndarray]:
    """Readings of a still face: what is read moves with the sensor's noise."""
    rng = np.random.default_rng(seed)
    while True:
        q = np.clip(p + rng.normal(0, sd, 7), 1e-3, None)
        yield q / q.sum()


@pytest.mark.parametrize("rate", [15, 30])
@pytest.mark.parametrize("lead", [0.0, 0.05, 0.5])
def test_ten_minutes_of_a_still_face(lead: float, rate: int) -> None:
    """No label change, even where two expressions are level.

    Noise of 0.04 is the median measured on FER-2013's 48-pixel faces with sensor noise; one
    frame by itself changes its label about 30 times a minute there.
    """
    p = sure("happy", 0.4 + lead)
    p[CLASSES.index("sad")] += 0.4 - p[CLASSES.index("sad")] if lead < 0.5 else 0
    readings = noisy(p / p.sum(), 0.04, seed=1)
    smooth = Smoother()
    smoothed = [
        smooth(frame(i / rate), raw(q)).label
        for i, q in zip(range(600 * rate), readings, strict=False)
    ]
    single = [CLASSES[int(q.argmax())] for q, _ in zip(readings, range(900), strict=False)]
    if lead == 0:
        assert len(set(single)) > 1  # there was something to do
    assert len(set(smoothed[rate:])) == 1


def test_a_still_face_through_the_whole_pipeline(models_dir: Path, portrait: np.ndarray) -> None:
    """Sensor noise on the picture itself, a minute of it."""
    recognise = Recognizer(models_dir)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 6, (40 + 512, 40 + 512, 3)).astype(np.float32)
    smooth, labels = Smoother(), set()
    for i in range(60 * RATE // 4):
        y, x = rng.integers(0, 40, 2)
        image = np.clip(portrait + noise[y : y + 512, x : x + 512], 0, 255).astype(np.uint8)
        labels.add(smooth(frame(4 * i / RATE), recognise(image)).label)
    assert labels == {"happy"}


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.9), (0.95, 0.5), (0.98, 0.6), (0.5, 0.5)])
def test_a_true_change_is_told_within_half_a_second(before: float, after: float) -> None:
    smooth = Smoother()
    for i in range(10 * RATE):
        smooth(frame(i / RATE), raw(sure("sad", before)))
    for i in range(RATE // 2):
        reading = smooth(frame(10 + i / RATE), raw(sure("happy", after)))
    assert reading.label == "happy"
    assert reading.confidence == pytest.approx(float(reading.probabilities.max()))


def test_time_counts_and_not_frames() -> None:
    """Half the rate, the same answer at the same time."""
    levels = {}
    for rate in (10, 20, 40):
        smooth = Smoother()
        smooth(frame(0), raw(sure("sad", 0.9)))
        for i in range(1, rate // 2 + 1):
            reading = smooth(frame(i / rate), raw(sure("happy", 0.9)))
        levels[rate] = reading.probabilities
    assert levels[10] == pytest.approx(levels[40], abs=1e-5)
    assert levels[20] == pytest.approx(levels[40], abs=1e-5)


def test_a_label_is_held_for_a_moment() -> None:
    smooth = Smoother(SmoothSettings(time_constant_seconds=0.0, margin=0.0, hold_seconds=1.0))
    labels = [
        smooth(frame(i / 10), raw(sure("sad" if i % 2 else "happy", 0.9))).label for i in range(30)
    ]
    changes = [i for i in range(1, 30) if labels[i] != labels[i - 1]]
    assert changes
    assert all(b - a >= 10 for a, b in pairwise(changes))


def test_unknown_below_the_least_confidence() -> None:
    smooth = Smoother(least_confidence=0.6)
    reading = smooth(frame(0), raw(sure("happy", 0.5)))
    assert (reading.label, reading.reason) == ("unknown", "not sure")
    assert reading.probabilities is not None
    assert smooth(frame(5), raw(sure("happy", 0.9))).label == "happy"


def test_one_missed_frame_is_no_news_and_a_second_is() -> None:
    smooth = Smoother(SmoothSettings(gone_seconds=0.5))
    smooth(frame(0), raw(sure("happy", 0.9)))
    missed = smooth(frame(0.2), NO_FACE)
    assert (missed.label, missed.face, missed.age_s) == ("happy", False, pytest.approx(0.2))
    gone = smooth(frame(0.6), NO_FACE)
    assert (gone.label, gone.reason, gone.probabilities) == ("unknown", "no face", None)
    back = smooth(frame(1.0), raw(sure("sad", 0.9)))
    assert (back.label, back.held_s) == ("sad", 0.0)


def test_a_face_that_cannot_be_read_is_like_a_missed_one() -> None:
    """Its probabilities mean nothing: they move no level, and after a while it is told why."""
    smooth = Smoother(SmoothSettings(gone_seconds=0.5))
    before = smooth(frame(0), raw(sure("happy", 0.9))).probabilities
    aside = replace(raw(sure("sad", 0.9)), label="unknown", reason="turned away")
    held = smooth(frame(0.2), aside)
    assert (held.label, held.reason, held.face) == ("happy", None, True)
    np.testing.assert_array_equal(held.probabilities, before)
    gone = smooth(frame(0.6), aside)
    assert (gone.label, gone.reason) == ("unknown", "turned away")
    assert smooth(frame(0.7), raw(sure("sad", 0.9))).label == "sad"


def test_a_single_picture_not_sure_is_evidence_all_the_same() -> None:
    smooth = Smoother(least_confidence=0.3)
    unsure = replace(raw(sure("happy", 0.4)), label="unknown", reason="not sure")
    assert smooth(frame(0), unsure).label == "happy"


def test_a_lost_camera_never_tells_the_last_face() -> None:
    smooth = Smoother()
    smooth(frame(10), raw(sure("happy", 0.9)))
    for after in (0.1, 1.5, 60.0):
        reading = smooth.lost(Gap("camera", "unplugged", 0.0, 10 + after))
        assert (reading.label, reading.reason) == ("unknown", "camera lost")
        assert reading.probabilities is None
        assert reading.age_s == pytest.approx(after)
    assert reading.held_s == pytest.approx(59.9)


def test_a_camera_that_never_was_is_lost_since_the_start() -> None:
    smooth = Smoother()
    ages = [smooth.lost(Gap("camera", "absent", 0.0, 100.0 + t)).age_s for t in (0, 5, 60)]
    assert ages == [0, 5, 60]


STEPS = st.lists(
    st.tuples(
        st.floats(-1, 30),
        st.one_of(
            st.none(),
            st.just("lost"),
            st.lists(st.floats(0.001, 1), min_size=7, max_size=7),
        ),
    ),
    max_size=40,
)


@given(STEPS, st.floats(0, 10), st.floats(0, 0.9), st.floats(0, 60), st.floats(0, 1))
def test_whatever_comes(
    steps: list[tuple[float, object]], constant: float, margin: float, hold: float, least: float
) -> None:
    """Probabilities stay probabilities; a label has a reason exactly when it is unknown."""
    smooth = Smoother(SmoothSettings(constant, margin, hold), least)
    now = 0.0
    for step, what in steps:
        now += step
        if what == "lost":
            reading = smooth.lost(Gap("camera", "x", 0.0, now))
        elif what is None:
            reading = smooth(frame(now), NO_FACE)
        else:
            p = np.array(what, np.float32)
            reading = smooth(frame(now), raw(p / p.sum()))
        assert (reading.label == "unknown") == (reading.reason is not None)
        assert reading.held_s >= 0
        if reading.probabilities is not None:
            assert reading.probabilities.sum() == pytest.approx(1, abs=1e-4)
            assert reading.confidence is not None
