"""The sample clip: a portrait under a moving camera, so that the face moves, turns and grows."""

from __future__ import annotations

from fractions import Fraction
from math import cos, pi, sin
from pathlib import Path

import cv2
import numpy as np

from edge.errors import SetupError
from edge.quiet import quiet_stderr

PORTRAIT, CLIP = "sample.png", "sample.y4m"
FRAMES, FRAMES_PER_SECOND, SIZE = 120, 15, (400, 300)
_FACE = (222.0, 118.0)
"""Centre of the face in the portrait, pixels."""


def pose(time: float) -> np.ndarray:
    """Portrait → frame at `time` (0 to 1 over the clip): a similarity, (2, 3) float64."""
    scale = 0.9 - 0.35 * cos(2 * pi * time)  # the face is 50 to 110 pixels wide
    angle = 0.5 * sin(4 * pi * time)  # to 29 degrees, both ways
    x = SIZE[0] / 2 + 80 * sin(2 * pi * time)
    y = SIZE[1] / 2 + 30 * cos(6 * pi * time)
    a, b = scale * cos(angle), scale * sin(angle)
    return np.array(
        [[a, -b, x - a * _FACE[0] + b * _FACE[1]], [b, a, y - b * _FACE[0] - a * _FACE[1]]]
    )


def make_clip(folder: Path) -> Path | None:
    """Write the clip beside the portrait, unless it is there and newer; its path if written."""
    portrait, clip = folder / PORTRAIT, folder / CLIP
    if clip.is_file() and clip.stat().st_mtime >= portrait.stat().st_mtime:
        return None
    with quiet_stderr():  # libpng dislikes the portrait's colour profile
        image = cv2.imread(str(portrait), cv2.IMREAD_COLOR)
    if image is None:
        raise SetupError(f"{portrait} cannot be read: delete it and run `make models`")
    rate = Fraction(FRAMES_PER_SECOND)
    header = (
        f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F{rate.numerator}:{rate.denominator} Ip A1:1 C420jpeg\n"
    )
    partial = clip.with_suffix(".part")
    try:
        with partial.open("wb") as file:
            file.write(header.encode())
            for i in range(FRAMES):
                frame = cv2.warpAffine(image, pose(i / FRAMES), SIZE, borderValue=(60, 60, 60))
                file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes())
        partial.replace(clip)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise SetupError(f"{clip} cannot be written: {error.strerror or error}") from None
    return clip
