"""Silence: of C libraries that write to stderr on their own, and at Ctrl-C while starting."""

from __future__ import annotations

import os
import signal
import sys
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


def begin() -> None:
    """For a package that is run as `python -m`: until `begun`, Ctrl-C ends it without a word.

    As an exception it would come out of the imports of a few seconds, and there is nothing yet that
    would have to be put in order.
    """
    if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def begun() -> None:
    """From now on Ctrl-C is a KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: object) -> None:
    os._exit(130)
