"""A picture with what was read from it drawn in: mesh, box, label and bars."""

from __future__ import annotations

import stat
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import disk
from edge.cameras.opencv import is_picture
from edge.errors import SourceError
from edge.types import CLASSES, Frame, Reading

HEIGHT = 480
"""Height of the annotated picture, pixels; small pictures are enlarged so that text fits."""
PANEL = 250
"""Width of the panel with the bars, pixels."""
_WIDEST = 4096  # pixels; JPEG ends at 65,535
_OPAQUE = 240
"""Width of a face, pixels, whose mesh is drawn in full; a smaller one would vanish behind it."""
_MESH, _BOX, _DIM, _TEXT = (120, 200, 120), (80, 220, 255), (90, 90, 90), (235, 235, 235)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_HEAD = b"\xff\xd8\xff\xfe\x00\x0afer-edge"
"""A JPEG's start and a comment, by which a picture that was drawn here is known."""


def annotate(frame: Frame, reading: Reading, edges: NDArray[np.int32]) -> NDArray[np.uint8]:
    """(480, W, 3) uint8 BGR, as OpenCV writes it. `edges` (E, 2): the mesh's tessellation."""
    height, width = frame.image.shape[:2]
    scale = min(HEIGHT / height, _WIDEST / width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(
        cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR),
        size,
        interpolation=kind,
    )
    if reading.mesh is not None:
        points = reading.mesh.landmarks[:, :2] * scale
        fixed = np.round(points * 16).astype(np.int32)  # sixteenths of a pixel
        x0, y0 = np.floor(points.min(axis=0)).astype(int).tolist()
        x1, y1 = np.ceil(points.max(axis=0)).astype(int).tolist()
        meshed = picture.copy()
        cv2.polylines(meshed, list(fixed[edges]), False, _MESH, 1, cv2.LINE_AA, shift=4)
        strength = min((x1 - x0) / _OPAQUE, 1.0)
        picture = cv2.addWeighted(meshed, strength, picture, 1 - strength, 0)
        cv2.rectangle(picture, (x0, y0), (x1, y1), _BOX, 2, cv2.LINE_AA)
    below = HEIGHT - size[1]  # a very wide picture is lower than the panel
    picture = cv2.copyMakeBorder(picture, 0, below, 0, 0, cv2.BORDER_CONSTANT)
    return np.hstack([np.asarray(picture, np.uint8), _panel(reading)])


def _panel(reading: Reading) -> NDArray[np.uint8]:
    panel = np.full((HEIGHT, PANEL, 3), 32, np.uint8)
    title = reading.reason or reading.label
    cv2.putText(panel, title, (14, 44), _FONT, 0.9, _BOX, 2, cv2.LINE_AA)
    if reading.confidence is not None and reading.presence is not None:
        about = f"confidence {reading.confidence:.0%} presence {reading.presence:.0%}"
        cv2.putText(panel, about, (14, 72), _FONT, 0.4, _TEXT, 1, cv2.LINE_AA)
    if reading.probabilities is None:
        return panel
    for i, (label, p) in enumerate(zip(CLASSES, reading.probabilities.tolist(), strict=True)):
        y = 110 + 52 * i
        colour = _BOX if label == reading.label else _TEXT
        cv2.putText(panel, label, (14, y), _FONT, 0.5, colour, 1, cv2.LINE_AA)
        cv2.putText(panel, f"{p:.0%}", (PANEL - 52, y), _FONT, 0.5, colour, 1, cv2.LINE_AA)
        cv2.rectangle(panel, (14, y + 8), (PANEL - 14, y + 22), _DIM, 1)
        if p > 0:
            end = 14 + round((PANEL - 28) * p)
            cv2.rectangle(panel, (14, y + 8), (end, y + 22), colour, -1)
    return panel


class Annotator:
    """Writes an annotated picture of each frame into a folder."""

    def __init__(self, folder: Path, edges: NDArray[np.int32]) -> None:
        """`edges` (E, 2): the mesh's tessellation. Raises SourceError where `folder` is none."""
        try:
            if not stat.S_ISDIR(folder.stat().st_mode):
                raise SourceError(f"--annotate {folder}: is no folder")
        except FileNotFoundError:
            pass  # it will be made
        except OSError as error:
            raise SourceError(f"--annotate {folder}: {error.strerror}") from None
        self._folder, self._edges = folder, edges
        self._drawn: dict[Path, str] = {}

    def __call__(self, name: Path, frame: Frame, reading: Reading) -> None:
        """Write frame `frame.index` of the file `name` (relative, with its folders).

        Raises SourceError when the disk or the path does not take it, and where another file is.
        """
        alone = is_picture(Path(frame.source))
        if not alone:
            name = name.with_name(f"{name.name}_{frame.index:06d}.jpg")
        elif name.suffix != ".jpg":  # a.png may stand beside a.jpg
            name = name.with_name(f"{name.name}.jpg")
        path = self._folder / name
        while alone and self._drawn.setdefault(path, frame.source) != frame.source:
            path = path.with_name(f"{path.stem}_.jpg")  # a.png beside a.png.jpg
        picture = cv2.imencode(".jpg", annotate(frame, reading, self._edges))[1].tobytes()
        try:
            if path.exists() and not _is_ours(path, frame.source):
                raise SourceError(f"{path}: is there already: choose another --annotate folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            disk.write(path, _HEAD + picture[2:])
        except OSError as error:
            raise SourceError(f"{path}: cannot be written: {error.strerror}") from None


def _is_ours(path: Path, source: str) -> bool:
    """Whether a file was drawn here, and not the source itself. Raises OSError."""
    if Path(source).exists() and path.samefile(source):
        return False
    with path.open("rb") as file:
        return file.read(len(_HEAD)) == _HEAD
