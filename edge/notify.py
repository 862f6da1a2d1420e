"""What a service tells systemd (sd_notify(3)): ready, alive, stopping, and a line of status.

Says nothing where systemd did not ask, that is, where NOTIFY_SOCKET is not set.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from time import clock_gettime_ns

_MONOTONIC = 1  # CLOCK_MONOTONIC on Linux; `time` has the name on Unix only


class Notifier:
    """The service's line to its manager."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # the abstract namespace
            self._address = "\0" + self._address[1:]
        self._is_ready = False

    def ready(self) -> None:
        """The first frame has been processed, or settings have been loaded again."""
        self._is_ready = True
        self._send("READY=1")

    def alive(self, status: str, patience_s: float) -> None:
        """Still working; before `ready`, a request for `patience_s` more seconds to get there."""
        if self._is_ready:
            self._send(f"WATCHDOG=1\nSTATUS={status}")
        else:
            self._send(f"EXTEND_TIMEOUT_USEC={patience_s * 1e6:.0f}\nSTATUS={status}")

    def reloading(self) -> None:
        """Settings are being loaded again; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={clock_gettime_ns(_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """On the way out."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if self._address:
            kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK  # nobody reading is no reason to wait
            with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as line:
                line.sendto(message.encode(), self._address)
