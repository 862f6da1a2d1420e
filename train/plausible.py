"""What `convert` fits trust on: `plausible.npz`, beside the classifiers.

That is, the limits of plausible meshes, how sure a picture and its mirror image make together, and
the mean neutral face of what was trained on.

`make train` writes it; `python -m train.plausible DATA…` writes it alone, from the meshes that are
there already.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge.bundle import DEFAULT_DIR
from edge.cameras.opencv import decode
from edge.errors import SetupError
from edge.features import aligned
from edge.mesh.tracker import DETECTOR_FILE
from edge.plausible import BELIEVED, SecondOpinion, pose
from edge.types import CLASSES, Mesh
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


def stamp(about: Mapping[str, Any]) -> str:
    """What the facts are of: `about` is training's, or a description or manifest made of it."""
    return json.dumps([about["dataset"], about["meshes"]], sort_keys=True)


def save(out: Path, data: Data, about: Mapping[str, Any]) -> None:
    """Write the file. Raises SetupError where the disk does not take it."""
    neutral = data.landmarks[data.label == CLASSES.index("neutral")]
    mean = np.mean([aligned(mesh) for mesh in neutral], axis=0, dtype=np.float64)
    try:
        store(
            out / FILE,
            stamp=np.array(stamp(about)),
            neutral=mean.astype(np.float32),
            neutral_pictures=np.array(len(neutral)),
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
    return command.run(
        parser, arguments, lambda data, about, options: save(options.out, data, about)
    )


if __name__ == "__main__":
    sys.exit(main())
