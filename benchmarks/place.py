"""Where results go: that nothing can be kept there is told before anything is measured."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks.figures import Figures
from edge import disk


def writable(folder: Path, who: str) -> None:
    """Make `folder`. Raises SystemExit with one line of `who` where nothing can be kept there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(2**16))
    except OSError as error:
        raise SystemExit(f"{who}: results cannot be kept in {folder}: {error.strerror}") from None


def write(path: Path, text: str) -> None:
    """All of `text`, or `path` stays as it was. Raises OSError."""
    disk.write(path, text.encode())


@contextmanager
def kept(stem: Path, suffixes: str, who: str, figures: Figures) -> Iterator[None]:
    """Says that the files `stem` with `suffixes` are written, or that they cannot be: a failure."""
    try:
        yield
    except OSError as error:
        figures.fail(f"{stem}{suffixes}: cannot be written: {error.strerror}")
        print(f"\n{who}: {figures.failures[-1]}", file=sys.stderr)
    else:
        print(f"\nwritten: {stem}{suffixes}")
