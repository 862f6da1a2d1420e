"""The camera on a Pi's ribbon, by picamera2 (from apt: libcamera has no stable ABI).

One camera is opened and configured for the life of the process. A stall, or closing a `PiCamera`
and making another, only stops and starts it: configured again and again, it runs out of the
contiguous memory that its buffers need (picamera2's issues 503, 887, 958).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Event, Lock
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.cameras import always
from edge.cameras.yuv import planes, rgb_from_yuv420
from edge.errors import SourceError
from edge.settings import CameraSettings
from edge.types import Frame

# Both tell on stderr what our one line says. libcamera reads this when it is loaded.
os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")
logging.getLogger("picamera2").addHandler(logging.NullHandler())

_BUFFERS = 4
"""Frames in flight: one is filled, one waits, one is read, one spare."""
_SLOWEST = 10.0
"""Frames a second that the camera makes at least: one that nobody wants costs next to nothing, and
waiting for a slow one, or for it to settle after a start, would look like a stall."""
_STARTUP_FRAMES = 10
"""Frames that libcamera drops after a start, while exposure and white balance settle."""
_CLOSE_S = 0.5
"""Longest wait of `PiCamera.close` for a capture thread that is restarting the camera, seconds."""


def cameras() -> list[str]:
    """Models of the cameras on the ribbon; empty where picamera2 cannot be imported."""
    try:
        package = _package()
    except SourceError:  # found, but without libcamera beneath it
        return []
    return [str(info.get("Model", "?")) for _, info in _on_ribbon(package)]


def _package() -> Any:
    """The class Picamera2. Raises SourceError where it cannot be imported."""
    try:
        from picamera2 import Picamera2
    except Exception as error:  # also ValueError: built against another numpy
        raise SourceError(
            f"picamera2: {_why(error)}: run `sudo apt install python3-picamera2`, "
            "then `rm -r .venv` and `make edge`"
        ) from None
    return Picamera2


def _on_ribbon(package: Any) -> list[tuple[int, dict[str, Any]]]:
    """picamera2's number and description of each camera but those on USB."""
    found = enumerate(package.global_camera_info())
    return [(number, info) for number, info in found if "/usb" not in info["Id"]]


