"""What is no face that can be read, made of the shared data sets: see `pictures.csv`.

The list names pictures, and boxes in them (x0, y0, x1, y1, pixels); the pictures themselves are not
part of the repository. Kinds:

- `nothing`: FER-2013's pictures without a face: text, signs, a tie, nothing. Found among those of
  lowest presence, and looked at.
- `patch`: boxes in muxspace photographs that hold no whole face: hair, forehead, cheek, background.
  Drawn by chance around eyes, nose and mouth, and looked at.
- `profile`: muxspace photographs from the side, the far eye hidden. Looked at.
- `back`: the data sets have no heads seen from behind. Stand-ins: muxspace photographs in which
  the strip above the forehead, mirrored again and again, covers the face in the box.
- `small`: validation faces of both data sets, drawn by chance; `shrunk` makes them small. The box
  is the face's.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge.cameras.opencv import decode
from train.dataset import Picture

LIST = Path(__file__).parent / "pictures.csv"
Image = np.ndarray


def pictures(datasets: Path, kind: str) -> Iterator[Image]:
    """The pictures of a kind, (H, W, 3) uint8 RGB; `small` ones still at their own size."""
    for row in rows(kind):
        source, _, name = row["picture"].partition("/")
        picture = Picture(datasets / f"{source}.zip", name, label=0)  # which nobody asks for
        image = decode(picture.read_bytes(), name)
        if kind == "patch":
            x0, y0, x1, y1 = box(row)
            image = np.ascontiguousarray(image[y0:y1, x0:x1])
        yield covered(image, box(row)) if kind == "back" else image


def rows(kind: str) -> list[dict[str, str]]:
    """The list's rows of a kind."""
    with LIST.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] == kind]


def box(row: dict[str, str]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1."""
    x0, y0, x1, y1 = (int(row[key]) for key in ("x0", "y0", "x1", "y1"))
    return x0, y0, x1, y1


def covered(image: Image, where: tuple[int, int, int, int]) -> Image:
    """The face in the box behind hair: the strip above it, mirrored downwards, in an ellipse."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = max(where[0], 0), where[1], min(where[2], width), min(where[3], height)
    strip = image[2 : y0 - 2, x0:x1]
    hair = np.concatenate([strip[::-1], strip] * ((y1 - y0) // len(strip) // 2 + 1))[: y1 - y0]
    y, x = np.mgrid[-1 : 1 : (y1 - y0) * 1j, -1 : 1 : (x1 - x0) * 1j]
    inside = cv2.GaussianBlur((x**2 + y**2 < 1).astype(np.float32), (0, 0), 2)[..., None]
    out = image.copy()
    out[y0:y1, x0:x1] = inside * hair + (1 - inside) * out[y0:y1, x0:x1]
    return out


def shrunk(image: Image, where: tuple[int, int, int, int], pixels: int) -> Image:
    """The picture, so small that the longer side of the face's box has so many pixels."""
    scale = pixels / max(where[2] - where[0], where[3] - where[1])
    size = tuple(max(round(side * scale), 1) for side in image.shape[1::-1])
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def framed(image: Image, height: int | None = None) -> Image:
    """In the middle of a grey 640×480 frame, enlarged to `height` pixels where that is given."""
    if height:
        scale = min(height / image.shape[0], 600 / image.shape[1])
        size = round(image.shape[1] * scale), round(image.shape[0] * scale)
        image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    frame = np.full((480, 640, 3), 128, np.uint8)
    y, x = (480 - image.shape[0]) // 2, (640 - image.shape[1]) // 2
    frame[y : y + image.shape[0], x : x + image.shape[1]] = image
    return frame
