"""What systemd hears."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.notify import Notifier


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd opens it, and its name in NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.settimeout(2)
        if request.param == "file":
            line.bind(str(tmp_path / "notify"))
            yield line, str(tmp_path / "notify")
        else:
            line.bind(f"\0{tmp_path}/notify")
            yield line, f"@{tmp_path}/notify"


def test_a_life(manager: tuple[socket.socket, str]) -> None:
    line, name = manager
    notify = Notifier({"NOTIFY_SOCKET": name})
    told = []
    notify.alive("waiting", 30)
    told.append(line.recv(4096).decode())
    notify.ready()
    told.append(line.recv(4096).decode())
    notify.alive("happy for 3 s", 30)
    told.append(line.recv(4096).decode())
    notify.reloading()
    told.append(line.recv(4096).decode().split("=")[0])
    notify.stopping()
    told.append(line.recv(4096).decode())
    assert told == [
        "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=waiting",
        "READY=1",
        "WATCHDOG=1\nSTATUS=happy for 3 s",
        "RELOADING",
        "STOPPING=1",
    ]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/no/such"}])
def test_nobody_listens(environment: dict[str, str]) -> None:
    Notifier(environment).ready()
