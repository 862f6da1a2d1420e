"""What goes out: one JSON object a line, at once, and never the picture."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from edge.publish import Changes, as_dict
from edge.publish.jsonlines import JsonLines
from edge.types import CLASSES, Frame, Gap, Mesh, Reading

P = np.array([0.1, 0.05, 0.05, 0.6, 0.1, 0.05, 0.05], np.float32)
IMAGE = np.zeros((2, 2, 3), np.uint8)
FACE = Reading(
    "happy", float(P[3]), P, Mesh(np.zeros((468, 3), np.float32), 0.98765432), {"mesh": 12.34567}
)
NO_FACE = Reading("unknown", None, None, None, {"mesh": 1.0}, "no face")
KEYS = [
    "source",
    "frame",
    "time_s",
    "camera",
    "face",
    "label",
    "reason",
    "confidence",
    "probabilities",
    "presence",
    "age_s",
    "held_s",
    "timings_ms",
]


class Pipe(io.StringIO):
    """Remembers what had been written at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[str] = []

    def flush(self) -> None:
        self.flushed.append(self.getvalue())


def test_a_face() -> None:
    got = as_dict(Frame(IMAGE, 1.23456, "a.jpg", 7, 0.5), FACE)
    assert list(got) == KEYS
    assert (got["source"], got["frame"], got["time_s"]) == ("a.jpg", 7, 1.235)
    assert (got["face"], got["label"]) == (True, "happy")
    assert got["confidence"] == got["probabilities"]["happy"] == pytest.approx(0.6, abs=1e-6)
    assert list(got["probabilities"]) == list(CLASSES)
    assert sum(got["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert got["presence"] == pytest.approx(0.987654, abs=1e-6)
    assert got["timings_ms"] == {"capture": 0.5, "mesh": 12.346}


def test_no_face() -> None:
    got = as_dict(Frame(IMAGE, 0.0, "a.jpg"), NO_FACE)
    assert list(got) == KEYS
    assert got["face"] is False
    assert (got["label"], got["reason"]) == ("unknown", "no face")
    assert {got[key] for key in ("confidence", "probabilities", "presence")} == {None}


def test_a_lost_camera() -> None:
    gone = Reading("unknown", None, None, None, {}, "camera lost", 1.5, 0.25)
    got = as_dict(Gap("v4l2:0", "unplugged", 12.0, 5.0), gone)
    assert list(got) == KEYS
    assert (got["camera"], got["frame"], got["face"]) == ("lost: unplugged", None, False)
    assert (got["reason"], got["age_s"], got["held_s"]) == ("camera lost", 1.5, 0.25)
    assert got["timings_ms"] == {}


def test_only_changes_and_a_heartbeat() -> None:
    """A journal on an SD card is not written to 15 times a second."""
    changes = Changes(heartbeat_seconds=10)
    sad = replace(FACE, label="sad")

    def frame(clock_s: float) -> Frame:
        return Frame(IMAGE, 0.0, "a", clock_s=clock_s)

    assert [changes.due(frame(t), FACE) for t in (100, 101, 109.9, 110, 111)] == [1, 0, 0, 1, 0]
    assert [changes.due(frame(t), sad) for t in (112, 113)] == [True, False]
    assert [changes.due(frame(t), NO_FACE) for t in (114, 115)] == [True, False]
    assert [changes.due(Gap("a", "x", 0, t), NO_FACE) for t in (116, 117)] == [True, False]
    assert changes.due(Gap("a", "y", 0, 118), NO_FACE)  # another reason


def test_one_line_each_at_once() -> None:
    """A pipe has to see a reading when it is made, not when a buffer is full."""
    pipe = Pipe()
    publish = JsonLines(pipe)
    for index, source in enumerate(["a.jpg", 'b "\n\u2028é.jpg']):
        publish(Frame(IMAGE, 0.0, source, index), FACE)
        assert pipe.flushed[-1] == pipe.getvalue()
        assert len(pipe.getvalue().splitlines()) == index + 1
    assert [json.loads(line)["source"] for line in pipe.getvalue().splitlines()] == [
        "a.jpg",
        'b "\n\u2028é.jpg',
    ]


def test_every_value_is_plain() -> None:
    """numpy's numbers would not be JSON, and NaN is none."""
    text = json.dumps(as_dict(Frame(IMAGE, 0.0, "a.jpg"), FACE), allow_nan=False)
    assert "NaN" not in text


def test_the_picture_and_the_points_stay_here() -> None:
    pipe = Pipe()
    JsonLines(pipe)(Frame(np.zeros((480, 640, 3), np.uint8), 0.0, "a.jpg"), FACE)
    assert len(pipe.getvalue()) < 500
