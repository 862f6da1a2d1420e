"""USB cameras, network streams, videos and pictures, by OpenCV."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter

# FFmpeg's threads each hold frames in memory; its log goes to stderr behind Python's back.
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "threads;1")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")  # seconds; 10 otherwise

import numpy as np
from numpy.typing import NDArray

from edge.cameras import always, is_live, shown
from edge.cameras.y4m import Y4m
from edge.errors import SourceError
from edge.quiet import quiet_stderr
from edge.settings import CameraSettings
from edge.types import Frame

try:
    import cv2
except ImportError as error:
    reason = next(iter(str(error).splitlines()), "no reason given")
    raise SourceError(
        f"OpenCV cannot be imported ({reason}), and only picamera2: and .y4m files are read "
        "without it: run `make edge OPENCV=1`, or install the service with OPENCV=1"
    ) from None

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
VIDEOS = (
    ".y4m",
    ".mp4",
    ".avi",
    ".mov",
    ".mkv",
    ".webm",
    ".m4v",
    ".mjpg",
    ".mjpeg",
    ".mpg",
    ".mpeg",
    ".gif",
)
_JPEG = b"\xff\xd8"
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
"""Of a JPEG's segment with a length, or of its end; within a scan only other ones occur."""
_FRAMES_PER_SECOND = 25.0
"""Of a video that does not say."""
_UNREADABLE = "neither a picture nor a video that can be read"

cv2.setLogLevel(0)  # for who imported it before us
cv2.setNumThreads(1)  # decoding one frame gains nothing from a pool, and a pool costs memory


def decode(data: bytes, what: str) -> NDArray[np.uint8]:
    """An encoded picture → (H, W, 3) uint8 RGB. Raises SourceError, naming `what`, when broken."""
    image = None
    if data and not _truncated(data):
        with quiet_stderr():
            try:
                image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
            except cv2.error:  # larger than OpenCV takes
                image = None
    if image is None:
        raise SourceError(f"{what}: not a picture that can be read")
    return np.asarray(image, np.uint8)


def _truncated(data: bytes) -> bool:
    """A JPEG whose picture does not end: OpenCV would fill it up with grey.

    From marker to marker, since a preview in it ends before, and a film behind it may be cut.
    """
    at = 2
    while data[:2] == _JPEG and (marker := _MARKER.search(data, at)):
        if marker[0] == b"\xff\xd9":
            return False
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return data[:2] == _JPEG


def list_files(path: Path, on_error: Callable[[SourceError], None] | None = None) -> list[Path]:
    """`path` itself, or all pictures and videos in the folder `path`, sorted by name.

    Raises SourceError when it does not exist or the folder holds none. `on_error`: told of a folder
    that cannot be read, without whose files it goes on; without it, such a folder raises.
    """
    closed = []

    def failed(error: OSError) -> None:
        closed.append(error)
        told = SourceError(f"{error.filename}: cannot be read: {error.strerror}")
        if on_error is None:
            raise told
        on_error(told)

    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return [path]
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(f"{path}: no such file or folder") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    found = (
        Path(folder, name) for folder, _, names in os.walk(path, onerror=failed) for name in names
    )
    files = sorted(p for p in found if p.suffix.lower() in PICTURES + VIDEOS and not p.is_fifo())
    if not files and not closed:
        raise SourceError(f"{path}: no picture or video in this folder")
    return files


def read_picture(path: Path) -> Frame:
    """A picture file as one frame. Raises SourceError when it cannot be read."""
    start = perf_counter()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    image = decode(data, str(path))
    return Frame(image, 0.0, str(path), 0, (perf_counter() - start) * 1e3)


