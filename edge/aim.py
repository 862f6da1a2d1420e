"""What to improve: whether the face is large, frontal and lit enough, out of mesh and picture."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, degrees, hypot

import numpy as np

from edge.types import Frame, Gap, Reading

SMALL = 48.0
"""Width of a face, pixels, below which readings get worse: FER-2013's pictures are that wide."""
TURNED = 25.0
"""Degrees of turn or nod from which on a face is not frontal; beyond the 5th to 95th percentile of
the pictures that the models have learnt from."""
TILTED = 35.0
"""Degrees of tilt. The features undo it; the face detector loses faces beyond that."""
DARK, BRIGHT = 50.0, 215.0
"""Mean luminance, 0 to 255, beyond which a face is too dark or too bright."""
UNSURE = 0.8
"""Presence below which something may be in front of the face."""
_NOD = 7.0
"""Degrees by which the mesh of a face that looks straight ahead seems to nod: the median of
FER-2013 is 8, that of the muxspace photographs 6."""
_FOREHEAD, _CHIN, _RIGHT, _LEFT = 10, 152, 234, 454
_SAMPLES = 24
"""Luminance is the mean of at most so many rows and columns."""


@dataclass(frozen=True, slots=True)
class Aim:
    """How well the camera sees the face."""

    advice: tuple[str, ...]
    """What to improve, the most important first; empty when all is well."""
    width: float | None = None
    """Of the face, pixels of the frame."""
    yaw: float | None = None
    """Degrees by which the face is turned to its own left."""
    pitch: float | None = None
    """Degrees by which it looks down."""
    roll: float | None = None
    """Degrees by which it is tilted in the picture, clockwise."""
    light: float | None = None
    """Mean luminance of the face (of the picture where there is none), 0 to 255."""


def aim(frame: Frame | Gap, reading: Reading) -> Aim:
    """Look at one reading and the frame that it is of."""
    if isinstance(frame, Gap):
        return Aim((f"camera lost: {frame.reason}",))
    height, width = frame.image.shape[:2]
    if reading.mesh is None:
        light = _luminance(frame, 0, 0, width, height)
        return Aim((*_lit(light, "the picture"), "no face: come into view"), light=light)
    points = reading.mesh.landmarks
    (x0, y0), (x1, y1) = points[:, :2].min(axis=0).tolist(), points[:, :2].max(axis=0).tolist()
    side = (points[_LEFT] - points[_RIGHT]).tolist()
    down = (points[_CHIN] - points[_FOREHEAD]).tolist()
    yaw = degrees(atan2(side[2], hypot(side[0], side[1])))
    pitch = degrees(atan2(down[2], hypot(down[0], down[1]))) - _NOD
    roll = degrees(atan2(side[1], side[0]))
    light = _luminance(frame, x0, y0, x1, y1)
    size = x1 - x0
    advice = []
    if size < SMALL:
        advice.append(f"face too small: {size:.0f} px; come closer")
    if x0 < 0 or y0 < 0 or x1 > width - 1 or y1 > height - 1:
        advice.append("face cut off: move it to the middle of the picture")
    advice += _lit(light, "the face")
    if abs(yaw) > TURNED:
        advice.append(f"turn to the camera: {abs(yaw):.0f}° to the side")
    if abs(pitch) > TURNED:
        which = ("down", "lower") if pitch > 0 else ("up", "raise")
        advice.append(f"turn to the camera: {abs(pitch):.0f}° {which[0]}; or {which[1]} the camera")
    if abs(roll) > TILTED:
        advice.append(f"level head or camera: tilted by {abs(roll):.0f}°")
    if not advice and reading.mesh.presence < UNSURE:
        advice.append("face not clear: is something in front of it, or the picture blurred?")
    return Aim(tuple(advice), size, yaw, pitch, roll, light)


def _lit(light: float | None, what: str) -> tuple[str, ...]:
    if light is None or DARK <= light <= BRIGHT:
        return ()
    word = "dark" if light < DARK else "bright"
    return (f"too {word}: {what} has {light:.0f} of 255",)


def _luminance(frame: Frame, x0: float, y0: float, x1: float, y1: float) -> float | None:
    """Mean of BT.601 luma in a box, from a few of its pixels; None where it is off the picture."""
    height, width = frame.image.shape[:2]
    left, right = max(int(x0), 0), min(int(x1) + 1, width)
    top, bottom = max(int(y0), 0), min(int(y1) + 1, height)
    if left >= right or top >= bottom:
        return None
    across, along = -(-(right - left) // _SAMPLES), -(-(bottom - top) // _SAMPLES)
    colour = frame.image[top:bottom:along, left:right:across].mean(axis=(0, 1))
    return float(colour @ np.array([0.299, 0.587, 0.114]))
