"""The camera on a Pi's ribbon, by picamera2 (from apt: libcamera has no stable ABI)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from time import perf_counter

import numpy as np

from edge.cameras import always
from edge.errors import SourceError
from edge.settings import CameraSettings
from edge.types import Frame


def cameras() -> list[str]:
    """Models of the cameras that libcamera sees; empty where picamera2 cannot be imported."""
    try:
        from picamera2 import Picamera2
    except ImportError:  # found, but without libcamera beneath it
        return []
    return [str(camera.get("Model", "?")) for camera in Picamera2.global_camera_info()]


class PiCamera:
    """Frames from the first camera, with a bound on how long one is waited for."""

    wanted: Callable[[], bool] = staticmethod(always)

    def __init__(self, settings: CameraSettings) -> None:
        """Configure and start it, once. Raises SourceError when there is none or it is busy."""
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise SourceError(
                f"picamera2: {error}: run `sudo apt install python3-picamera2`, "
                "then `rm -r .venv` and `make edge`"
            ) from None
        self._timeout_s = settings.timeout_seconds
        try:
            self._camera = Picamera2()
        except (RuntimeError, IndexError) as error:
            raise SourceError(f"picamera2: the camera cannot be opened: {error}") from None
        try:
            # libcamera names formats by the word, top byte first: "BGR888" is RGB in memory.
            configuration = self._camera.create_video_configuration(
                main={"size": (settings.width, settings.height), "format": "BGR888"},
                controls={"FrameRate": settings.frames_per_second},
                buffer_count=3,
            )
            self._camera.configure(configuration)
            self._camera.start()
        except RuntimeError as error:
            self._camera.close()
            raise SourceError(f"picamera2: the camera cannot be started: {error}") from None

    def __iter__(self) -> Iterator[Frame]:
        """Frames for ever. Raises SourceError when none comes in time."""
        index = 0
        while True:
            start = perf_counter()
            try:
                image = self._camera.capture_array("main", wait=self._timeout_s)
            except TimeoutError:
                raise SourceError(
                    f"picamera2: no frame in {self._timeout_s:g} s: check the ribbon cable"
                ) from None
            capture_ms = (perf_counter() - start) * 1e3
            yield Frame(np.asarray(image, np.uint8), time.time(), "picamera2:", index, capture_ms)
            index += 1

    def close(self) -> None:
        """Stop the camera and let others have it."""
        self._camera.stop()
        self._camera.close()
