"""YUV 4:2:0, as cameras and `.y4m` files deliver it → RGB, without OpenCV."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge import native

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


def planes(buffer: NDArray[np.uint8], layout: str, width: int) -> Planes:
    """A camera's buffer (3/2 H, stride) → views of its Y (H, W), U and V (H/2, W/2).

    H rows of luma, then chroma, all with padding at the end where the stride, bytes, exceeds the
    width. `layout`: "YUV420" has U, then V, in rows of half the stride; "NV12" has U, V, U, V, …
    """
    rows, stride = buffer.shape
    height = rows * 2 // 3
    chroma = buffer[height:]
    if layout == "NV12":
        return buffer[:height, :width], chroma[:, 0:width:2], chroma[:, 1:width:2]
    blue, red = chroma.reshape(2, height // 2, stride // 2)[..., : width // 2]
    return buffer[:height, :width], blue, red


def rgb_from_yuv420(
    y: NDArray[np.uint8],
    u: NDArray[np.uint8],
    v: NDArray[np.uint8],
    *,
    compiled: bool = True,
) -> NDArray[np.uint8]:
    """Planes (H, W), (H/2, W/2), (H/2, W/2), of even H and W → (H, W, 3) RGB.

    BT.601, limited range, each chroma sample for its 2 × 2 pixels: what OpenCV's COLOR_YUV2RGB_I420
    does, to 2 of 255. In 16 bits: products in 1/64 or 1/128 steps, sums in 1/32. `compiled`: by
    `edge.native` where that was compiled, to the same bytes.
    """
    height, width = y.shape
    image = np.empty((height, width, 3), np.uint8)
    library = native.load() if compiled else None
    if library and y.strides[1] == 1 and u.strides == v.strides:
        library.rgb(
            *(y.ctypes.data, y.strides[0], u.ctypes.data, v.ctypes.data, *u.strides),
            *(height, width, image.ctypes.data),
        )
        return image
    unsigned = np.maximum(y, 16).astype(np.uint16)
    unsigned -= 16
    unsigned *= 149  # 1.164 × 128; at most 35611 of 65535
    unsigned >>= 2
    unsigned += 16  # rounds
    blocks = unsigned.view(np.int16).reshape(height // 2, 2, width // 2, 2)
    blue, red = (plane.astype(np.int16) - 128 for plane in (u, v))
    pixels = image.reshape(height // 2, 2, width // 2, 2, 3)
    for channel, shift in enumerate((red * 102, blue * -25 + red * -52, blue * 129)):
        value = blocks + (shift >> 1)[:, None, :, None]
        value >>= 5
        np.clip(value, 0, 255, out=value)
        pixels[..., channel] = value
    return image
