"""Listening on a TCP port, and what is said where that cannot be."""

from __future__ import annotations

import errno
import socket

from edge.errors import OutputError, SettingsError


def listening(table: str, address: str, port: int) -> socket.socket:
    """A TCP socket that listens at `address`:`port`; 0 for any port.

    Raises SettingsError, or OutputError for a port in use; they name the setting of `table`.
    """
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = found[0]
        # Sets SO_REUSEADDR: after a restart the old connections still fade.
        return socket.create_server(place[:2], family=family, backlog=128)
    except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
        known = isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EACCES)
        name, value = ("port", port) if known else ("address", address)
        reason = (isinstance(error, OSError) and error.strerror) or error
        # A port may be free the next time: systemd then starts the daemon again.
        kind = OutputError if known else SettingsError
        raise kind(
            f"{table}.{name} = {value}: cannot listen there ({address}:{port}): {reason}"
        ) from None


def host(listener: socket.socket) -> str:
    """What to call this machine in the address of what listens there."""
    address = listener.getsockname()[0]
    if address in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{address}]" if ":" in address else str(address)
