"""Which mesh points are joined: MediaPipe's face tessellation."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import SetupError
from edge.types import LANDMARKS

CONNECTIONS_FILE = "face_mesh_connections.txt"
"""MediaPipe's own table, as Python source; it is parsed, never run."""


def tessellation(path: Path) -> NDArray[np.int32]:
    """Undirected edges (E, 2) int32, each once with the smaller point first, sorted.

    Raises SetupError when `path` does not hold the table.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        (call,) = [
            node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == "FACEMESH_TESSELATION"
        ]
        pairs = np.array(ast.literal_eval(call.args[0]), np.int32)  # type: ignore[attr-defined]
    except (OSError, SyntaxError, ValueError, AttributeError) as error:
        raise SetupError(
            f"{path}: no table of mesh edges in it ({error}): run `make models`"
        ) from None
    edges: NDArray[np.int32] = np.unique(np.sort(pairs, axis=1), axis=0)
    if edges.min() < 0 or edges.max() >= LANDMARKS:
        raise SetupError(f"{path}: edges of points that the mesh does not have: run `make models`")
    return edges
