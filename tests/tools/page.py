"""What a page shows, and who looks at it as a browser does."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edge.publish.page import Page
from edge.types import UNKNOWN, Frame, Mesh, Reading

TOKEN = "correct-horse-battery"
RNG = np.random.default_rng(3)
IMAGE = RNG.integers(90, 150, (480, 640, 3), np.uint8)
LANDMARKS = RNG.uniform(100, 300, (468, 3)).astype(np.float32)
P = np.array([0.1, 0.05, 0.05, 0.6, 0.1, 0.05, 0.05], np.float32)
FRAME = Frame(IMAGE, 0.0, "v4l2:0", capture_ms=2.0)
FACE = Reading("happy", 0.6, P, Mesh(LANDMARKS, 0.9), {"mesh": 30.0}, held_s=2.0)
LOST = Reading(UNKNOWN, None, None, None, {}, "camera lost", 1.5, 0.25)
Serve = Callable[..., Page]


def connect(page: Page) -> socket.socket:
    return socket.create_connection(("127.0.0.1", page.port), timeout=10)


def send(page: Page, raw: bytes) -> bytes:
    """All that comes back until the server hangs up."""
    with connect(page) as line:
        line.sendall(raw)
        return b"".join(iter(lambda: line.recv(65536), b""))


def ask(
    page: Page, target: str = "/", method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in small letters, body."""
    given = {"Host": f"127.0.0.1:{page.port}"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    answer = send(page, f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    pairs = (field.split(": ", 1) for field in fields)
    return int(status.split()[1]), {name.lower(): value for name, value in pairs}, body


class Viewer:
    """Reads events as a browser does."""

    def __init__(self, page: Page, **headers: str) -> None:
        self.line = connect(page)
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        host = f"Host: 127.0.0.1:{page.port}\r\n"
        self.line.sendall(f"GET /events HTTP/1.1\r\n{host}{more}\r\n".encode())
        self._file = self.line.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        while self._file.readline().strip():
            pass

    def event(self) -> tuple[str, Any] | None:
        """The next one's name and data; None where the server has hung up."""
        name = "message"
        for raw in self._file:
            field, _, value = raw.decode().strip().partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                return name, json.loads(value)
        return None

    def close(self) -> None:
        self._file.close()
        self.line.close()


def watch(page: Page, **headers: str) -> Viewer:
    """A viewer that has had its history: it is known to the page."""
    viewer = Viewer(page, **headers)
    got = viewer.event()
    assert got is not None
    assert got[0] == "history"
    return viewer


def until(done: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.005)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "page"]
