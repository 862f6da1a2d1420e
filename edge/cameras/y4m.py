"""Uncompressed video (YUV4MPEG2, `.y4m`), the sample plays without OpenCV.

The format: https://wiki.multimedia.cx/index.php/YUV4MPEG2
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from time import perf_counter

import numpy as np

from edge.cameras import always
from edge.cameras.yuv import rgb_from_yuv420
from edge.errors import SourceError
from edge.types import Frame

_LINE = 1024
"""Longest header line that is read, bytes."""


class Y4m:
    """A `.y4m` file with 8-bit 4:2:0 pictures of even width and height."""

    wanted = staticmethod(always)

    def __init__(self, path: Path) -> None:
        """Open it. Raises SourceError when it is missing or another format."""
        self._path = path
        try:
            self._file: BufferedReader = path.open("rb")
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
        fields = self._file.readline(_LINE).decode("ascii", "replace").split()
        tags = {field[0]: field[1:] for field in fields[1:]}
        try:
            self._width, self._height = int(tags["W"]), int(tags["H"])
            frames, _, seconds = tags["F"].partition(":")
            self._rate = int(frames) / int(seconds or 1)  # exact to 1e-16: no need of fractions
            sane = (
                0 < self._width <= 8192 and 0 < self._height <= 8192 and 0.001 <= self._rate <= 1000
            )
        except (KeyError, ValueError, ZeroDivisionError):
            sane = False
        colour = tags.get("C", "420jpeg")
        if (
            not sane
            or fields[0] != "YUV4MPEG2"
            or colour not in ("420jpeg", "420mpeg2", "420paldv")
        ):
            self.close()
            raise SourceError(f"{path}: not a YUV4MPEG2 video of 8-bit 4:2:0 pictures")
        if self._width % 2 or self._height % 2:
            self.close()
            raise SourceError(f"{path}: width and height have to be even")

    def __iter__(self) -> Iterator[Frame]:
        """All frames. Raises SourceError when the file ends inside one."""
        height, width = self._height, self._width
        buffer = np.empty(height * width * 3 // 2, np.uint8)
        luma = buffer[: height * width].reshape(height, width)
        chroma = buffer[height * width :].reshape(2, height // 2, width // 2)
        index = 0
        while True:
            start = perf_counter()
            header = self._file.readline(_LINE)
            if not header and index:
                return
            if not header.startswith(b"FRAME") or self._file.readinto(buffer.data) != buffer.size:
                raise SourceError(f"{self._path}: ends inside frame {index}")
            image = rgb_from_yuv420(luma, chroma[0], chroma[1])
            capture_ms = (perf_counter() - start) * 1e3
            moment = index / self._rate
            yield Frame(image, moment, str(self._path), index, capture_ms, moment)
            del image
            index += 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()