class Video:
    """A USB camera (`v4l2:0`), a stream (a URL) or a video file (a path)."""

    def __init__(self, uri: str, settings: CameraSettings | None = None) -> None:
        """Open it. Raises SourceError when that fails. `settings` are asked of a USB camera."""
        self._uri = shown(uri)
        self._live = is_live(uri)
        self.wanted = always
        # A live source has a thread of its own, and the other threads need their stderr.
        with nullcontext() if self._live else quiet_stderr():
            self._capture = self._open(uri, settings or CameraSettings())
        if not self._capture.isOpened():
            if not self._live:
                raise SourceError(f"{uri}: {_UNREADABLE}")
            hint = "is it plugged in, and are you in group video?"
            if "://" in uri:
                hint = "is the address right, and does it answer?"
            raise SourceError(f"{self._uri}: cannot be opened: {hint}")

    @staticmethod
    def _open(uri: str, settings: CameraSettings) -> cv2.VideoCapture:
        if not uri.startswith("v4l2:"):
            wait_ms = round(settings.timeout_seconds * 1e3)
            return cv2.VideoCapture(
                uri,
                cv2.CAP_FFMPEG,
                [
                    *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, wait_ms),
                    *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, wait_ms),
                ],
            )
        return cv2.VideoCapture(
            int(uri[5:]) if uri[5:].isdigit() else uri[5:],
            cv2.CAP_V4L2,
            [
                *(cv2.CAP_PROP_FRAME_WIDTH, settings.width),
                *(cv2.CAP_PROP_FRAME_HEIGHT, settings.height),
                *(cv2.CAP_PROP_FPS, round(settings.frames_per_second)),
            ],
        )

    def __iter__(self) -> Iterator[Frame]:
        """Frames until a file ends. Raises SourceError when a live source fails."""
        index = 0
        while True:
            start = perf_counter()
            with nullcontext() if self._live else quiet_stderr():
                there = self._capture.grab()
                if there and not self.wanted():
                    continue
                image = self._capture.retrieve()[1] if there else None
            if image is None:
                break
            cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
            position = self._position(index)
            moment = time.time() if self._live else position
            capture_ms = (perf_counter() - start) * 1e3
            clock = time.monotonic() if self._live else position
            yield Frame(np.asarray(image, np.uint8), moment, self._uri, index, capture_ms, clock)
            del image
            index += 1
        if self._live:
            raise SourceError(f"{self._uri}: no more frames: the camera or the stream is gone")
        if index == 0:
            raise SourceError(f"{self._uri}: {_UNREADABLE}")

    def _position(self, index: int) -> float:
        """Seconds from the start; by the frame rate where a file's frames have no time (MJPEG)."""
        position: float = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        if position >= 0 or self._live:
            return position
        return index / (self._capture.get(cv2.CAP_PROP_FPS) or _FRAMES_PER_SECOND)

    def close(self) -> None:
        """Let go of the device or file."""
        self._capture.release()


class Files:
    """A picture, a video, or a folder of them, one after the other."""

    wanted = staticmethod(always)

    def __init__(self, path: Path, on_error: Callable[[SourceError], None] | None = None) -> None:
        """Raises SourceError when there is nothing. `on_error`: see `open_camera`."""
        self._files = list_files(path, on_error)
        self._on_error = on_error

    def __iter__(self) -> Iterator[Frame]:
        """All frames of all files."""
        for path in self._files:
            try:
                yield from read_file(path)
            except SourceError as error:
                if self._on_error is None:
                    raise
                self._on_error(error)

    def close(self) -> None:
        """Nothing is held between files."""


def is_picture(path: Path) -> bool:
    """Whether it is a single picture: by its name, or by its head where the name tells nothing."""
    suffix = path.suffix.lower()
    if suffix in PICTURES + VIDEOS:
        return suffix in PICTURES
    with quiet_stderr():
        return path.is_file() and bool(cv2.haveImageReader(str(path)))


def read_file(path: Path) -> Iterator[Frame]:
    """The frames of one file. Raises SourceError when it cannot be read."""
    if is_picture(path):
        yield read_picture(path)
        return
    video: Y4m | Video
    if path.suffix.lower() == ".y4m":
        video = Y4m(path)
    elif path.is_file() and (other := _no_video(path)):
        raise SourceError(f"{path}: {other}")
    else:
        video = Video(str(path))
    try:
        yield from video
    finally:
        video.close()


def _no_video(path: Path) -> str | None:
    """Why it is none, though FFmpeg would play it: a zip's pictures in a row, a text as a video of
    a terminal. Every video's head has a 0 or a 255."""
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    if head.startswith(b"PK\3\4"):
        return "a zip: unpack it, and give its folder"
    return None if {0, 255} & set(head) else _UNREADABLE
