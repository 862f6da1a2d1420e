"""FER-2013 from Kaggle → a folder of `face_<class>/` pictures, by Kaggle's official client.

    pip install kaggle          # and an API token in ~/.kaggle/kaggle.json
    python -m train.kaggle data/fer2013

Takes the competition's own table, which names the split of each picture: PublicTest becomes the
validation set, PrivateTest is never trained on.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from edge.errors import EdgeError, SetupError

COMPETITION = "challenges-in-representation-learning-facial-expression-recognition-challenge"
TABLE = "icml_face_data.csv"
EMOTIONS = ("angry", "disgusted", "fear", "happy", "sad", "surprised", "neutral")
"""The classes in the table's numbering."""


def download(folder: Path) -> Path:
    """The competition's table, by the `kaggle` command. Raises SetupError with what it says."""
    if shutil.which("kaggle") is None:
        raise SetupError("no kaggle command: run `pip install kaggle` and set up its API token")
    command = ["kaggle", "competitions", "download", "-c", COMPETITION, "-f", f"{TABLE}.zip"]
    result = subprocess.run(
        [*command, "-p", str(folder)], capture_output=True, text=True, check=False
    )
    archives = list(folder.glob("*.zip"))
    if result.returncode or not archives:
        said = (result.stderr or result.stdout).strip().splitlines()
        raise SetupError(f"kaggle: {said[-1] if said else 'nothing was downloaded'}")
    with zipfile.ZipFile(archives[0]) as archive:
        return Path(archive.extract(TABLE, folder))


def unpack(table: Path, folder: Path) -> int:
    """Write each row of the table as a PNG into `folder`; how many there were.

    Columns: emotion (number), Usage (split), pixels (2304 numbers of a 48×48 picture).
    """
    with table.open(newline="") as file:
        rows = csv.reader(file)
        header = [name.strip() for name in next(rows)]
        emotion, usage, pixels = (header.index(name) for name in ("emotion", "Usage", "pixels"))
        count = 0
        for row in tqdm(rows, unit="picture"):
            image = np.array(row[pixels].split(), np.uint8).reshape(48, 48)
            target = folder / f"face_{EMOTIONS[int(row[emotion])]}"
            target.mkdir(parents=True, exist_ok=True)
            name = f"fer2013_{row[usage].strip()}_{count:05d}.png"
            cv2.imwrite(str(target / name), image)
            count += 1
    return count


def main(arguments: Sequence[str] | None = None) -> int:
    """Download and unpack; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m train.kaggle", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the face_<class>/ folders go")
    folder: Path = parser.parse_args(arguments).folder
    try:
        with tempfile.TemporaryDirectory() as temporary:
            count = unpack(download(Path(temporary)), folder)
    except (EdgeError, OSError, ValueError, KeyError) as error:
        print(f"train.kaggle: {error}", file=sys.stderr)
        return 1
    print(f"{count} pictures in {folder}; now: make train DATA={folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
