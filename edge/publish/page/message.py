"""One reading as the page takes it: JSON in a server-sent event."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.aim import aim
from edge.errors import SetupError
from edge.publish import as_dict
from edge.types import CLASSES, Frame, Gap, Reading

UNITS = 8192
"""Landmarks are whole numbers, so many to the longer side of the frame: what lies beyond the frame
fits into 16 bits, too."""
_PICTURE = 320
"""Longer side of the picture that is shown, pixels, at most; twice that is left as it is."""


def event(frame: Frame | Gap, reading: Reading, status: Mapping[str, Any], picture: bool) -> bytes:
    """What `as_dict` has and, where there is a face, its mesh: 468 × (x, y, z) int16, base64.

    `status`: how the program is. `picture`: whether to add the frame, as a JPEG.
    """
    told = as_dict(frame, reading)
    told["aim"] = {
        name: round(value) if isinstance(value, float) else value
        for name, value in asdict(aim(frame, reading)).items()
    }
    told["status"] = status
    if isinstance(frame, Frame):
        height, width = frame.image.shape[:2]
        told["size"] = [width, height]
        if reading.mesh is not None:
            whole = np.rint(reading.mesh.landmarks * (UNITS / max(width, height)))
            told["mesh"] = _text(whole.clip(-32768, 32767).astype("<i2").tobytes())
        if picture:
            told["picture"] = _text(_jpeg(frame.image))
    return b"data: " + json.dumps(told, separators=(",", ":")).encode() + b"\n\n"


def history(moments: Iterable[tuple[float, str, float | None]], now_s: float) -> bytes:
    """The last minute, for who has just come: (seconds, label, confidence) each, oldest first."""
    told = [[round(now_s - then_s, 2), label, sure] for then_s, label, sure in moments]
    about = {"classes": CLASSES, "past": told}
    return b"event: history\ndata: " + json.dumps(about, separators=(",", ":")).encode() + b"\n\n"


def open_encoder() -> Callable[..., Any]:
    """OpenCV's JPEG encoder. Raises SetupError where there is no OpenCV."""
    try:
        from cv2 import imencode
    except ImportError:
        raise SetupError(
            "page.picture needs OpenCV: pip install opencv-python-headless, or leave it false"
        ) from None
    return imencode


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    step = max(max(image.shape[:2]) // _PICTURE, 1)
    small = np.ascontiguousarray(image[::step, ::step, ::-1])
    return bytes(open_encoder()(".jpg", small, [1, 70])[1])  # 1: IMWRITE_JPEG_QUALITY


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")
