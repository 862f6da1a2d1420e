"""What `convert` fits trust on: `plausible.npz`, beside the classifiers.

That is, the limits of plausible meshes, and how sure a picture and its mirror image make together.

`make train` writes it; `python -m train.plausible DATA…` writes it alone, from the meshes that are
there already.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge.bundle import DEFAULT_DIR
from edge.cameras.opencv import decode
from edge.errors import SetupError
from edge.mesh.tracker import DETECTOR_FILE
from edge.plausible import BELIEVED, SecondOpinion, pose
from edge.types import Mesh
from train import command
from train.dataset import Picture
from train.fitted import store
from train.prepare import Data

FILE = "plausible.npz"
Array = NDArray[Any]


def poses(landmarks: Array) -> Array:
    """(N, 468, 3) → (N, 3) yaw, pitch, height: see `edge.plausible.pose`."""
    return np.array([pose(mesh) for mesh in landmarks], np.float32).reshape(-1, 3)


def support(pictures: Sequence[Picture], landmarks: Array, presence: Array) -> Array:
    """(N,) what speaks for a face in each picture, where its mesh (N, 468, 3) is; infinite where
    the presence (N,) is enough."""
    ask = SecondOpinion(DEFAULT_DIR / DETECTOR_FILE)
    found = np.full(len(presence), np.inf, np.float32)
    for i in tqdm(np.flatnonzero(presence < BELIEVED), desc="doubtful pictures", unit="picture"):
        image = decode(pictures[i].read_bytes(), pictures[i].id)
        found[i] = ask(image, Mesh(landmarks[i], float(presence[i])))
    return found


def save(out: Path, data: Data) -> None:
    """Write the file. Raises SetupError where the disk does not take it."""
    try:
        store(
            out / FILE,
            source=data.source,
            pose=poses(data.landmarks),
            support=support(data.pictures, data.landmarks, data.presence),
            validation_pose=poses(data.validation_landmarks),
            validation_support=support(
                data.validation_pictures, data.validation_landmarks, data.validation_presence
            ),
            validation_group=data.validation_group,
            validation_mirrored=data.validation_mirrored,
        )
    except OSError as error:
        raise SetupError(f"{out / FILE}: cannot be written: {error.strerror or error}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Write it alone; the exit status."""
    parser = command.parser("train.plausible", __doc__)
    return command.run(parser, arguments, lambda data, about, options: save(options.out, data))


if __name__ == "__main__":
    sys.exit(main())
