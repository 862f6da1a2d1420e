"""A live source: the newest frame wins, a lost one is told, reopened, and never waited for."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest

from edge.cameras import always
from edge.cameras.live import Live
from edge.errors import SourceError
from edge.pipeline import Recognizer, follow
from edge.settings import CameraSettings
from edge.smooth import Smoother
from edge.types import Frame, Gap
from tests.tools.mjpeg import Stream, jpegs

IMAGE = np.zeros((2, 2, 3), np.uint8)
SETTINGS = CameraSettings(source="test://", timeout_seconds=0.3, frames_per_second=100)


class Script:
    """A camera that does what the test says: an entry is one life of the source.

    A life is a list of steps: a number waits so many seconds and gives a frame, an exception is
    raised, a function is called.
    """

    def __init__(self, *lives: list[Any]) -> None:
        self.lives = list(lives)
        self.opened_s: list[float] = []
        self.closed = 0
        self.wanted = always

    def __call__(self, uri: str, settings: CameraSettings, on_error: object) -> Script:
        self.opened_s.append(monotonic())
        if not self.lives:
            raise SourceError("nothing there")
        return self

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for step in self.lives.pop(0):
            if isinstance(step, Exception):
                raise step
            if callable(step):
                step()
                continue
            time.sleep(step)
            if self.wanted():
                yield Frame(IMAGE, 0.0, "test://", index, clock_s=monotonic())
            index += 1
        raise SourceError("unplugged")

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def live() -> Iterator[Callable[..., Live]]:
    """Opens a Live that the test does not have to close."""
    opened = []

    def make(script: Script, settings: CameraSettings = SETTINGS, **more: Any) -> Live:
        opened.append(Live(settings, open_source=script, **more))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def until(live: Live, enough: Callable[[Frame | Gap], bool], seconds: float = 8) -> list[Any]:
    """What comes up to the first that is enough."""
    events, start = [], monotonic()
    for event in live:
        events.append(event)
        if enough(event):
            return events
        assert monotonic() - start < seconds, events
    return events


def test_the_newest_frame_wins(live: Callable[..., Live]) -> None:
    """A consumer of 10 frames a second on a camera of 50: fresh frames, the others counted."""
    camera = live(Script([0.02] * 60))
    got = []
    for event in camera:
        if isinstance(event, Gap):
            break
        got.append((event.index, monotonic() - event.clock_s))
        time.sleep(0.1)
    indices = [index for index, _ in got]
    assert indices == sorted(set(indices))
    assert np.median([age for _, age in got]) < 0.04  # a backlog would be seconds by the end
    assert camera.dropped >= 30
    assert camera.dropped + len(got) == 60


def test_pace_leaves_frames_undecoded(live: Callable[..., Live]) -> None:
    camera = live(Script([0.01] * 100))
    camera.pace(10)
    *got, _ = until(camera, lambda e: isinstance(e, Gap))
    assert 8 <= len(got) <= 14
    assert camera.dropped == 0


def test_a_lost_camera_is_told_and_opened_again(live: Callable[..., Live]) -> None:
    script = Script([0.01] * 3, [SourceError("busy: another program has it")], [0.01] * 3)
    events = until(
        live(script), lambda e: False if isinstance(e, Frame) else e.reason == "nothing there"
    )
    told = [e.reason if isinstance(e, Gap) else "frame" for e in events]
    busy = told.index("busy: another program has it")
    assert "frame" in told[:busy]
    assert "frame" in told[busy:]
    assert set(told) <= {"frame", "unplugged", "busy: another program has it", "nothing there"}
    assert script.closed == 3


def test_a_stall_is_told_before_the_driver_notices(live: Callable[..., Live]) -> None:
    release = threading.Event()
    camera = live(Script([0.01, lambda: release.wait(5), 0.01, 0.2]))
    start = monotonic()
    events = until(camera, lambda e: isinstance(e, Gap))
    assert 0.2 < monotonic() - start < 1
    assert "no frame in 0.3 s" in events[-1].reason
    release.set()
    assert type(until(camera, lambda e: isinstance(e, Frame))[-1]) is Frame


def test_pauses_between_attempts_grow_and_are_capped(live: Callable[..., Live]) -> None:
    script = Script()
    settings = CameraSettings(source="test://", retry_seconds=0.5)
    camera = live(script, settings)
    until(camera, lambda e: len(script.opened_s) >= 5)
    pauses = np.diff(script.opened_s)
    assert pauses[:4] == pytest.approx([0.25, 0.5, 0.5, 0.5], abs=0.15)


def test_gaps_keep_coming(live: Callable[..., Live]) -> None:
    """The daemon looks at signals and its watchdog between them."""
    times: list[float] = []
    until(live(Script()), lambda e: times.append(e.clock_s) or len(times) == 4)
    assert np.diff(times).max() < 0.9


def test_no_patience_at_the_start_only(live: Callable[..., Live]) -> None:
    with pytest.raises(SourceError, match="nothing there"):
        list(live(Script(), patient=False))
    script = Script([0.01] * 3)
    events = until(
        live(script, patient=False), lambda e: isinstance(e, Gap) and "nothing" in e.reason
    )
    assert type(events[0]) is Frame


def test_a_dead_thread_is_not_silence(live: Callable[..., Live]) -> None:
    """A mistake of ours in the thread ends the process, rather than leave it without frames."""
    camera = live(Script([0.01, ZeroDivisionError("ours")]))
    with pytest.raises(ZeroDivisionError):
        list(camera)
    with pytest.raises(ZeroDivisionError):
        camera.check()


def test_a_hung_thread_is_noticed(
    live: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.cameras.live._HANG_S", 0.5)
    release = threading.Event()
    camera = live(Script([0.01, lambda: release.wait(10)]))
    next(iter(camera))
    assert camera.check()
    time.sleep(1.3)
    assert not camera.check()
    release.set()


def test_while_it_is_retried_all_is_well(
    live: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.cameras.live._HANG_S", 1.0)
    camera = live(Script(), CameraSettings(source="test://", retry_seconds=0.5))
    for _ in range(4):
        time.sleep(0.4)
        assert camera.check()


def test_interrupt_and_close_are_prompt(live: Callable[..., Live]) -> None:
    release = threading.Event()
    camera = live(Script([0.01, lambda: release.wait(10)]))
    next(iter(camera))
    for end in (camera.interrupt, camera.close):
        start = monotonic()
        threading.Timer(0.1, end).start()
        for _ in camera:
            pass
        assert monotonic() - start < 0.8
    release.set()


def test_a_clip_plays_at_its_own_speed(models_dir: Any) -> None:
    """15 frames a second, all of them, then the end."""
    camera = Live(CameraSettings(source=str(models_dir / "sample.y4m")))
    start, frames = monotonic(), []
    for event in camera:
        assert isinstance(event, Frame)
        frames.append((event.index, monotonic() - start))
        if event.index >= 29:
            break
    camera.close()
    assert len(frames) >= 28  # on a busy machine one may be late
    assert frames[-1][1] == pytest.approx(30 / 15, abs=0.3)


def test_a_stream_is_cut_stalls_breaks_and_comes_back(models_dir: Any) -> None:
    """Lost within 2 s, and running again within 5 s of its return: over a real connection."""
    stream = Stream(jpegs(20))
    camera = Live(CameraSettings(source=stream.url))
    first = until(camera, lambda e: isinstance(e, Frame))[-1]
    for trouble in ("cut", "stall"):
        stream.command(trouble)
        start = monotonic()
        until(camera, lambda e: isinstance(e, Gap))
        assert monotonic() - start < 2
        stream.command("restore")
        start = monotonic()
        until(camera, lambda e: isinstance(e, Frame))
        assert monotonic() - start < 5
    stream.command("break")
    start = monotonic()
    until(camera, lambda e: monotonic() - start > 1)
    assert camera.check()
    stream.command("restore")
    until(camera, lambda e: isinstance(e, Frame) and e.image.shape == first.image.shape)
    camera.close()
    stream.cut()


def test_a_frame_is_let_go_before_the_next_is_made(
    live: Callable[..., Live], models_dir: Path
) -> None:
    """It is a megabyte: of those that were read, nothing on the way keeps the last."""
    kept, read = [], threading.Event()

    class Camera(Script):
        def __iter__(self) -> Iterator[Frame]:
            for index in range(3):
                image = IMAGE.copy()
                held = weakref.ref(image)
                yield Frame(image, 0.0, "test://", index, clock_s=monotonic())
                del image
                assert read.wait(5)
                read.clear()
                time.sleep(0.1)  # for who has read it to ask for the next one
                kept.append(held() is not None)
            raise SourceError("unplugged")

    patient = replace(SETTINGS, timeout_seconds=10.0)  # a busy machine's frame may be late
    camera = live(Camera([]), patient)
    for frame, _ in follow(camera, Recognizer(models_dir), Smoother()):
        if isinstance(frame, Gap):
            break
        del frame
        read.set()
    assert kept == [False] * 3
