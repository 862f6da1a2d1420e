"""The `fer` package beside ours, in an environment of its own: it wants a TensorFlow of its own.

This module is also the program that runs there, where nothing of ours can be imported. It reads a
line a task: a file with frames (H, W, 3) uint8 RGB, where its answers go, whether they are crops.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

VERSION = "25.10.3"
"""Of the package."""
_NEEDS = (
    "tensorflow-cpu>=2.18,<2.19",
    "opencv-python-headless<5",
    "numpy<2",
    "setuptools<81",  # its pkg_resources
    "requests",
    "Pillow",
    "pandas",
    "tqdm",
    "moviepy<2",
)
"""What it imports; not its PyTorch, which only another face detector of it needs."""
_ORDER = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""Its names for our classes."""


class PeerError(Exception):
    """What is wrong with it, and what to do: one line."""


def environment(folder: Path) -> Path:
    """Its Python, installed into `folder` when it is not there yet. Raises PeerError."""
    python, ready = folder / "bin/python", folder / f".ready-{VERSION}"
    if not ready.exists():
        print(f"installing the fer package into {folder} (a minute or two) …", flush=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([*pip, *_NEEDS], check=True)
            subprocess.run([*pip, "--no-deps", f"fer=={VERSION}"], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise PeerError(f"the fer package cannot be installed: {error}") from None
        ready.touch()
    return python


class Peer:
    """The program in its environment. Photographs go through its own face detector, as it is.

    A crop is handed over as one face, without the 10 pixels that it adds around a face otherwise.
    """

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen(
            [python, Path(__file__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        )

    def __call__(self, frames: Sequence[Any], cropped: bool) -> Any:
        """Scores (N, 7) in the order of our classes, of N frames; zeros where it saw no face."""
        assert self._process.stdin and self._process.stdout
        with TemporaryDirectory() as folder:
            given, wanted = Path(folder, "frames.npz"), Path(folder, "scores.npy")
            np.savez(given, **{f"{i:05d}": frame for i, frame in enumerate(frames)})
            try:
                print(given, wanted, int(cropped), sep="\t", file=self._process.stdin, flush=True)
                while (line := self._process.stdout.readline()) != "done\n":
                    if not line:
                        raise BrokenPipeError
            except BrokenPipeError:
                raise PeerError(
                    "the fer package ended: remove its environment (fer-venv), and run it again"
                ) from None
            return np.load(wanted, allow_pickle=False)

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def _main() -> None:
    logging.disable(logging.CRITICAL)
    from fer.fer import FER

    detectors = {"0": FER(), "1": FER(offsets=(0, 0))}
    for line in sys.stdin:
        given, wanted, cropped = line.rstrip("\n").split("\t")
        scores = []
        with np.load(given, allow_pickle=False) as frames:
            for name in sorted(frames):
                frame = np.ascontiguousarray(frames[name][..., ::-1])
                height, width = frame.shape[:2]
                boxes = [(0, 0, width, height)] if cropped == "1" else None
                faces = detectors[cropped].detect_emotions(frame, face_rectangles=boxes)
                face = max(faces, key=lambda f: f["box"][2] * f["box"][3], default=None)
                told = face["emotions"] if face else {}
                scores.append([told.get(one, 0.0) for one in _ORDER])
        np.save(wanted, np.array(scores, np.float32))
        print("done", flush=True)


if __name__ == "__main__":
    _main()
