"""Regions of interest, and the pixels inside them.

Coordinates: pixels of the frame, x right, y down, the centre of the first pixel at (0, 0).
Angles: radians, clockwise on the screen (from x towards y).

The ROI rules are MediaPipe's (`face_detection_front_detection_to_roi`,
`face_landmark_landmarks_to_roi`, `image_to_tensor`), so that a mesh found here is the mesh that
MediaPipe finds.
"""

from __future__ import annotations

from ctypes import CDLL
from dataclasses import dataclass
from math import atan2, ceil, cos, floor, hypot, pi, sin

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from edge import native

ROI_SCALE = 1.5
"""How much larger than the face's box the ROI is (MediaPipe's RectTransformation)."""
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
"""Mesh points whose connecting line MediaPipe levels: the outer eye corners."""


FAR_TURN, FAR_SHARE = 0.1, 0.08
"""Radians, and share of a ROI's side, from which on a look is too far off to be believed."""
MOVES_TURN, MOVES_SHARE = 0.035, 0.02
"""The same, from which on a face moves: more than the landmarks of one that keeps still tremble."""


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

    def scaled(self, scale: float) -> Roi:
        """The same square, `scale` times as large."""
        return Roi(self.cx, self.cy, self.size * scale, self.angle)

    def distance(self, other: Roi) -> float:
        """Between the centres, pixels."""
        return hypot(self.cx - other.cx, self.cy - other.cy)

    def is_far_from(self, other: Roi, turn: float = FAR_TURN, share: float = FAR_SHARE) -> bool:
        """Whether a look at one shows a face that is in the other askew."""
        moved = self.distance(other)
        grown = abs(self.size - other.size)
        return abs(self._turned_from(other)) > turn or max(moved, grown) > share * other.size

    def moves_from(self, other: Roi) -> bool:
        """Whether a face that was there has moved, by more than its landmarks tremble."""
        return self.is_far_from(other, MOVES_TURN, MOVES_SHARE)

    def step_from(self, before: Roi) -> tuple[float, float, float, float]:
        """Right, down, grown, turned: pixels, pixels, share of the size, radians from -π to π."""
        right, down = self.cx - before.cx, self.cy - before.cy
        return right, down, self.size / before.size - 1, self._turned_from(before)

    def ahead_of(self, before: Roi, earlier: Roi) -> Roi:
        """Where a face will be that went from `earlier` to `before` to here, as far as it kept on.

        That is the smaller of each movement's two steps, and none that was turned back: a face, or
        a camera, that shakes is here again sooner than anywhere else. Nor is one expected to go on
        that moved so fast that it is looked at twice anyway.
        """
        if not self.moves_from(before) or self.is_far_from(before):
            return self
        steps = zip(self.step_from(before), before.step_from(earlier), strict=True)
        right, down, grown, turned = (
            min(step, key=abs) if step[0] * step[1] > 0 else 0.0 for step in steps
        )
        return Roi(self.cx + right, self.cy + down, self.size * (1 + grown), self.angle + turned)

    def _turned_from(self, other: Roi) -> float:
        return (self.angle - other.angle + pi) % (2 * pi) - pi

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
        axes = landmarks[:, :2].T.copy()  # numpy is slow across rows of two
        (x0, y0), (x1, y1) = axes.min(1).tolist(), axes.max(1).tolist()
        dx, dy = (landmarks[LEFT_EYE_OUTER, :2] - landmarks[RIGHT_EYE_OUTER, :2]).tolist()
        return Roi.of_box(x0, y0, x1, y1, (dx, dy), scale)

    @staticmethod
    def of_picture(height: int, width: int) -> Roi:
        """The upright square that holds the whole picture."""
        return Roi(width / 2, height / 2, max(width, height))


_FAR = 1e6
"""Pixels."""
_RED_BLUE = np.uint32(0x00FF00FF)
_BYTE = np.uint32(255)
_EIGHT = np.uint32(8)
_BEYOND = 2.0**29
"""1/256 pixels: beyond any picture, and the sum of two still is an int32."""


