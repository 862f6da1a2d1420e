"""Regions of interest, and the pixels inside them.

Coordinates: pixels of the frame, x right, y down, the centre of the first pixel at (0, 0).
Angles: radians, clockwise on the screen (from x towards y).

The ROI rules are MediaPipe's (`face_detection_front_detection_to_roi`,
`face_landmark_landmarks_to_roi`, `image_to_tensor`), so that a mesh found here is the mesh that
MediaPipe finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, ceil, cos, floor, sin

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

ROI_SCALE = 1.5
"""How much larger than the face's box the ROI is (MediaPipe's RectTransformation)."""
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
"""Mesh points whose connecting line MediaPipe levels: the outer eye corners."""


@dataclass(frozen=True, slots=True)
class Roi:
    """A square region of the frame, turned by `angle` around its centre."""

    cx: float
    """Centre, pixels."""
    cy: float
    """Centre, pixels."""
    size: float
    """Side, pixels."""
    angle: float = 0.0
    """Radians, clockwise on the screen."""

    def axes(self) -> tuple[float, float, float, float]:
        """Origin x, y (the corner that becomes the crop's first pixel) and the unit x axis."""
        ux, uy = cos(self.angle), sin(self.angle)
        half = self.size / 2
        return self.cx - half * ux + half * uy, self.cy - half * uy - half * ux, ux, uy

    def to_frame(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (N, 3) in ROI units (0 to 1 over the ROI; z in the same scale) → frame pixels."""
        ox, oy, ux, uy = self.axes()
        s = self.size
        turn = np.array([[ux * s, uy * s, 0], [-uy * s, ux * s, 0], [0, 0, s]], np.float32)
        out = points @ turn
        out += np.array([ox, oy, 0], np.float32)
        return out

    @staticmethod
    def of_box(
        x0: float, y0: float, x1: float, y1: float, level: tuple[float, float], scale: float
    ) -> Roi:
        """The square around a box, turned so that the direction `level` (dx, dy) is horizontal."""
        side = max(x1 - x0, y1 - y0) * scale
        return Roi((x0 + x1) / 2, (y0 + y1) / 2, side, atan2(level[1], level[0]))

    @staticmethod
    def of_landmarks(landmarks: NDArray[np.float32], scale: float = ROI_SCALE) -> Roi:
        """The ROI for the next look at a face whose mesh (468, 3) is known."""
        (x0, y0), (x1, y1) = landmarks[:, :2].min(0).tolist(), landmarks[:, :2].max(0).tolist()
        dx, dy = (landmarks[LEFT_EYE_OUTER, :2] - landmarks[RIGHT_EYE_OUTER, :2]).tolist()
        return Roi.of_box(x0, y0, x1, y1, (dx, dy), scale)

    @staticmethod
    def of_picture(height: int, width: int) -> Roi:
        """The upright square that holds the whole picture."""
        return Roi(width / 2, height / 2, max(width, height))


_RED_BLUE = np.uint32(0x00FF00FF)
_GREEN = np.uint32(0x000000FF)
_EIGHT = np.uint32(8)


class Cropper:
    """Resamples a ROI of an RGB picture to a float32 square of fixed size.

    Bilinear, as OpenCV's warpPerspective does it for MediaPipe: pixel (u, v) of the crop is the
    frame at origin + (u, v) * roi.size / size, with no half-pixel shift.

    Fast without OpenCV: the part of the picture under the ROI is packed into one uint32 a pixel,
    the four neighbours are gathered for all channels at once, and two channels are blended in one
    32-bit word (weights sum to 256, so no lane overflows). All buffers are made once.
    """

    def __init__(
        self, size: int, low: float = 0.0, high: float = 1.0, outside: str = "edge"
    ) -> None:
        """Crops of (size, size, 3), scaled to [low, high].

        `outside` says what lies beyond the picture: "edge" repeats its border, "black" is zero.
        """
        if outside not in ("edge", "black"):
            raise ValueError(f"outside is {outside!r}; allowed: 'edge', 'black'")
        self.size, self._low, self._outside = size, np.float32(low), outside
        self._gain = np.float32((high - low) / (255 * 256))
        self._ramp = np.arange(size, dtype=np.float32)
        square = (size, size)
        self._index = np.empty(square, np.intp)
        self._weights = np.empty((4, *square), np.uint32)
        self._words = np.empty((4, *square), np.uint32)
        # Positions are needed only until the words are, and live in the same memory.
        self._float = self._words[0].view(np.float32)
        self._x, self._y = self._words[1].view(np.int32), self._words[2].view(np.int32)

    def __call__(self, image: NDArray[np.uint8], roi: Roi, out: NDArray[np.float32]) -> None:
        """Resample `roi` of `image` (H, W, 3) uint8 into `out` (size, size, 3) float32."""
        packed, left, top = self._cover(image, roi)
        flat, stride = packed.ravel(), packed.shape[1]
        index = self._place(roi, left, top, packed.shape)
        words, green, red_blue, pixel = self._words
        red_blue.fill(0)
        green.fill(0)
        for offset, weight in zip((0, 1, stride, stride + 1), self._weights, strict=True):
            np.take(flat[offset:], index, out=pixel, mode="clip")
            np.bitwise_and(pixel, _RED_BLUE, out=words)
            words *= weight
            red_blue += words
            pixel >>= _EIGHT
            pixel &= _GREEN
            pixel *= weight
            green += pixel
        halves = red_blue.view(np.uint16)  # low, high: red, blue
        channels = (halves[:, ::2], green.view(np.uint16)[:, ::2], halves[:, 1::2])
        for channel, value in enumerate(channels):
            np.multiply(value, self._gain, out=out[..., channel])
        if self._low:
            out += self._low

    def _cover(self, image: NDArray[np.uint8], roi: Roi) -> tuple[NDArray[np.uint32], int, int]:
        """The packed part of the picture that the ROI can touch, and where its corner lies."""
        height, width = image.shape[:2]
        ox, oy, ux, uy = roi.axes()
        corners_x = (0.0, ux * roi.size, -uy * roi.size, (ux - uy) * roi.size)
        corners_y = (0.0, uy * roi.size, ux * roi.size, (ux + uy) * roi.size)
        left = min(max(floor(ox + min(corners_x)), -1), width - 1)
        top = min(max(floor(oy + min(corners_y)), -1), height - 1)
        right = min(max(ceil(ox + max(corners_x)), 0), width)
        bottom = min(max(ceil(oy + max(corners_y)), 0), height)
        return _pack(image, left, top, right, bottom, self._outside), left, top

    def _place(self, roi: Roi, left: int, top: int, shape: tuple[int, ...]) -> NDArray[np.intp]:
        """Fill the four weights; the index of each crop pixel's upper left neighbour."""
        ox, oy, ux, uy = roi.axes()
        step = roi.size / self.size * 256  # positions in 1/256 pixel
        for position, u_step, v_step, origin, last in (
            (self._x, ux * step, -uy * step, ox - left, shape[1] - 2),
            (self._y, uy * step, ux * step, oy - top, shape[0] - 2),
        ):
            along = self._ramp * np.float32(u_step) + np.float32(origin * 256)
            np.add.outer(self._ramp * np.float32(v_step), along, out=self._float)
            # Beyond the packed border every pixel equals the border, so clamping is exact.
            np.clip(self._float, 0, last * 256, out=self._float)
            position[...] = self._float
        x, y = self._x, self._y
        w00, w01, w10, w11 = self._weights
        np.bitwise_and(x, 255, out=w01, casting="unsafe")
        np.bitwise_and(y, 255, out=w10, casting="unsafe")
        np.multiply(w01, w10, out=w11)
        w11 += np.uint32(128)
        w11 >>= _EIGHT
        w01 -= w11
        np.subtract(np.uint32(256), w10, out=w00)
        w00 -= w01
        w10 -= w11
        y >>= 8
        y *= shape[1]
        x >>= 8
        np.add(x, y, out=self._index)
        return self._index


def _pack(
    image: NDArray[np.uint8], left: int, top: int, right: int, bottom: int, outside: str
) -> NDArray[np.uint32]:
    """Pixels left..right+1, top..bottom+1 of `image` as 0x..BBGGRR words; a border where needed.

    `left` and `top` may be -1 and `right`, `bottom` may be the picture's size: one ring beyond
    it. One more column and row follow, so that a neighbour of the last pixel can be gathered.
    """
    height, width = image.shape[:2]
    rows, columns = bottom - top + 2, right - left + 2
    block = np.zeros((rows * columns + 1) * 3, np.uint8)
    pixels = block[: rows * columns * 3].reshape(rows, columns, 3)
    x0, x1, y0, y1 = max(left, 0), min(right + 2, width), max(top, 0), min(bottom + 2, height)
    px0, px1, py0, py1 = x0 - left, x1 - left, y0 - top, y1 - top
    pixels[py0:py1, px0:px1] = image[y0:y1, x0:x1]
    if outside == "edge":
        pixels[py0:py1, :px0] = pixels[py0:py1, px0 : px0 + 1]
        pixels[py0:py1, px1:] = pixels[py0:py1, px1 - 1 : px1]
        pixels[:py0] = pixels[py0]
        pixels[py1:] = pixels[py1 - 1]
    # One unaligned read a pixel: its three bytes and the next pixel's first, which is masked out.
    words = as_strided(block[:4].view("<u4"), (rows, columns), (columns * 3, 3))
    return np.ascontiguousarray(words)
