"""Where in a picture the detector looks for a face: squares, upright or turned.

BlazeFace sees a square shrunk to 128 pixels. It finds a face that is an eighth of it or more, and
upright to within some 60°: what is farther away, or tilted more, it sees only in a part of the
picture, or in a picture that is turned; and what fills the picture, only with a margin.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, pi

from edge.mesh.geometry import Roi

FINEST = 160
"""Least side of a part of the picture, pixels: faces too small to be found in it are too small to
be read, too."""
_PARTS = (2, 4)
"""The longer side of the picture, in sides of its parts."""
_OVERLAP = 0.25
"""Share of a part's side that it has in common with the next: faces of that size are whole in one
of them."""
_MARGIN = 1.5
"""How much larger than the picture a square is in which a face is seen that fills it."""
_AROUND = 2.0
"""How much larger than a face's ROI the square is in which that face is looked for again."""


@lru_cache(maxsize=8)
def elsewhere(height: int, width: int) -> tuple[Roi, ...]:
    """Where else than in the whole of a picture: all of it turned, or smaller; then its parts."""
    whole = Roi.of_picture(height, width)
    found = [*turned(whole), whole.scaled(_MARGIN)]
    for side in (whole.size / count for count in _PARTS):
        if side >= FINEST:
            rows, columns = _centres(height, side), _centres(width, side)
            found += [Roi(x, y, side) for y in rows for x in columns]
    return tuple(found)


def turned(place: Roi, ways: int = 4) -> tuple[Roi, ...]:
    """The same square, the other `ways` up (an even number), to either side in turn."""
    x, y, size, angle = place.cx, place.cy, place.size, place.angle
    aside = [side * 2 * pi * step / ways for step in range(1, ways // 2) for side in (1, -1)]
    return tuple(Roi(x, y, size, angle + turn) for turn in (*aside, pi))


def around(face: Roi) -> Roi:
    """Where a face is that was in the ROI `face`."""
    return face.scaled(_AROUND)


def _centres(length: int, side: float) -> list[float]:
    """Of as few parts as cover `length` with the overlap."""
    if length <= side:
        return [length / 2]
    count = ceil((length - side) / (side * (1 - _OVERLAP))) + 1
    step = (length - side) / (count - 1)
    return [side / 2 + step * index for index in range(count)]
