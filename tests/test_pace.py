"""When fewer frames are read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.pace import Pace
from edge.settings import PaceSettings

GOOD: dict[str, Any] = {"face": True, "cpu": 0.3, "celsius": 50.0, "throttled": False}


def after(pace: Pace, seconds: int, start: float = 100.0, **state: Any) -> float:
    """The rate after so many seconds in that state."""
    for second in range(seconds):
        rate = pace.rate(start + second, **{**GOOD, **state})
    return rate


def test_all_is_well() -> None:
    pace = Pace(PaceSettings(), 15)
    assert after(pace, 60) == 15
    assert pace.why == ""


def test_no_face_idles_and_a_face_ends_it_at_once() -> None:
    pace = Pace(PaceSettings(idle_after_seconds=10, idle_frames_per_second=3), 15)
    assert after(pace, 9, face=False) == 15
    assert after(pace, 3, 109, face=False) == 3
    assert pace.why == "no face"
    assert after(pace, 1, 112) == 15


@pytest.mark.parametrize(
    ("trouble", "why"),
    [({"celsius": 80.0}, "hot"), ({"throttled": True}, "hot"), ({"cpu": 1.3}, "busy")],
)
def test_trouble_slows_down_and_its_end_speeds_up(trouble: dict[str, Any], why: str) -> None:
    pace = Pace(PaceSettings(hot_celsius=75, max_cpu=1.0), 15)
    assert after(pace, 1, **trouble) < 15
    assert pace.why == why
    assert after(pace, 60, 101, **trouble) == pytest.approx(3)  # never nothing
    assert after(pace, 60, 161) == 15


def test_just_below_the_limit_it_stays_as_it_is() -> None:
    """Or it would swing: hot, slow, cool, fast, hot."""
    pace = Pace(PaceSettings(hot_celsius=75), 15)
    slow = after(pace, 2, celsius=76.0)
    assert after(pace, 30, 102, celsius=74.0) == slow


def test_the_load_settles_below_the_limit() -> None:
    """A machine whose load follows the rate: 0.1 CPU seconds a frame, limit 0.5."""
    pace, rate = Pace(PaceSettings(max_cpu=0.5), 15), 15.0
    rates = []
    for second in range(120):
        rate = pace.rate(second, **{**GOOD, "cpu": 0.1 * rate})
        rates.append(rate)
    assert all(3.5 <= rate <= 5 for rate in rates[20:])


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.floats(0, 64),
            st.one_of(st.none(), st.floats(-40, 150)),
            st.booleans(),
        ),
        min_size=1,
    ),
    st.floats(0.5, 120),
)
def test_the_rate_stays_in_its_bounds(steps: list[Any], wanted: float) -> None:
    pace = Pace(PaceSettings(), wanted)
    for second, (face, cpu, celsius, throttled) in enumerate(steps):
        rate = pace.rate(second, face=face, cpu=cpu, celsius=celsius, throttled=throttled)
        assert min(0.19 * wanted, 3.0) <= rate <= wanted