class Cropper:
    """Resamples a ROI of an RGB picture to a float32 square of fixed size.

    Bilinear, as OpenCV's warpPerspective does it for MediaPipe: pixel (u, v) of the crop is the
    frame at origin + (u, v) * roi.size / size, with no half-pixel shift.

    `edge.native` does it in a fifth of the instructions, where that was compiled. Else, and fast
    for numpy: an upright ROI is blended by columns, then by rows, without an index a
    pixel. For a turned one the part of the picture under it is packed into one uint32 a pixel,
    the four neighbours are gathered for all channels at once, and blended in 32-bit words
    (weights sum to 256, so no 16-bit lane overflows). Operations keep to one type, since numpy
    converts in small slow chunks. All large buffers are made once.
    """

    def __init__(
        self,
        size: int,
        low: float = 0.0,
        high: float = 1.0,
        outside: str = "edge",
        *,
        compiled: bool = True,
    ) -> None:
        """Crops of (size, size, 3), scaled to [low, high].

        `outside` says what lies beyond the picture: "edge" repeats its border, "black" is zero.
        `compiled`: by `edge.native` where that was compiled.
        """
        if outside not in ("edge", "black"):
            raise ValueError(f"outside is {outside!r}; allowed: 'edge', 'black'")
        self.size, self._low, self._outside = size, np.float32(low), outside
        self._gain = np.float32((high - low) / (255 * 256))
        self._library = native.load() if compiled and size <= native.LONGEST else None
        self._ramp = np.arange(size) * (256 / size)
        self._index = np.empty((size, size), np.intp)
        self._planes = np.empty((8, size, size), np.uint32)
        self._steps = np.empty((size, size * 3), np.float32)

    def __call__(self, image: NDArray[np.uint8], roi: Roi, out: NDArray[np.float32]) -> None:
        """Resample `roi` of `image` (H, W, 3) uint8 into `out`.

        `out` is (size, size, 3) float32 and contiguous.
        """
        if self._library and self._fits(image, roi):
            self._compiled(self._library, image, roi, out)
            return
        pixels, left, top = self._cover(image, roi)
        ox, oy, ux, uy = roi.axes()
        last_x, last_y = pixels.shape[1] - 2, pixels.shape[0] - 2
        x, y = (ox - left) * 256, (oy - top) * 256
        if roi.angle == 0:
            columns = self._along(roi.size, x, last_x)
            self._upright(pixels, columns, self._along(roi.size, y, last_y), out)
            return
        self._place(self._planes[0], x, roi.size * ux, -roi.size * uy, last_x)
        self._place(self._planes[1], y, roi.size * uy, roi.size * ux, last_y)
        self._turned(pixels, out)

    @staticmethod
    def _fits(image: NDArray[np.uint8], roi: Roi) -> bool:
        """Whether positions in 1/256 pixel, and bytes of the picture, can be counted in 32 bits."""
        return abs(roi.cx) + abs(roi.cy) + roi.size < _FAR and image.nbytes < 2**30

    def _compiled(
        self, library: CDLL, image: NDArray[np.uint8], roi: Roi, out: NDArray[np.float32]
    ) -> None:
        if image.strides[1:] != (3, 1):
            image = np.ascontiguousarray(image)
        height, width = image.shape[:2]
        ox, oy, ux, uy = roi.axes()
        scale = 256 * roi.size / self.size
        library.crop(
            *(image.ctypes.data, image.strides[0], height, width, self._outside == "black"),
            *(ox * 256, oy * 256, ux * scale, uy * scale, self.size),
            *(float(self._gain) * 256, float(self._low), out.ctypes.data),
        )

    def _cover(self, image: NDArray[np.uint8], roi: Roi) -> tuple[NDArray[np.uint8], int, int]:
        """The part of the picture that the ROI can touch, and where its corner lies."""
        height, width = image.shape[:2]
        ox, oy, ux, uy = roi.axes()
        corners_x = (0.0, ux * roi.size, -uy * roi.size, (ux - uy) * roi.size)
        corners_y = (0.0, uy * roi.size, ux * roi.size, (ux + uy) * roi.size)
        left = min(max(floor(ox + min(corners_x)), -1), width - 1)
        top = min(max(floor(oy + min(corners_y)), -1), height - 1)
        right = min(max(ceil(ox + max(corners_x)), 0), width)
        bottom = min(max(ceil(oy + max(corners_y)), 0), height)
        return _cut(image, left, top, right, bottom, self._outside), left, top

    def _along(self, side: float, start: float, last: int) -> NDArray[np.int32]:
        """Positions along one side of an upright ROI, in 1/256 pixel."""
        # Beyond the border of the cut every pixel equals the border, so clamping is exact.
        return np.clip(self._ramp * side + start, 0, last * 256).astype(np.int32)

    def _upright(
        self,
        pixels: NDArray[np.uint8],
        columns: NDArray[np.int32],
        rows: NDArray[np.int32],
        out: NDArray[np.float32],
    ) -> None:
        """Blend neighbours along each row of the cut, then whole rows."""
        index = ((columns >> 8)[:, None] * 3 + np.arange(3)).ravel()
        weight = np.repeat((columns & 255).astype(np.float32) * self._gain, 3)
        lines = pixels.reshape(len(pixels), -1)
        blend = lines.take(index + 3, axis=1, mode="wrap").astype(np.float32)
        left = lines.take(index, axis=1, mode="wrap").astype(np.float32)
        blend -= left
        blend *= weight
        left *= self._gain * np.float32(256)
        blend += left
        if self._low:
            blend += self._low
        steps = np.subtract(blend[1:], blend[:-1], out=left[:-1])
        index, flat = rows >> 8, out.reshape(self.size, -1)
        np.take(blend, index, axis=0, out=flat, mode="wrap")
        np.take(steps, index, axis=0, out=self._steps, mode="wrap")
        self._steps *= ((rows & 255).astype(np.float32) / np.float32(256))[:, None]
        flat += self._steps

    def _place(
        self, out: NDArray[np.uint32], start: float, u_side: float, v_side: float, last: int
    ) -> None:
        """Positions along one axis of the frame, in 1/256 pixel."""
        along = np.clip(self._ramp * u_side + start, -_BEYOND, _BEYOND)
        down = np.clip(self._ramp * v_side, -_BEYOND, _BEYOND)
        signed = out.view(np.int32)
        np.add(down.astype(np.int32)[:, None], along.astype(np.int32), out=signed)
        low = min(along[0], along[-1]) + min(down[0], down[-1])
        high = max(along[0], along[-1]) + max(down[0], down[-1])
        if low < 1 or high > last * 256 - 1:  # both are cut to whole steps
            np.clip(signed, 0, last * 256, out=signed)

    def _turned(self, pixels: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Blend the four neighbours of the positions in the first two planes."""
        x, y, w11, w00, pixel, part, red_blue, every = self._planes
        stride = pixels.shape[1]
        np.right_shift(y, _EIGHT, out=pixel)
        pixel *= np.uint32(stride)
        np.right_shift(x, _EIGHT, out=part)
        pixel += part
        self._index[...] = pixel
        # From here on x and y are the weights of the neighbours to the right and below.
        x &= _BYTE
        y &= _BYTE
        np.multiply(x, y, out=w11)
        w11 >>= _EIGHT
        np.subtract(np.uint32(256), x, out=w00)
        w00 -= y
        w00 += w11
        x -= w11
        y -= w11
        flat = _pack(pixels)
        np.take(flat, self._index, out=every, mode="wrap")
        np.bitwise_and(every, _RED_BLUE, out=red_blue)
        every *= w00
        red_blue *= w00
        for offset, weight in ((1, x), (stride, y), (stride + 1, w11)):
            np.take(flat[offset:], self._index, out=pixel, mode="wrap")
            np.bitwise_and(pixel, _RED_BLUE, out=part)
            part *= weight
            red_blue += part
            pixel *= weight
            every += pixel
        every -= red_blue  # what is left is green, eight bits up
        every >>= _EIGHT
        halves, green = red_blue.view(np.uint16), every.view(np.uint16)
        for channel, value in enumerate((halves[:, ::2], green[:, ::2], halves[:, 1::2])):
            out[..., channel] = value
        out *= self._gain
        if self._low:
            out += self._low


def _cut(
    image: NDArray[np.uint8], left: int, top: int, right: int, bottom: int, outside: str
) -> NDArray[np.uint8]:
    """Pixels left..right+1, top..bottom+1 of `image`; a border where needed.

    `left` and `top` may be -1 and `right`, `bottom` may be the picture's size: one ring beyond
    it. One more column and row follow, so that a neighbour of the last pixel can be gathered,
    and one more byte, for `_pack`.
    """
    height, width = image.shape[:2]
    rows, columns = bottom - top + 2, right - left + 2
    new = np.empty if outside == "edge" else np.zeros
    block = new(rows * columns * 3 + 1, np.uint8)
    pixels = block[:-1].reshape(rows, columns, 3)
    x0, x1, y0, y1 = max(left, 0), min(right + 2, width), max(top, 0), min(bottom + 2, height)
    px0, px1, py0, py1 = x0 - left, x1 - left, y0 - top, y1 - top
    pixels[py0:py1, px0:px1] = image[y0:y1, x0:x1]
    if outside == "edge":
        pixels[py0:py1, :px0] = pixels[py0:py1, px0 : px0 + 1]
        pixels[py0:py1, px1:] = pixels[py0:py1, px1 - 1 : px1]
        pixels[:py0] = pixels[py0]
        pixels[py1:] = pixels[py1 - 1]
    return pixels


def _pack(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """What `_cut` made as 0x..BBGGRR words, one after the other."""
    # One unaligned read a pixel: its three bytes and the next pixel's first.
    words = as_strided(pixels.ravel()[:4].view("<u4"), (pixels.size // 3,), (3,))
    return np.ascontiguousarray(words)
