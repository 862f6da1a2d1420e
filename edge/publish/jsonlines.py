"""Readings as JSON, one object a line."""

from __future__ import annotations

import json
from typing import TextIO

from edge.errors import OutputError
from edge.publish import Changes, as_dict
from edge.types import Frame, Gap, Reading


class JsonLines:
    """Writes readings to a text stream at once, so that a pipe sees them live.

    Unlike others it waits for whoever reads that pipe: the journal always does.
    """

    def __init__(self, stream: TextIO, changes: Changes | None = None) -> None:
        """`changes`: write only what it calls news; None for every reading."""
        self._stream = stream
        self._changes = changes

    def __call__(self, frame: Frame | Gap, reading: Reading) -> None:
        """Write one line. Raises OutputError on a full disk, BrokenPipeError past `| head`."""
        if self._changes is not None and not self._changes.due(frame, reading):
            return
        try:
            self._stream.write(json.dumps(as_dict(frame, reading)) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"cannot write readings: {error.strerror or error}") from None

    def check(self) -> bool:
        """No worker, nothing to hang."""
        return True

    def close(self) -> None:
        """The stream is its owner's."""
