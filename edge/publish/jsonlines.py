"""Readings as JSON, one object a line."""

from __future__ import annotations

import json
from typing import TextIO

from edge.publish import as_dict
from edge.types import Frame, Reading


class JsonLines:
    """Writes each reading to a text stream at once, so that a pipe sees it live."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, frame: Frame, reading: Reading) -> None:
        """Write one line."""
        self._stream.write(json.dumps(as_dict(frame, reading)) + "\n")
        self._stream.flush()
