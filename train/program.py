"""Which version of this program it is."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from edge import native
from edge.bundle import DEFAULT_DIR
from edge.mesh.tracker import DETECTOR_FILE, LANDMARK_FILE

READS = ("edge",)
"""What makes readings and meshes."""
TRAVELS = ("edge", "train", "benchmarks/evaluate")
"""What a cluster's workers run."""
_ROOT = Path(__file__).resolve().parent.parent


@lru_cache
def stamp(parts: tuple[str, ...] = TRAVELS) -> str:
    """What the program's answers depend on besides pictures and bundle, as a short hash.

    The sources of its `parts`, the face networks, and whether its kernels are compiled.
    """
    digest = hashlib.sha256(b"compiled" if native.load() else b"")
    sources = [path for part in parts for path in (_ROOT / part).rglob("*.py")]
    networks = [DEFAULT_DIR / name for name in (DETECTOR_FILE, LANDMARK_FILE)]
    for path in sorted(sources) + networks:
        digest.update(path.name.encode() + (path.read_bytes() if path.is_file() else b"missing"))
    return digest.hexdigest()[:16]
