"""What is read in a benchmark: the sample at a camera's size, a scene without a face, a camera."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge.bundle import DEFAULT_DIR
from edge.errors import SourceError

WIDTH, HEIGHT = 640, 480
"""Pixels; what the daemon asks of a camera."""
FRAMES = 60
"""Frames of a clip: 4 s of the sample."""
NOISE = 2.0
"""Grey levels: of a small sensor in a room's light."""
SAMPLE = DEFAULT_DIR / "sample.y4m"


def write(folder: Path, frames: int = FRAMES) -> tuple[Path, Path, Path]:
    """Three clips: with a face in each frame, with none, and with a face that keeps still."""
    face, empty, still = (folder / f"{name}.y4m" for name in ("face", "empty", "still"))
    for path, pictures in (
        (face, _faces(frames)),
        (empty, _empty(frames)),
        (still, _still(frames)),
    ):
        with path.open("wb") as file:
            file.write(_header(30))
            for picture in pictures:
                file.write(picture)
    return face, empty, still


class Endless:
    """A clip over and over, at `rate` frames a second, from a named pipe: a camera to a reader.

    The header says the rate, and a reader of a file keeps to it.
    """

    def __init__(self, pipe: Path, clip: Path, rate: float) -> None:
        """`pipe`: its name, which has to end with `.y4m`. `clip`: one that `write` made."""
        os.mkfifo(pipe)
        self.path = pipe
        self._frames, self._rate = clip.read_bytes().partition(b"\n")[2], rate
        self._closed = Event()
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        # The writer may wait for a reader.
        os.close(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK))
        self._thread.join(1)
        self.path.unlink()

    def _work(self) -> None:
        while not self._closed.is_set():
            with suppress(BrokenPipeError), self.path.open("wb", buffering=0) as pipe:
                _write_all(pipe.fileno(), _header(self._rate))
                while not self._closed.is_set():
                    _write_all(pipe.fileno(), self._frames)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _header(rate: float) -> bytes:
    return f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{rate * 1000:.0f}:1000 Ip A1:1 C420jpeg\n".encode()


def _faces(frames: int) -> Iterator[bytes]:
    """Frames of the sample, enlarged. Raises SourceError where there is none."""
    try:
        file = SAMPLE.open("rb")
    except OSError:
        raise SourceError(f"{SAMPLE} is missing: run `make models`") from None
    with file:
        tags = {tag[:1]: int(tag[1:]) for tag in file.readline().split() if tag[:1] in b"WH"}
        width, height = tags[b"W"], tags[b"H"]
        for _ in range(frames):
            file.readline()
            planes = np.frombuffer(file.read(height * width * 3 // 2), np.uint8)
            luma, chroma = np.split(planes, [height * width])
            blue, red = chroma.reshape(2, height // 2, width // 2)
            parts = [_enlarged(luma.reshape(height, width), HEIGHT, WIDTH)]
            parts += [_enlarged(plane, HEIGHT // 2, WIDTH // 2) for plane in (blue, red)]
            yield b"FRAME\n" + b"".join(part.tobytes() for part in parts)


def _empty(frames: int) -> Iterator[bytes]:
    """Soft shapes that move, and a sensor's noise."""
    chance = np.random.default_rng(0)
    shapes = _enlarged(chance.integers(60, 190, (12, 16)), HEIGHT, WIDTH)
    grey = np.full(HEIGHT * WIDTH // 2, 128, np.uint8).tobytes()
    for index in range(frames):
        yield b"FRAME\n" + _noisy(np.roll(shapes, 4 * index, 1), chance) + grey


def _still(frames: int) -> Iterator[bytes]:
    """The sample's first frame, with a sensor's noise."""
    (frame,) = _faces(1)
    planes = np.frombuffer(frame, np.uint8, offset=len(b"FRAME\n"))
    luma, chroma = np.split(planes, [HEIGHT * WIDTH])
    chance = np.random.default_rng(0)
    for _ in range(frames):
        yield b"FRAME\n" + _noisy(luma, chance) + chroma.tobytes()


def _noisy(luma: NDArray[np.integer], chance: np.random.Generator) -> bytes:
    noisy = luma + chance.normal(0, NOISE, luma.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8).tobytes()


def _enlarged(plane: NDArray[np.integer], height: int, width: int) -> NDArray[np.integer]:
    rows = np.arange(height) * plane.shape[0] // height
    columns = np.arange(width) * plane.shape[1] // width
    return plane[rows][:, columns]
