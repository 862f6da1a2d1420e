"""What is counted: `guest.py PEER SCENES.npz OUT.json FILE`, under the counting qemu.

As `benchmarks.arm64.guest`, but for any peer, and whole frames only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.arm64.guest import END, FRAMES, MARK, SCENES, _call, marked
from benchmarks.peers.worker import open_peer, order

PLAYED = ("tracked", "empty")
"""Those of SCENES that peers are given."""


def main(name: str, scenes: Path, out: Path, file: str) -> None:
    """Read the scenes once; what was told of each frame."""
    pictures = dict(np.load(scenes))
    step = marked("whole", open_peer(name, file))
    told: dict[str, list[str | None]] = {}
    for scene in PLAYED:
        warm, counted = FRAMES[scene]
        for index in range(warm + counted):
            image = pictures[scene][index]
            image = np.ascontiguousarray(image[..., ::-1]) if order(name) == "bgr" else image
            if index == warm:
                _call(MARK, -1 - SCENES.index(scene))
            told.setdefault(scene, []).append(step(image))
        _call(MARK, END)
    out.write_text(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
