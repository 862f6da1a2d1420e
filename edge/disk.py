"""Files that are written whole, or stay as they were."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def write(path: Path, content: bytes | memoryview) -> None:
    """Replace the file `path`. Raises OSError; nothing is left beside it then."""
    new = beside(path, content)
    try:
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def beside(path: Path, content: bytes | memoryview) -> Path:
    """A new file in the folder of `path`, that may be renamed to it. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_bytes(content)
    except OSError:
        with suppress(OSError):  # where its name is too long, say
            new.unlink(missing_ok=True)
        raise
    return new
