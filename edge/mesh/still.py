"""A scene in which nothing moves need not be read again and again.

A part of the picture is summed up in squares, and the sums are compared with those of the picture
in which something moved last, so that slow drift adds up until it is seen. A change counts when it
is more than the sensor's noise and more than a move by the landmarks' own noise would make.

While nothing moves, looks become rarer, 2, 4, then 8 pictures apart, and what is told is their
mean: it has less noise than a look at each picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge import native
from edge.mesh.geometry import Roi
from edge.types import Mesh

SQUARES = 32
"""Along the longer side of what is watched. Then a corner of the mouth has a few of its own."""
AROUND_FACE = 0.8
"""Share of a face's ROI that is watched: 1.2 × the face."""
_RARER = 3
"""How often looks become half as many."""
LONGEST = 2**_RARER - 1
"""Pictures in a row that are not read at most: half a second at 15 a second."""
LOOKS = 8
"""Of which a mean is taken at most; then older ones fade."""
_MOVE = 0.04
"""In squares: 0.15 % of a face's width, as much as landmarks of an unmoved face differ from frame
to frame (measured: 0.04 % to 0.18 %, with the sensor's noise)."""
_NOISE = 5.0
"""Standard deviations that the largest of a thousand changes may have without being one."""
_DIM, _LOUD = 2.0, 12.0
"""Grey levels, of squares and of single pixels: where they differ by more everywhere, it is the
light, or a fine pattern that moves, or too noisy to tell."""
_FINEST = 0.05
"""Grey levels; the noise is never taken for less."""
_MOST = _NOISE * _DIM + _MOVE * 255
"""Grey levels; more is a change whatever the noise and the contrast."""
_MEDIAN = 0.6745
"""Of the absolute values of a normal distribution, in standard deviations."""


class Still:
    """Remembers what was seen in a scene for as long as nothing moves in it."""

    def __init__(self, *, compiled: bool = True) -> None:
        """`compiled`: by `edge.native` where that was compiled."""
        self._library = native.load() if compiled else None
        self._place = (0, 0, 0, 0, 0)  # side, left, top, rows, columns of the squares
        self.reset()

    def reset(self) -> None:
        """Forget it: the next picture is of another scene."""
        self._seen: NDArray[np.float32] | None = None
        self._now: NDArray[np.float32] | None = None
        self._bounds: tuple[NDArray[np.float32], NDArray[np.intp]] | None = None
        self._mesh: Mesh | None = None
        self._looks = self._hold = 0
        self._same = False

    @property
    def ready(self) -> bool:
        """Whether there is a picture to compare with."""
        return self._seen is not None

    def __call__(self, image: NDArray[np.uint8]) -> bool:
        """Whether `image` (H, W, 3) need not be read: nothing moved since a late look."""
        self._same = self._unmoved(image)
        if not self._same or not self._hold:
            return False
        self._hold -= 1
        return True

    def look(
        self,
        image: NDArray[np.uint8],
        mesh: Mesh | None,
        roi: Roi | None,
        *,
        sure: bool,
        least: int = 0,
    ) -> Mesh | None:
        """`image` was read: what is to be told, the mean of all looks at a face that keeps still.

        It was asked about just before, if at all. `roi`: that of `mesh`. `sure`: whether the look
        is good enough to be told again: a look from a detection is not exact, and who looked at a
        part of a picture has not seen that it is empty. `least`: looks at every picture before they
        become rarer; so many make sure that there is no face anywhere.
        """
        if not self._same or (mesh is None) != (self._mesh is None):
            now = self._now
            self.reset()
            if mesh is None or sure:
                self._keep(image, roi, now)
            if not sure:
                return mesh
        elif mesh is not None and self._mesh is not None:
            share = np.float32(1 / min(self._looks + 1, LOOKS))
            before = self._mesh.landmarks
            mesh = Mesh(before + share * (mesh.landmarks - before), mesh.presence)
        self._mesh = mesh
        self._looks += 1
        self._hold = 2 ** min(max(self._looks - least, 0), _RARER) - 1
        return mesh

    def _keep(
        self, image: NDArray[np.uint8], roi: Roi | None, now: NDArray[np.float32] | None
    ) -> None:
        """From now on, compare with `image`: the face in `roi`, or all of it.

        `now`: its means where they were taken before, or None.
        """
        height, width = image.shape[:2]
        half = roi.size * AROUND_FACE / 2 if roi else max(width, height) / 2
        x, y = (roi.cx, roi.cy) if roi else (half, half)
        side = max(1, round(2 * half / SQUARES))
        left, top = max(0, int(x - half)), max(0, int(y - half))
        columns = (min(width, int(x + half)) - left) // side
        rows = (min(height, int(y + half)) - top) // side
        before, self._place = self._place, (side, left, top, rows, columns)
        self._shape = image.shape
        if side <= native.LONGEST_SQUARE and min(rows, columns) > 1:
            known = now is not None and before == self._place
            self._seen = now if known else self._means(image)

    def _unmoved(self, image: NDArray[np.uint8]) -> bool:
        seen, self._now = self._seen, None
        if seen is None or image.shape != self._shape:
            return False
        self._now = self._means(image)
        change = np.abs(self._now - seen)
        if float(change.max()) > _MOST:  # most of what moves does so by far
            return False
        if self._bounds is None:
            self._bounds = _bounds(seen.reshape(self._place[3:]))
        slack, flat = self._bounds
        middle = len(flat) // 2
        noise = float(np.partition(change[flat], middle)[middle]) / _MEDIAN + _FINEST
        return (
            noise <= min(_DIM, _LOUD / self._place[0])
            and float((change - slack).max()) <= _NOISE * noise
        )

    def _means(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Mean of each square, all channels: (rows * columns,) float32 grey levels."""
        side, left, top, rows, columns = self._place
        sums = np.empty((rows, columns), np.uint32)
        if self._library and image.strides[1:] == (3, 1):
            first = image.ctypes.data + top * image.strides[0] + left * 3
            self._library.squares(first, image.strides[0], side, rows, columns, sums.ctypes.data)
        else:
            part = image[top:, left:][: rows * side, : columns * side]
            lines = np.ascontiguousarray(part).reshape(rows, side, -1)
            lines.sum(1, np.uint32).reshape(rows, columns, -1).sum(2, np.uint32, sums)
        return sums.ravel() * np.float32(1 / (side * side * 3))


def _bounds(means: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """By how much a move within the landmarks' noise changes each square, (N,) grey levels.

    And which are the flatter half of them: all that changes there is the noise, or the light.
    """
    most = np.zeros_like(means)  # difference to a neighbour: what a move by one square changes
    across, down = np.abs(np.diff(means, axis=1)), np.abs(np.diff(means, axis=0))
    for part, difference in (
        (most[:, 1:], across),
        (most[:, :-1], across),
        (most[1:], down),
        (most[:-1], down),
    ):
        np.maximum(part, difference, out=part)
    contrast = most.ravel()
    half = len(contrast) // 2
    return contrast * np.float32(_MOVE), np.argpartition(contrast, half)[:half]
