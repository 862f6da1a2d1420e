"""`python -m convert.cost FILE`: time and memory of one TFLite network, on one thread, as JSON.

Next to it the mesh network runs, in turn: the share of its time is what a shared machine can tell.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter

from edge.bundle import DEFAULT_DIR
from edge.interpreter import Network
from edge.mesh.tracker import LANDMARK_FILE

ROUNDS = 300


def resident() -> int | None:
    """Kilobytes of memory that this process holds; None where the system is not Linux."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    return int(status.split("VmRSS:")[1].split()[0])


def main(path: str) -> None:
    """Measure and print."""
    # First, so that the runtime's own memory is not the other network's.
    mesh = Network(DEFAULT_DIR / LANDMARK_FILE)
    mesh.run()
    before = resident()
    network = Network(Path(path))
    network.run()
    after = resident()
    best = [float("inf")] * 2
    for _ in range(ROUNDS):
        for i, one in enumerate((network, mesh)):
            start = perf_counter()
            one.run()
            best[i] = min(best[i], perf_counter() - start)
    figures = {
        "milliseconds": round(best[0] * 1e3, 4),
        "share_of_mesh_network": round(best[0] / best[1], 3),
        "kilobytes_of_memory": None if before is None or after is None else after - before,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1])
