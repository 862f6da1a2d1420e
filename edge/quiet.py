"""Silence for C libraries that write to stderr behind Python's back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what is written to file descriptor 2.

    For lines that users take for errors ("Created TensorFlow Lite XNNPACK delegate"), or that
    would stand beside the one line in which we say the same ("Premature end of JPEG file").
    """
    try:
        saved = os.dup(2)
    except OSError:  # a daemon without stderr has nothing to silence
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    os.close(sink)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
