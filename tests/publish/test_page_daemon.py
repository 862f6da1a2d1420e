"""The page beside the loop: flags, reloads, and that nobody who looks can hold readings up."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests import test_daemon
from tests.test_daemon import Daemon, camera
from tests.tools.mjpeg import Stream
from tests.tools.ports import free_port

Command = Callable[..., Any]
start, stream = test_daemon.start, test_daemon.stream  # fixtures


def served(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
            return b"fer-edge" in answer.read()
    except (URLError, ConnectionError):
        return False


def rate(daemon: Daemon, seconds: float = 3) -> float:
    before = len(daemon.readings)
    time.sleep(seconds)
    return (len(daemon.readings) - before) / seconds


def test_idle_slow_and_stuck_clients_do_not_stop_readings(
    start: Callable[..., Daemon],
    stream: Stream,
) -> None:
    port = free_port()
    daemon = start(camera(stream, '[output]\nstdout = "frames"\n'), "--page", f"127.0.0.1:{port}")
    daemon.until(lambda: len(daemon.readings) > 5)
    before = rate(daemon)
    asked = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with ExitStack() as lines:
        for number in range(130):
            line = lines.enter_context(socket.create_connection(("127.0.0.1", port)))
            if number < 10:
                line.sendall(asked)  # and never read
            elif number < 30:
                line.sendall(asked[:7])
        assert rate(daemon) > 0.4 * before  # the machine may be busy with others
        assert served(port)
    assert daemon.stop() == 0


def test_the_page_comes_and_goes_with_the_settings(
    start: Callable[..., Daemon],
    stream: Stream,
) -> None:
    port = free_port()
    daemon = start(camera(stream))
    daemon.until(lambda: "READY=1" in daemon.notices)
    assert not served(port)
    for on in (True, False, True):
        told = daemon.told.count("settings loaded again")
        daemon.config.write_text(camera(stream, f"[page]\nport = {port}\n" * on))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda told=told: daemon.told.count("settings loaded again") > told)
        assert served(port) == on
    assert daemon.stop() == 0
    socket.create_server(("127.0.0.1", port)).close()  # free at once


@pytest.mark.parametrize("command_name", ["run", "daemon"])
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--page", "8080"], "--page 8080: allowed is ADDRESS:PORT"),
        (["--page-picture"], "--page-picture: there is no page: give --page ADDRESS:PORT, too"),
        (["--page", "127.0.0.1:x"], "page.port=x: allowed is int 0 to 65535"),
        (["--page", "127.0.0.1:99999"], "page.port=99999: allowed is int 0 to 65535"),
        (["--page", "0.0.0.0:8080"], "beyond this machine the page needs a token"),
        (["--page", "[::]:8080"], "beyond this machine the page needs a token"),
    ],
)
def test_flags_that_cannot_be(
    command: Command, models_dir: Path, command_name: str, flags: list[str], said: str
) -> None:
    result = command(command_name, "--source", models_dir / "sample.y4m", *flags)
    assert result.returncode == 78
    assert said in result.complaints[-1]
    assert result.stdout == ""