def _why(error: BaseException) -> str:
    """The first cause, in one line: picamera2's own says only that something went wrong."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).splitlines() or [type(error).__name__])[0]


def _asked(settings: CameraSettings) -> tuple[float, ...]:
    """What the configuration depends on."""
    size = settings.width, settings.height
    return *size, settings.frames_per_second, settings.timeout_seconds


class _Device:
    """The one camera, configured: it is started and stopped, but not configured again."""

    def __init__(self, settings: CameraSettings) -> None:
        """Raises whatever picamera2 and libcamera raise."""
        package = _package()
        from libcamera import ColorSpace

        numbers = [number for number, _ in _on_ribbon(package)]
        if not numbers:
            raise RuntimeError("libcamera sees none on the ribbon")
        self.asked = _asked(settings)
        self.silent = 0  # uses in a row that gave no frame
        self._wait_s = settings.timeout_seconds
        self._rate = max(settings.frames_per_second, _SLOWEST, 2 / self._wait_s)
        self._camera = package(numbers[0])
        try:
            # The second output ("lores") can be YUV420 on every Pi, half of RGB's memory; the first
            # has to be there and no smaller. No raw stream: it would only take memory.
            size = (settings.width, settings.height)
            configuration = self._camera.create_video_configuration(
                main={"size": size, "format": "YUV420"},
                lores={"size": size, "format": "YUV420"},
                raw=None,
                colour_space=ColorSpace.Smpte170m(),  # BT.601, as `rgb_from_yuv420` takes it
                controls={"FrameRate": self._rate},
                buffer_count=_BUFFERS,
            )
            self._camera.configure(configuration)
            # Odd sizes are rounded down, and libcamera may adjust what it is asked for.
            stream = self._camera.stream_configuration("lores")
            self._width = stream["size"][0]
            self._layout = stream["format"]
            if self._layout not in ("YUV420", "NV12"):
                raise RuntimeError(f"it delivers {self._layout}, not YUV420")
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Let frames come."""
        self._camera.cancel_all_and_flush()  # a wait that was begun after the stop
        self._camera.start()
        self._fresh = True

    def stop(self) -> None:
        """Let no more come; who waits for one gets a CancelledError.

        Its event loop first: `stop` would queue behind a wait for a frame that never comes
        (picamera2's issue 1264), but stops by itself where no loop runs.
        """
        try:
            with suppress(RuntimeError):  # no loop runs
                self._camera.stop_preview()
            self._camera.stop()
        finally:
            self._camera.cancel_all_and_flush()

    def close(self) -> None:
        """Let others have it."""
        with suppress(Exception):
            self._camera.close()

    def capture(self) -> tuple[NDArray[np.uint8], float]:
        """The newest frame as the camera has it, and its age in seconds. Raises TimeoutError."""
        wait_s = self._wait_s + (_STARTUP_FRAMES / self._rate if self._fresh else 0)
        (buffer,), metadata = self._camera.capture_arrays(["lores"], wait=wait_s)
        self._fresh = False
        # libcamera's docs say CLOCK_BOOTTIME, kernel drivers stamp CLOCK_MONOTONIC: the same on
        # a Pi, which never sleeps. Anything else shows in the difference.
        age_s = time.monotonic() - metadata.get("SensorTimestamp", 0) / 1e9
        return buffer, age_s if 0 <= age_s <= wait_s else 0.0

    def decode(self, buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What `capture` gave → (H, W, 3) RGB."""
        return rgb_from_yuv420(*planes(buffer, self._layout, self._width))


class _Shared:
    """Who has the camera: it outlives each `PiCamera`."""

    def __init__(self) -> None:
        self.lock = Lock()  # held where the camera is made, started, stopped or closed
        self.device: _Device | None = None
        self.user: PiCamera | None = None


_shared = _Shared()


class PiCamera:
    """Frames from the first camera, with a bound on how long one is waited for.

    Iterate in one thread; `close` may be called from another. Only one is open at a time.
    """

    def __init__(self, settings: CameraSettings) -> None:
        """Start the camera. Raises SourceError when there is none or it is busy."""
        self.wanted = always
        self._closed = Event()
        with _shared.lock:
            if _shared.user is not None:
                raise SourceError("picamera2: the camera is already open in this program")
            try:
                self._device = _started(settings)
            except SourceError:
                raise
            except Exception as error:
                raise SourceError(
                    f"picamera2: the camera cannot be started: {_why(error)}: is its cable in "
                    "place, are you in group video, and is no other program using it?"
                ) from None
            self._device.silent += 1
            _shared.user = self

    def __iter__(self) -> Iterator[Frame]:
        """Frames until it is closed. Raises SourceError when none comes, also after a restart."""
        index = 0
        stalled = False
        while not self._closed.is_set():
            start = perf_counter()
            try:
                buffer, age_s = self._device.capture()
            except TimeoutError:
                if stalled and not self._closed.is_set():
                    raise SourceError(
                        "picamera2: no frame, and none after a restart: check the ribbon cable"
                    ) from None
                stalled = True
                self._restart()
                continue
            except Exception as error:
                if self._closed.is_set():
                    return
                raise SourceError(f"picamera2: no frame: {_why(error)}") from None
            stalled = False
            self._device.silent = 0
            if not self.wanted():
                continue
            image = self._device.decode(buffer)
            capture_ms = (perf_counter() - start) * 1e3
            moment, clock = time.time() - age_s, time.monotonic() - age_s
            yield Frame(image, moment, "picamera2:", index, capture_ms, clock)
            del image, buffer
            index += 1

    def _restart(self) -> None:
        with _shared.lock:
            if self._closed.is_set():
                return
            try:
                self._device.stop()
                self._device.start()
            except Exception as error:
                raise SourceError(
                    f"picamera2: the camera cannot be restarted: {_why(error)}: "
                    "check the ribbon cable"
                ) from None
            if self._closed.is_set():  # `close` may not have waited for this
                self._let_go()

    def close(self) -> None:
        """Stop the camera, which this program keeps for the next `PiCamera`, and end iterating."""
        self._closed.set()
        if _shared.lock.acquire(timeout=_CLOSE_S):
            try:
                self._let_go()
            finally:
                _shared.lock.release()

    def _let_go(self) -> None:
        if _shared.user is not self:
            return
        _shared.user = None
        try:
            self._device.stop()
        except Exception:  # it cannot be used again
            self._device.close()
            _shared.device = None


def _started(settings: CameraSettings) -> _Device:
    """The camera, started: the one that is there if it fits and works, else made anew."""
    device = _shared.device
    silent = 0
    if device is not None:
        silent = device.silent
        # Where starting it again does not help, a new one may: tried after the 4th, 8th, 16th …
        # use without a frame, so that days without a cable do not use up the memory.
        hopeless = silent >= 4 and silent & (silent - 1) == 0
        if device.asked == _asked(settings) and not hopeless:
            with suppress(Exception):
                device.start()
                return device
        _shared.device = None
        device.close()
    device = _Device(settings)
    device.silent = silent
    try:
        device.start()
    except BaseException:
        device.close()
        raise
    _shared.device = device
    return device
