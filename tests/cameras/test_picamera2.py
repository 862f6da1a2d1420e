"""The Pi's own camera, against a fake: no Pi was at hand.

`FakePicamera2` has the names, arguments and errors of picamera2 0.3 as far as we use them; whether
the real package behaves so has to be seen on a Pi.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge.cameras import find_camera, open_camera
from edge.cameras.picamera2 import cameras
from edge.errors import SourceError
from edge.settings import CameraSettings

SETTINGS = CameraSettings(width=320, height=240, frames_per_second=7.5, timeout_seconds=1.5)


class FakePicamera2:
    """One camera that delivers three frames and then hangs."""

    models = ("imx708",)
    fails_in = ""
    made: list[FakePicamera2] = []  # noqa: RUF012

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        return [
            {"Model": model, "Location": 2, "Rotation": 180, "Id": f"/base/{model}", "Num": i}
            for i, model in enumerate(FakePicamera2.models)
        ]

    def __init__(self, camera_num: int = 0, verbose_console: None = None, tuning: None = None):
        if not FakePicamera2.models:
            raise IndexError("list index out of range")
        self.calls: list[str] = []
        self.waits: list[object] = []
        FakePicamera2.made.append(self)

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if FakePicamera2.fails_in == name:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")

    def create_video_configuration(
        self,
        main: dict[str, Any] | None = None,
        lores: dict[str, Any] | None = None,
        raw: dict[str, Any] | None = None,
        transform: object = None,
        colour_space: object = None,
        buffer_count: int = 6,
        controls: dict[str, Any] | None = None,
        display: str = "main",
        encode: str = "main",
        queue: bool = True,
    ) -> dict[str, Any]:
        return {"main": main, "controls": controls, "buffer_count": buffer_count}

    def configure(self, camera_config: dict[str, Any]) -> None:
        self._call("configure")
        self.configuration = camera_config

    def start(self, config: None = None, show_preview: bool = False) -> None:
        self._call("start")

    def capture_array(
        self, name: str = "main", wait: float | None = None, signal_function: None = None
    ) -> np.ndarray:
        assert self.calls == ["configure", "start"]
        assert name == "main"
        self.waits.append(wait)
        if len(self.waits) > 3:
            raise TimeoutError
        width, height = self.configuration["main"]["size"]
        # "BGR888" is red first in memory, "RGB888" blue first.
        first = {"BGR888": (200, 10, 30), "RGB888": (30, 10, 200)}
        return np.full((height, width, 3), first[self.configuration["main"]["format"]], np.uint8)

    def stop(self) -> None:
        self._call("stop")

    def close(self) -> None:
        self._call("close")


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[FakePicamera2]:
    """The fake where `import picamera2` finds it."""
    module = ModuleType("picamera2")
    module.__spec__ = ModuleSpec("picamera2", None)
    module.Picamera2 = FakePicamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    monkeypatch.setattr(FakePicamera2, "made", [])
    return FakePicamera2


def test_frames_are_rgb_and_as_asked(picamera2: type[FakePicamera2]) -> None:
    camera = open_camera("picamera2:", SETTINGS)
    frames = iter(camera)
    got = [next(frames) for _ in range(3)]
    (device,) = picamera2.made
    assert [frame.index for frame in got] == [0, 1, 2]
    assert {frame.source for frame in got} == {"picamera2:"}
    assert got[0].time_s > 1.6e9
    assert got[0].image.shape == (240, 320, 3)
    assert got[0].image[0, 0].tolist() == [200, 10, 30]
    assert device.configuration["controls"] == {"FrameRate": 7.5}
    assert device.waits == [1.5] * 3


def test_a_lost_camera_is_told(picamera2: type[FakePicamera2]) -> None:
    """The loose ribbon cable: libcamera waits for ever, we do not."""
    with pytest.raises(SourceError, match=r"no frame in 1\.5 s"):
        list(open_camera("picamera2:", SETTINGS))


def test_close_gives_the_camera_back(picamera2: type[FakePicamera2]) -> None:
    open_camera("picamera2:", SETTINGS).close()
    assert picamera2.made[0].calls == ["configure", "start", "stop", "close"]


@pytest.mark.parametrize("fails_in", ["configure", "start"])
def test_a_busy_camera_is_told(
    picamera2: type[FakePicamera2], monkeypatch: pytest.MonkeyPatch, fails_in: str
) -> None:
    monkeypatch.setattr(picamera2, "fails_in", fails_in)
    with pytest.raises(SourceError, match="busy") as error:
        open_camera("picamera2:", SETTINGS)
    assert len(str(error.value).splitlines()) == 1


def test_a_camera_that_fails_to_start_is_given_back(
    picamera2: type[FakePicamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picamera2, "fails_in", "start")
    with pytest.raises(SourceError):
        open_camera("picamera2:", SETTINGS)
    assert picamera2.made[0].calls[-1] == "close"


def test_no_camera_on_the_ribbon(
    picamera2: type[FakePicamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picamera2, "models", ())
    assert cameras() == []
    with pytest.raises(SourceError, match="cannot be opened"):
        open_camera("picamera2:", SETTINGS)


def test_found_first(picamera2: type[FakePicamera2]) -> None:
    assert cameras() == ["imx708"]
    assert find_camera() == "picamera2:"


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    assert cameras() == []
    with pytest.raises(SourceError, match="apt install python3-picamera2"):
        open_camera("picamera2:", SETTINGS)
