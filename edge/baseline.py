"""A person's resting face: what is particular to it is taken off before it is classified.

A face that looks stern by nature is "always angry" to a classifier that has learnt from others.
What it sees with a baseline is mesh − strength × (this person's resting mesh − the mean neutral
mesh of the pictures that it has learnt from), all in aligned coordinates (`edge.features.aligned`).

The file (.npz, numbers only: no picture can be made of them):

========= ========== ================================================================
landmarks (468, 3)   mean aligned mesh of the resting face
frames    ()         of how many frames
network   ()         sha256 of the mesh network: another one sees faces a little otherwise
========= ========== ================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EEXIST, EISDIR
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import arrays, disk
from edge.arrays import load
from edge.bundle import MANIFEST, Bundle
from edge.errors import OutputError, SetupError
from edge.features import aligned
from edge.mesh.tracker import LANDMARK_FILE
from edge.types import LANDMARKS

ARRAYS = ("landmarks", "frames", "network")
"""What the file holds."""
_SHAPE = (LANDMARKS, 3)


class Baseline:
    """Takes off what is particular to one face."""

    def __init__(
        self, resting: NDArray[np.float32], neutral: NDArray[np.float32], strength: float
    ) -> None:
        """Both aligned, (468, 3). `strength`: how much of their difference, 0 to 1."""
        self._excess = (np.float32(strength) * (resting - neutral)).astype(np.float32)

    def __call__(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Landmarks (468, 3), any unit → what the classifier is to see, (468, 3) aligned."""
        out: NDArray[np.float32] = aligned(landmarks) - self._excess
        return out

    @classmethod
    def open(cls, path: Path, bundle: Bundle, strength: float) -> Baseline | None:
        """The baseline in `path`; None where there is none yet. Raises SetupError for a bad file,
        and where the bundle does not know the mean neutral face."""
        neutral = mean_neutral(bundle)
        try:
            if not path.exists():
                return None
        except OSError as error:
            raise SetupError(f"{path} cannot be read: {error.strerror}") from None
        found = load(path, ARRAYS)
        remedy = "run `python -m edge calibrate` again"
        if not _is_mesh(found["landmarks"]):
            raise SetupError(f"{path}: 'landmarks' is not {_SHAPE} finite numbers: {remedy}")
        if str(found["network"]) != bundle.manifest["networks"].get(LANDMARK_FILE):
            raise SetupError(f"{path}: was made with another mesh network: {remedy}")
        return cls(found["landmarks"].astype(np.float32), neutral, strength)


def absent(path: Path) -> str:
    """What is told where there is no such file yet."""
    return (
        f"classify.baseline: {path} is not there, and without it all faces are read alike: "
        f"run `python -m edge calibrate --out {path}`"
    )


def mean_neutral(bundle: Bundle) -> NDArray[np.float32]:
    """Mean aligned mesh (468, 3) of the neutral faces that the bundle's models have learnt from.

    Raises SetupError where the bundle lacks it.
    """
    try:
        entry = bundle.manifest["neutral"]
        path = bundle.file(entry["file"], entry["sha256"])
    except (KeyError, TypeError):
        raise SetupError(
            f"{bundle.folder / MANIFEST} names no neutral face, which a baseline needs: run "
            "`python -m convert.neutral` after a training, or leave classify.baseline empty"
        ) from None
    mesh = load(path, ("landmarks",))["landmarks"]
    if not _is_mesh(mesh):
        raise SetupError(f"{path}: 'landmarks' is not {_SHAPE} finite numbers: run `make convert`")
    return mesh.astype(np.float32)


def try_out(path: Path) -> None:
    """Make the folder that `save` needs. Raises OutputError where nothing could be kept there, and
    where something else is kept there already."""
    with _telling(path):
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "is a folder; name a file in it")
        if path.exists() and not _is_ours(path):
            raise FileExistsError(
                EEXIST, "is there, and no resting face: delete it, or name another"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.beside(path.resolve(), b"").unlink()


def save(path: Path, resting: NDArray[np.float32], frames: int, bundle: Bundle) -> None:
    """Replace the file or leave it as it was. Raises OutputError when it cannot be."""
    kept: dict[str, NDArray[Any]] = {
        "landmarks": resting.astype(np.float32),
        "frames": np.array(frames),
        "network": np.array(bundle.manifest["networks"].get(LANDMARK_FILE, "")),
    }
    with _telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays.save(path.resolve(), kept)  # a link stays one


def _is_ours(path: Path) -> bool:
    """Whether a file may be replaced: a resting face of any version, or an empty file."""
    if not path.is_file():
        return False
    try:
        return path.stat().st_size == 0 or bool(load(path, ("landmarks",)))
    except SetupError:
        return False


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _is_mesh(array: NDArray[np.generic]) -> bool:
    return array.dtype.kind == "f" and array.shape == _SHAPE and bool(np.isfinite(array).all())
