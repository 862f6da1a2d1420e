"""Arrays in `.npz` files, never pickled, with one line for whatever is wrong with the file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import disk
from edge.errors import SetupError

BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What a damaged, encrypted or oddly packed zip raises, besides OSError and KeyError."""


def load(path: Path, names: Iterable[str], *, remedy: str = "") -> dict[str, NDArray[Any]]:
    """The arrays `names` of the file.

    Raises SetupError when it is missing, broken or lacks one; `remedy` says there what to do.
    """
    advice = f": {remedy}" if remedy else ""
    try:
        with path.open("rb") as file:
            if file.read(2) != b"PK":  # of which numpy would say that it may be pickled
                raise SetupError(f"{path}: cannot be read: not an .npz file{advice}")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                missing = [name for name in names if name not in arrays]
                if missing:
                    raise SetupError(f"{path}: array {missing[0]!r} is missing{advice}")
                found = {name: arrays[name] for name in names}
        odd = [name for name, value in found.items() if not isinstance(value, np.ndarray)]
        if odd:
            raise SetupError(f"{path}: {odd[0]!r} is no array{advice}")
        return found
    except FileNotFoundError:
        raise SetupError(f"{path} is missing{advice}") from None
    except (OSError, ValueError, TypeError, KeyError, MemoryError, *BROKEN_ZIP) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SetupError(f"{path}: cannot be read: {reason}{advice}") from None


def save(path: Path, arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False) -> None:
    """Replace the file, or leave it as it was. Raises OSError."""
    content = BytesIO()  # a zip that breaks off in the middle complains once more when it is let go
    write = np.savez_compressed if compressed else np.savez
    write(content, **arrays)
    disk.write(path, content.getbuffer())
