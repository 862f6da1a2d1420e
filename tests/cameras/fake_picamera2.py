"""picamera2 0.3 as far as the adapter uses it: names, arguments, order, errors, waits, buffers.

Written from its source; `real_picamera2/` runs the adapter against the real one where it can.
"""

from __future__ import annotations

import time
from concurrent.futures import CancelledError
from threading import Condition
from typing import Any, ClassVar

import numpy as np

COLOUR = (200, 10, 30)
"""RGB of every frame, and that in BT.601: Y, U, V."""
YUV = (75, 109, 210)


class ColorSpace:
    """libcamera.ColorSpace."""

    @staticmethod
    def Smpte170m() -> str:
        return "SMPTE170M"


class FakePicamera2:
    """One camera, and what may go wrong with it."""

    infos: ClassVar[list[dict[str, Any]]] = []
    """What libcamera sees."""
    made: ClassVar[list[FakePicamera2]] = []
    """All objects, the oldest first."""
    fails_in: ClassVar[str] = ""
    """Method that raises, in all objects."""
    layout: ClassVar[str] = "YUV420"
    """What libcamera makes of YUV420."""
    age_s: ClassVar[float | None] = 0.0
    """Of each frame; None for a camera that does not tell."""

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        return FakePicamera2.infos

    def __init__(
        self,
        camera_num: int = 0,
        verbose_console: None = None,
        tuning: None = None,
        allocator: None = None,
    ) -> None:
        if camera_num >= len(self.infos):
            raise RuntimeError(
                f'No camera number {camera_num} found - use "rpicam-hello --list-cameras" to check '
                "connected cameras"
            )
        if any(other.is_open for other in self.made):
            cause = RuntimeError("Failed to acquire camera: Device or resource busy")
            raise RuntimeError("Camera __init__ sequence did not complete.") from cause
        self.is_open = True
        self.started = False
        self.stalled = False  # no frame comes …
        self.stalls_left = 0  # … also not after so many further starts
        self.loop_runs = False
        self.would_hang = False
        self.calls: list[str] = []
        self.waits: list[float] = []
        self.configuration: dict[str, Any] = {}
        self._jobs: list[object] = []
        self._changed = Condition()
        FakePicamera2.made.append(self)

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if FakePicamera2.fails_in == name:
            raise RuntimeError("Input/output error")

    def create_video_configuration(
        self,
        main: dict[str, Any] | None = None,
        lores: dict[str, Any] | None = None,
        raw: dict[str, Any] | None = {},  # noqa: B006 (as it is there)
        transform: object = None,
        colour_space: object = None,
        buffer_count: int = 6,
        controls: dict[str, Any] | None = None,
        display: str | None = "main",
        encode: str | None = "main",
        queue: bool = True,
        sensor: dict[str, Any] | None = None,
        use_case: str = "video",
    ) -> dict[str, Any]:
        streams = {"main": dict(main or {}), "lores": dict(lores or {})}
        for stream in streams.values():
            width, height = stream["size"]
            stream["size"] = (width - width % 2, height - height % 2)
        return {
            **streams,
            **{"raw": raw, "colour_space": colour_space, "controls": controls},
            **{"buffer_count": buffer_count, "queue": queue},
        }

    def configure(self, camera_config: dict[str, Any]) -> None:
        self._call("configure")
        if self.started:
            raise RuntimeError("Camera must be stopped before configuring")
        main, lores = camera_config["main"], camera_config["lores"]
        if lores["size"][0] > main["size"][0] or lores["size"][1] > main["size"][1]:
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        if lores["format"] != "YUV420":  # a Pi before the 5
            raise RuntimeError("lores stream must be YUV")
        lores["format"] = FakePicamera2.layout
        lores["stride"] = -(-lores["size"][0] // 64) * 64
        self.configuration = camera_config

    def stream_configuration(self, name: str = "main") -> dict[str, Any]:
        return self.configuration[name]  # type: ignore[no-any-return]

    def start(self, config: None = None, show_preview: bool | None = False) -> None:
        self._call("start")
        if not self.configuration:
            raise RuntimeError("Camera has not been configured")
        with self._changed:
            self.loop_runs = self.started = True
            self.stalled = self.stalls_left > 0
            self.stalls_left -= self.stalled
            self._changed.notify_all()

    def stall(self, starts: int = 0) -> None:
        """No frame from now on, and after so many further starts."""
        self.stalled, self.stalls_left = True, starts

    def capture_arrays(
        self, names: list[str], wait: float | None = None, signal_function: None = None
    ) -> tuple[list[np.ndarray], dict[str, Any]]:
        assert wait is not None, "for ever"
        self.waits.append(wait)
        job = object()
        end = time.monotonic() + wait
        with self._changed:
            self._jobs.append(job)
            while self.stalled or not self.started or not self.loop_runs:
                if not self._changed.wait(end - time.monotonic()):
                    raise TimeoutError  # its job stays in the list
                if job not in self._jobs:
                    raise CancelledError
            self._jobs.clear()  # what waited before has had its frame too
        metadata = {"ExposureTime": 9000}
        if FakePicamera2.age_s is not None:
            metadata["SensorTimestamp"] = round((time.monotonic() - FakePicamera2.age_s) * 1e9)
        return [self._array(self.configuration[name]) for name in names], metadata

    @staticmethod
    def _array(stream: dict[str, Any]) -> np.ndarray:
        """As picamera2 hands it out: YUV420 with the padding, NV12 without."""
        (width, height), stride = stream["size"], stream["stride"]
        luma = np.full((height, stride), 255, np.uint8)
        chroma = np.full((height // 2, stride), 255, np.uint8)
        luma[:, :width] = YUV[0]
        if stream["format"] == "NV12":
            chroma[:, 0:width:2], chroma[:, 1:width:2] = YUV[1:]
            return np.concatenate([luma, chroma])[:, :width].copy()
        halves = chroma.reshape(2, height // 2, stride // 2)
        halves[0, :, : width // 2], halves[1, :, : width // 2] = YUV[1:]
        return np.concatenate([luma, chroma])

    def cancel_all_and_flush(self) -> None:
        with self._changed:
            self._jobs.clear()
            self._changed.notify_all()

    def stop_preview(self) -> None:
        if not self.loop_runs:
            raise RuntimeError("No preview specified.")
        self.loop_runs = False

    def stop(self) -> None:
        self._call("stop")
        # It would queue behind the job of a wait that timed out, which no frame ever ends.
        self.would_hang |= self.started and self.loop_runs and self.stalled
        self.started = False

    def close(self) -> None:
        self._call("close")
        self.loop_runs = self.started = self.is_open = False
