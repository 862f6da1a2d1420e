"""What the checks have in their hands: the booted machine, a camera, a broker, the journal."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from tests.tools.mjpeg import Stream, jpegs
from tests.tools.mosquitto import Line, Listener, Mosquitto

REPO = Path(__file__).resolve().parents[2]
UNIT = "fer-edge.service"
SETTINGS = Path("/etc/fer-edge/config.toml")
TOPIC = "fer-edge/pi"

measured: dict[str, float] = {}
"""What → seconds, if no other unit is named."""


def systemctl(*arguments: str, timeout: float = 30) -> str:
    """Its output. Raises where it fails."""
    done = subprocess.run(
        ["systemctl", *arguments], capture_output=True, text=True, check=False, timeout=timeout
    )
    assert done.returncode == 0, f"systemctl {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def show(name: str) -> str:
    return systemctl("show", "--property", name, "--value", UNIT)


def until(done: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `done` returned, as soon as it is true; that it took longer is a failure."""
    end = time.monotonic() + seconds
    while True:
        result = done()
        if result:
            return result
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


def active() -> bool:
    return show("ActiveState") == "active"


def make(target: str, *variables: str) -> subprocess.CompletedProcess[str]:
    return run("make", "--no-print-directory", target, *variables)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=REPO, capture_output=True, text=True, check=False, timeout=120
    )


@contextmanager
def timed(what: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    measured[what] = round(time.monotonic() - begun, 2)


class Journal:
    """The service's lines, as they come."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        follow = ["journalctl", "--follow", "--unit", UNIT, "--output", "cat", "--lines", "0"]
        self._process = subprocess.Popen(follow, stdout=subprocess.PIPE, text=True)
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.lines.append(line.rstrip())

    def expect(self, seconds: float, *parts: str, after: int | None = None) -> str:
        """The first line with all `parts` in it, from now, or the line `after`, on."""
        seen = len(self.lines) if after is None else after

        def found() -> str:
            nonlocal seen
            for line in self.lines[seen:]:
                if all(part in line for part in parts):
                    return line
                seen += 1
            return ""

        return until(found, seconds, f"a line with {' and '.join(parts)}")


class Device:
    """A camera that can be cut, a broker that can be killed, and what the service says."""

    def __init__(self) -> None:
        self.before = leftovers()
        self.stream = Stream(jpegs())
        folder = Path("/var/tmp/broker")
        folder.mkdir()
        self.broker = Mosquitto(folder)
        self.broker.start()
        self.mqtt = Listener()
        self.mqtt.connect(self.broker.port)
        self.line = Line(self.broker.port)  # so that nobody reads before the listener listens
        self.line.open()
        self.journal = Journal()

    def settings(self, **tables: str) -> None:
        """Write the settings file: this camera and this broker, and what is given instead."""
        text = {
            "camera": f'source = "{self.stream.url}"',
            "mqtt": f'host = "127.0.0.1"\nport = {self.line.port}\nnode = "pi"',
            "output": 'stdout = "frames"\nheartbeat_seconds = 1.0',
        } | tables
        SETTINGS.write_text("".join(f"[{table}]\n{keys}\n" for table, keys in text.items()))

    def reads_frames(self, seconds: float = 5) -> None:
        self.journal.expect(seconds, '"camera": "ok"')

    def availability(self) -> bytes:
        return (self.mqtt.of(f"{TOPIC}/availability") or [b""])[-1]


def leftovers() -> set[str]:
    """What an installation could leave behind: all of some folders, and what has our name."""
    kept = run("find", "/etc", "/opt", "-xdev")
    named = run("find", "/run", "/var", "/usr/local", "/root", "-xdev", "-name", "*fer-edge*")
    return {*kept.stdout.splitlines(), *named.stdout.splitlines()}


@contextmanager
def drop_in(*lines: str) -> Iterator[None]:
    """Settings of the unit that it has for a while."""
    folder = Path(f"/run/systemd/system/{UNIT}.d")
    folder.mkdir(parents=True)
    (folder / "test.conf").write_text("\n".join(["[Service]", *lines, ""]))
    systemctl("daemon-reload")
    try:
        yield
    finally:
        shutil.rmtree(folder)
        systemctl("daemon-reload")
