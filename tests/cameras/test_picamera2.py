"""The Pi's own camera, against a fake: no Pi was at hand.

The same adapter runs against picamera2 itself, with libcamera's virtual camera, by
`make test-picamera2`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.machinery import ModuleSpec
from itertools import islice
from threading import Thread
from types import ModuleType

import numpy as np
import pytest
from fake_picamera2 import COLOUR, ColorSpace, FakePicamera2

import edge.cameras.picamera2 as adapter
from edge.cameras import find_camera, open_camera
from edge.errors import SourceError
from edge.settings import CameraSettings
from edge.types import Frame

SETTINGS = CameraSettings(width=320, height=240, frames_per_second=100.0, timeout_seconds=0.1)
RIBBON = {"Model": "imx708", "Location": 2, "Rotation": 180, "Id": "/base/soc/i2c/imx708", "Num": 1}
USB = {"Model": "HD Webcam", "Location": 0, "Id": "/base/scb/pcie/usb@0,0/0000:01", "Num": 0}

Fake = type[FakePicamera2]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """The fake where `import picamera2` finds it, in a process that has not used it yet."""
    for name, value in {"picamera2": FakePicamera2, "libcamera": ColorSpace}.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        setattr(module, value.__name__.removeprefix("Fake"), value)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(adapter, "_shared", adapter._Shared())
    monkeypatch.setattr(FakePicamera2, "made", [])
    monkeypatch.setattr(FakePicamera2, "infos", [USB, RIBBON])
    yield FakePicamera2
    assert not any(device.would_hang for device in FakePicamera2.made)


def read(count: int, settings: CameraSettings = SETTINGS) -> list[Frame]:
    """Open, read so many frames, close."""
    camera = open_camera("picamera2:", settings)
    try:
        return list(islice(camera, count))
    finally:
        camera.close()


@pytest.mark.parametrize("layout", ["YUV420", "NV12"])
@pytest.mark.parametrize(("width", "height"), [(320, 240), (324, 242), (325, 243)])
def test_frames_are_rgb_and_as_asked(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, layout: str, width: int, height: int
) -> None:
    """Also where rows are padded, the size is odd, and libcamera has another layout for us."""
    monkeypatch.setattr(fake, "layout", layout)
    frames = read(3, replace(SETTINGS, width=width, height=height))
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert {frame.source for frame in frames} == {"picamera2:"}
    for frame in frames:
        assert frame.image.shape == (height // 2 * 2, width // 2 * 2, 3)
        assert frame.image.dtype == np.uint8
        assert np.abs(frame.image.astype(int) - COLOUR).max() <= 3


def test_what_is_asked_of_the_camera(fake: Fake) -> None:
    read(1, replace(SETTINGS, frames_per_second=12.5, timeout_seconds=1.5))
    configuration = fake.made[0].configuration
    assert configuration["controls"] == {"FrameRate": 12.5}
    assert configuration["colour_space"] == "SMPTE170M"
    assert configuration["raw"] is None
    assert fake.made[0].waits == [pytest.approx(1.5 + 10 / 12.5)]  # the first frame takes longer


@pytest.mark.parametrize(("timeout_s", "rate"), [(1.5, 10.0), (0.1, 20.0)])
def test_a_slow_rate_never_looks_like_a_stall(fake: Fake, timeout_s: float, rate: float) -> None:
    read(1, replace(SETTINGS, frames_per_second=0.5, timeout_seconds=timeout_s))
    assert fake.made[0].configuration["controls"] == {"FrameRate": rate}


def test_frames_that_are_not_wanted_are_left_out(fake: Fake) -> None:
    camera = open_camera("picamera2:", SETTINGS)
    answers = iter([False, False, True, False, True])
    camera.wanted = lambda: next(answers)
    assert [frame.index for frame in islice(camera, 2)] == [0, 1]
    assert len(fake.made[0].waits) == 5


@pytest.mark.parametrize(
    ("told_s", "age_s"), [(0.04, 0.04), (None, 0.0), (-5.0, 0.0), (3600.0, 0.0)]
)
def test_a_frame_knows_when_it_was_taken(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, told_s: float | None, age_s: float
) -> None:
    """By the sensor's own time, unless that cannot be."""
    monkeypatch.setattr(fake, "age_s", told_s)
    (frame,) = read(1)
    assert time.monotonic() - frame.clock_s == pytest.approx(age_s, abs=0.03)
    assert time.time() - frame.time_s == pytest.approx(age_s, abs=0.03)


def test_opened_again_it_is_the_same_configured_camera(fake: Fake) -> None:
    """Memory for its buffers is not given back (picamera2's issues 503, 887)."""
    for _ in range(5):
        assert len(read(2)) == 2
    assert fake.made[0].calls == ["configure"] + ["start", "stop"] * 5
    assert len(fake.made) == 1


def test_other_settings_make_it_anew(fake: Fake) -> None:
    read(1)
    (frame,) = read(1, replace(SETTINGS, width=160, height=120))
    assert frame.image.shape == (120, 160, 3)
    assert fake.made[0].calls[-1] == "close"


def test_it_cannot_be_open_twice(fake: Fake) -> None:
    camera = open_camera("picamera2:", SETTINGS)
    with pytest.raises(SourceError, match="already open"):
        open_camera("picamera2:", SETTINGS)
    assert next(iter(camera)).index == 0


