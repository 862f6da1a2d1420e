"""Where frames come from: anything that iterates over `Frame`s and can be closed.

URIs: `picamera2:` (a camera on the Pi's ribbon), `v4l2:0` (a USB camera), `http://…` and
`rtsp://…` (streams), a video file, a picture, or a folder of them.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from edge.errors import SourceError
from edge.settings import CameraSettings
from edge.types import Frame

_V4L = Path("/sys/class/video4linux")


class Camera(Protocol):
    """One source of frames, in the order in which they were taken."""

    wanted: Callable[[], bool]
    """A live source asks before each frame; False leaves it undecoded. Always true at first."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames until the source ends. Raises SourceError when it fails."""

    def close(self) -> None:
        """Let go of the device or file."""


def always() -> bool:
    """The answer that every camera starts with when it asks whether a frame is wanted."""
    return True


def shown(uri: str) -> str:
    """A URI as it may be told: without user and password."""
    return re.sub(r"://[^/@\s]*@", "://…@", uri)


def is_live(uri: str) -> bool:
    """Whether a URI names a camera or a stream, which go on for ever, rather than a file."""
    return uri == "auto" or uri == "picamera2:" or uri.startswith("v4l2:") or "://" in uri


def find_camera() -> str | None:
    """URI of a camera of this machine: the Pi's own first, then a USB one; None without any."""
    if importlib.util.find_spec("picamera2"):
        from edge.cameras.picamera2 import cameras

        if cameras():
            return "picamera2:"
    for node in sorted(_V4L.glob("video*"), key=lambda path: int(path.name[5:])):
        device = str(node.resolve())
        # A Pi has a dozen nodes for codecs and ISPs; a camera that delivers pictures is on USB
        # (or virtual), and its first node is the one with pictures.
        first = (node / "index").read_text().strip() == "0" if (node / "index").exists() else True
        if first and ("/usb" in device or "/virtual/" in device):
            return f"v4l2:{node.name[5:]}"
    return None


def open_camera(
    uri: str, settings: CameraSettings, on_error: Callable[[SourceError], None] | None = None
) -> Camera:
    """The source that `uri` names. Raises SourceError when it cannot be opened.

    `on_error`: told of each file of a folder that cannot be read, which is then skipped; without
    it, such a file raises.
    """
    if not uri:
        raise SourceError("no source given: a camera, stream, video, picture or folder")
    if uri == "picamera2:":
        from edge.cameras.picamera2 import PiCamera

        return PiCamera(settings)
    if uri.lower().endswith(".y4m") and "://" not in uri:
        from edge.cameras.y4m import Y4m

        return Y4m(Path(uri))
    from edge.cameras.opencv import Files, Video

    if uri.startswith("v4l2:"):
        if not re.fullmatch(r"\d{1,3}|/dev/.+", uri[5:]):
            raise SourceError(f"{uri}: a USB camera is named v4l2:0, or v4l2:/dev/v4l/by-id/…")
        return Video(uri, settings)
    if "://" in uri:
        return Video(uri, settings)
    device = re.fullmatch(r"(?:/dev/video)?(\d+)", uri)
    if device and not (Path(uri).is_file() or Path(uri).is_dir()):
        raise SourceError(f"{uri}: a USB camera is named v4l2:{device[1]}")
    return Files(Path(uri), on_error)
