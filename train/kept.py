"""Figures that took long, in a file that a stopped run goes on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge import disk


def read(path: Path) -> dict[str, Any]:
    """What `write` kept; nothing where the file is missing or broken."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(path: Path, found: dict[str, Any]) -> None:
    """Replace the file, or leave it as it was. Raises OSError."""
    disk.write(path, (json.dumps(found, indent=1) + "\n").encode())
