"""The mean neutral face of what was trained on → `neutral.npz`, for `edge.baseline`.

`make convert` does it; `python -m convert.neutral` adds it to a bundle that is there already.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convert.wheels import sha256_of
from edge.arrays import load
from edge.bundle import DEFAULT_DIR, MANIFEST, Bundle
from edge.errors import EdgeError, SetupError
from edge.features import aligned
from edge.types import CLASSES

FILE = "neutral.npz"


def export(folder: Path, train_on: Sequence[str], out: Path) -> dict[str, Any] | None:
    """Write `out`/neutral.npz from the meshes in `folder`, training's --out; its manifest entry.

    None where training left no meshes or splits there. Every picture counts alike.
    """
    meshes, splits = folder / "meshes.npz", folder / "splits.csv"
    if not meshes.is_file() or not splits.is_file():
        return None
    label = CLASSES.index("neutral")
    with splits.open(encoding="utf-8", newline="") as file:
        chosen = {
            row["id"]
            for row in csv.DictReader(file)
            if row["split"] == "train"
            and int(row["label"]) == label
            and row["id"].partition("/")[0] in train_on
        }
    found = load(meshes, ("id", "landmarks"))
    rows = [i for i, name in enumerate(found["id"].tolist()) if name in chosen]
    if not rows:
        raise SetupError(f"{meshes}: no neutral face of {', '.join(train_on)}: train again")
    mean = np.mean([aligned(found["landmarks"][i]) for i in rows], axis=0, dtype=np.float64)
    np.savez(out / FILE, landmarks=mean.astype(np.float32))
    return {"file": FILE, "sha256": sha256_of(out / FILE), "pictures": len(rows)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Add it to a bundle; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m convert.neutral", description=__doc__)
    parser.add_argument("--trained", type=Path, default=Path("build/train"))
    parser.add_argument("--models", type=Path, default=DEFAULT_DIR)
    options = parser.parse_args(arguments)
    try:
        manifest = Bundle.open(options.models).manifest
        entry = export(options.trained, manifest["dataset"]["train_on"], options.models)
        if entry is None:
            raise SetupError(f"{options.trained}: no meshes.npz and splits.csv: run `make train`")
        new = options.models / f"{MANIFEST}.new"
        text = json.dumps({**manifest, "neutral": entry}, indent=1, ensure_ascii=False)
        new.write_text(f"{text}\n", encoding="utf-8")
        new.replace(options.models / MANIFEST)
    except EdgeError as error:
        print(f"convert: {error}", file=sys.stderr)
        return 1
    print(f"wrote {options.models / FILE}: {entry['pictures']} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