def test_a_stall_is_overcome_by_a_restart(fake: Fake) -> None:
    frames = iter(open_camera("picamera2:", SETTINGS))
    for index in range(0, 6, 2):
        assert next(frames).index == index
        fake.made[0].stall()
        assert next(frames).index == index + 1
    assert fake.made[0].calls == ["configure", "start"] + ["stop", "start"] * 3


def test_a_stall_that_outlives_a_restart_is_told(fake: Fake) -> None:
    """The loose ribbon cable: libcamera waits for ever, we do not."""
    camera = open_camera("picamera2:", SETTINGS)
    frames = iter(camera)
    next(frames)
    fake.made[0].stall(starts=1)
    start = time.monotonic()
    with pytest.raises(SourceError, match="check the ribbon cable"):
        next(frames)
    assert 0.3 <= time.monotonic() - start < 1
    camera.close()
    assert len(read(2)) == 2
    assert len(fake.made) == 1


def test_a_camera_that_stays_silent_is_now_and_then_made_anew(fake: Fake) -> None:
    """Seldom, for that costs memory: at the 5th, 9th, 17th … attempt."""
    read(1)
    fake.made[0].stalls_left = 100
    for _ in range(4):
        with pytest.raises(SourceError):
            read(1)
    assert len(fake.made) == 1
    assert len(read(2)) == 2
    assert len(fake.made) == 2


def test_close_keeps_it_and_ends_iterating(fake: Fake) -> None:
    camera = open_camera("picamera2:", SETTINGS)
    frames = iter(camera)
    next(frames)
    camera.close()
    camera.close()
    assert list(frames) == []
    assert fake.made[0].calls == ["configure", "start", "stop"]
    assert fake.made[0].is_open


def test_close_from_another_thread_ends_a_wait(fake: Fake) -> None:
    camera = open_camera("picamera2:", replace(SETTINGS, timeout_seconds=30))
    frames = iter(camera)
    next(frames)
    fake.made[0].stall()
    rest: list[Frame] = []
    thread = Thread(target=lambda: rest.extend(frames), daemon=True)
    thread.start()
    time.sleep(0.1)
    camera.close()
    thread.join(1)
    assert not thread.is_alive()
    assert rest == []


def test_a_camera_that_does_not_start_again_is_made_anew(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(1)
    monkeypatch.setattr(fake.made[0], "start", lambda: 1 / 0)
    assert len(read(2)) == 2
    assert [device.is_open for device in fake.made] == [False, True]


def test_a_camera_that_does_not_stop_is_made_anew(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "fails_in", "stop")
    read(1)
    monkeypatch.setattr(fake, "fails_in", "")
    assert len(read(2)) == 2
    assert [device.is_open for device in fake.made] == [False, True]


@pytest.mark.parametrize("fails_in", ["configure", "start"])
def test_a_camera_that_fails_is_told_and_given_back(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, fails_in: str
) -> None:
    monkeypatch.setattr(fake, "fails_in", fails_in)
    for _ in range(3):
        with pytest.raises(SourceError, match="cannot be started: Input/output error: ") as error:
            open_camera("picamera2:", SETTINGS)
        assert len(str(error.value).splitlines()) == 1
    assert not any(device.is_open for device in fake.made)
    monkeypatch.setattr(fake, "fails_in", "")
    assert len(read(1)) == 1


def test_a_restart_that_fails_is_told(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = open_camera("picamera2:", SETTINGS)
    frames = iter(camera)
    next(frames)
    fake.made[0].stall()
    monkeypatch.setattr(fake, "fails_in", "start")
    with pytest.raises(SourceError, match="cannot be restarted: Input/output error: check"):
        next(frames)
    camera.close()
    monkeypatch.setattr(fake, "fails_in", "")
    assert len(read(1)) == 1


def test_a_busy_camera_is_told(fake: Fake) -> None:
    other = FakePicamera2()
    with pytest.raises(SourceError, match="Device or resource busy: is") as error:
        open_camera("picamera2:", SETTINGS)
    assert len(str(error.value).splitlines()) == 1
    other.close()
    assert len(read(1)) == 1


@pytest.mark.parametrize("infos", [[], [USB]])
def test_no_camera_on_the_ribbon(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, infos: list[dict[str, object]]
) -> None:
    """libcamera also sees USB cameras; those are OpenCV's."""
    monkeypatch.setattr(fake, "infos", infos)
    assert adapter.cameras() == []
    with pytest.raises(SourceError, match="none on the ribbon: is its cable in place"):
        open_camera("picamera2:", SETTINGS)


def test_found_first(fake: Fake) -> None:
    assert adapter.cameras() == ["imx708"]
    assert find_camera() == "picamera2:"


class Broken(ModuleType):
    """A package built against another numpy."""

    def __getattr__(self, name: str) -> object:
        raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")


@pytest.mark.parametrize("module", [None, Broken("picamera2")])
def test_without_the_package(monkeypatch: pytest.MonkeyPatch, module: ModuleType | None) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", module)
    assert adapter.cameras() == []
    with pytest.raises(SourceError, match="apt install python3-picamera2"):
        open_camera("picamera2:", SETTINGS)
