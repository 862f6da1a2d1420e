"""Where results go, and what a benchmark may be asked for: told before anything is measured."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks.figures import Figures


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
    new = path.with_suffix(path.suffix + ".new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


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


def number(kind: type, least: float, most: float = inf) -> Callable[[str], float]:
    """An argument's type: a `kind` from `least` to `most`."""

    def parse(text: str) -> float:
        try:
            value: float = kind(text)
        except ValueError:
            value = inf
        if not least <= value <= most or value == inf:
            allowed = f"from {least:g}" + (f" to {most:g}" if most < inf else " on")
            what = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"{text}: has to be a {what} {allowed}")
        return value

    return parse
