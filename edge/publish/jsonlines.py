"""Readings as JSON, one object a line."""

from __future__ import annotations

import json
from typing import TextIO

from edge.publish import Changes, as_dict
from edge.types import Frame, Gap, Reading


class JsonLines:
    """Writes readings to a text stream at once, so that a pipe sees them live."""

    def __init__(self, stream: TextIO, changes: Changes | None = None) -> None:
        """`changes`: write only what it calls news; None for every reading."""
        self._stream = stream
        self._changes = changes

    def __call__(self, frame: Frame | Gap, reading: Reading) -> None:
        """Write one line. Raises OSError when the stream takes no more."""
        if self._changes is None or self._changes.due(frame, reading):
            self._stream.write(json.dumps(as_dict(frame, reading)) + "\n")
            self._stream.flush()

    def check(self) -> bool:
        """No worker, nothing to hang."""
        return True

    def close(self) -> None:
        """The stream is its owner's."""
