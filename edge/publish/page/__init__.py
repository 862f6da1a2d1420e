"""A live page for aiming the camera: the mesh, what is read from it, and how it could be better.

Served from one thread of its own. Readings become messages there, ten a second at most, once for
all viewers, and only while there are any. A viewer gets the newest message as soon as it has taken
the one before: who is slow sees fewer.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from asyncio import StreamReader, StreamWriter
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from edge.errors import SettingsError
from edge.publish.page import message
from edge.publish.page.request import (
    LONGEST,
    Guard,
    Refused,
    Request,
    read_token,
    response,
    stream,
)
from edge.publish.sockets import host, listening
from edge.settings import PageSettings
from edge.types import Frame, Gap, Reading

INTERVAL_S = 0.1
"""Seconds between two messages, on average at least."""
MOMENT_S, MOMENTS = 0.25, 240
"""The last minute, for who comes later: a moment this often, and so many of them."""
CONNECTIONS, VIEWERS = 200, 20
"""Connections at a time, and those of them that may stay."""
STATUS_S = 0.25
"""How often it is asked how the program is, seconds."""
REQUEST_S = 5.0
"""Seconds for a whole request."""
TAKE_S = 10.0
"""Seconds for a viewer to take a message."""
QUIET_S = 5.0
"""Seconds without a reading after which viewers are told that the line stands."""
_HANG_S = 30.0
_SEND_BUFFER = 32768
"""Bytes that the kernel may keep for a slow viewer, who would see the past in them."""
_HERE = Path(__file__).parent
_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class Page:
    """Serves the page at http://ADDRESS:PORT/."""

    def __init__(
        self,
        settings: PageSettings,
        status: Callable[[], Mapping[str, Any]],
        calibrate: Callable[[], bool] | None = None,
    ) -> None:
        """Listens at once. Raises SettingsError or OutputError when it may not.

        `status`: how the program is, for the page to show; called a few times a second while there
        is a viewer, in another thread. `calibrate`: begins a calibration, which then is told in the
        status; whether it could.
        """
        self._picture = settings.picture
        if self._picture:
            message.open_encoder()
        self._status = status
        self._calibrate = calibrate
        self._files = {
            f"/{path.name}": (f"{_KINDS[path.suffix[1:]]}; charset=utf-8", path.read_bytes())
            for path in _HERE.iterdir()
            if path.suffix[1:] in _KINDS
        }
        listener = listening("page", settings.address, settings.port)
        try:
            self._guard = Guard(settings.address, read_token(settings, listener))
        except SettingsError:
            listener.close()
            raise
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self.port = int(listener.getsockname()[1])
        """TCP port that it listens on."""
        self._lock = threading.Lock()  # for the next three
        self._past: deque[tuple[float, str, float | None]] = deque(maxlen=MOMENTS)
        self._newest: tuple[Frame | Gap, Reading] | None = None
        self._frames = 0
        self._due_s = self._moment_s = 0.0
        # All below belongs to the page's thread.
        self._viewers: set[asyncio.Event] = set()
        self._connections = 0
        self._message = b""
        self._told: set[str] = set()
        self._known: dict[str, Any] = {}
        self._rate: float | None = None
        self._counted_s = self._known_s = self._beat_s = time.monotonic()
        self._error: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        _tell(f"http://{host(listener)}:{self.port}/" + "?token=…" * self._guard.asks)
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name="page", daemon=True
        )
        self._thread.start()

    def __call__(self, frame: Frame | Gap, reading: Reading) -> None:
        """Show the reading, if somebody looks. Never waits for them."""
        now = time.monotonic()
        with self._lock:
            self._frames += isinstance(frame, Frame)
            if now - self._moment_s >= MOMENT_S:
                self._moment_s = now
                self._past.append((now, reading.label, reading.confidence))
            if not self._viewers or now < self._due_s:
                return
            self._due_s = max(self._due_s + INTERVAL_S, now)
            waiting, self._newest = self._newest, (frame, reading)
        if waiting is None:
            with suppress(RuntimeError):  # it has died: `check` will say so
                self._loop.call_soon_threadsafe(self._show)

    def check(self) -> bool:
        """Whether the page's thread goes round. Raises what it died of."""
        if self._error is not None:
            raise self._error
        return time.monotonic() - self._beat_s < _HANG_S

    def close(self) -> None:
        """Hang up on everybody, and stop listening."""
        with suppress(RuntimeError):  # it has died
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(0.4)

    # All below runs in the page's thread.

    def _run(self, listener: socket.socket) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve(listener))
        except BaseException as error:
            self._error = error
        finally:
            listener.close()

    async def _serve(self, listener: socket.socket) -> None:
        self._loop.set_exception_handler(self._complain)
        server = await asyncio.start_server(self._meet, sock=listener, limit=LONGEST)
        while not self._end.is_set():
            self._beat_s = time.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._end.wait()
        server.close()  # and the runner ends all conversations

    async def _meet(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One connection, from its first byte to its last."""
        self._connections += 1
        try:
            if self._connections <= CONNECTIONS:
                writer.transport.set_write_buffer_limits(high=0)  # `drain` waits until all is taken
                await self._answer(reader, writer)
                await _taken(writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a client that left or dawdled is no news, nor that the page ends
        finally:
            self._connections -= 1
            writer.transport.abort()  # all that was worth it has been taken

    async def _answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
            request = Request.parse(head)
            self._guard.check(request)
            if request.method == "POST" and request.path == "/calibrate":
                writer.write(self._begin(request))
            elif request.method != "GET":
                raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered")
            elif request.path == "/events":
                await self._watch(request, writer)
            else:
                writer.write(self._file(request))
        except asyncio.LimitOverrunError:
            too_large = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            writer.write(response(too_large, b"the request is too long\n"))
        except Refused as refused:
            more = ("Allow: GET",) if refused.status == HTTPStatus.METHOD_NOT_ALLOWED else ()
            plain = "text/plain; charset=utf-8"
            writer.write(response(refused.status, f"{refused}\n".encode(), plain, *more))

    def _file(self, request: Request) -> bytes:
        """A file of the page. They hold no secret; only the page itself asks for the token."""
        if request.path != "/":
            if request.path not in self._files or request.path.endswith(".html"):
                raise Refused(HTTPStatus.NOT_FOUND, "there is no such page")
            kind, body = self._files[request.path]
            return response(HTTPStatus.OK, body, kind)
        if not self._guard.knows(request):
            kind, body = self._files["/token.html"]
            return response(HTTPStatus.UNAUTHORIZED, body, kind)
        kind, body = self._files["/page.html"]
        if "token" in request.query and self._guard.asks:  # from now on it is in a cookie
            cookie = f"Set-Cookie: {self._guard.cookie()}"
            return response(HTTPStatus.SEE_OTHER, b"", kind, "Location: /", cookie)
        return response(HTTPStatus.OK, body, kind)

    def _begin(self, request: Request) -> bytes:
        """The one thing that a page may make us do. Browsers name the origin of a POST."""
        if "origin" not in request.headers:
            raise Refused(HTTPStatus.FORBIDDEN, "asked by no page of ours")
        if not self._guard.knows(request):
            raise Refused(HTTPStatus.UNAUTHORIZED, "this needs the token")
        if self._calibrate is None or not self._calibrate():
            raise Refused(HTTPStatus.CONFLICT, "it goes on already, or cannot")
        self._known = {}  # the next message tells how it goes
        return response(HTTPStatus.ACCEPTED)

    async def _watch(self, request: Request, writer: StreamWriter) -> None:
        """Tell a viewer what is new, until it leaves."""
        if not self._guard.knows(request):
            raise Refused(HTTPStatus.UNAUTHORIZED, "this needs the token")
        if len(self._viewers) >= VIEWERS:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many viewers")
        news = asyncio.Event()
        if not self._viewers:
            with self._lock:
                self._frames, self._rate, self._counted_s = 0, None, time.monotonic()
        self._viewers.add(news)
        try:
            with self._lock:
                past = list(self._past)
            writer.write(stream() + b"retry: 1000\n\n" + message.history(past, time.monotonic()))
            while True:
                await _taken(writer)
                try:
                    async with asyncio.timeout(QUIET_S):
                        await news.wait()
                except TimeoutError:
                    writer.write(b":\n\n")
                    continue
                news.clear()
                writer.write(self._message)
        finally:
            self._viewers.discard(news)

    def _show(self) -> None:
        """Make the message of the newest reading, and tell all viewers."""
        with self._lock:
            newest, self._newest = self._newest, None
        if newest is None or not self._viewers:
            return
        self._message = message.event(*newest, self._how(), self._picture)
        for news in self._viewers:
            news.set()

    def _complain(self, loop: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
        """A mistake of ours; ten times a second it would fill the journal."""
        error = about.get("exception")
        told = f"{type(error).__name__}: {error}" if error else str(about.get("message"))
        if not isinstance(error, OSError) and told not in self._told:
            self._told.add(told)
            _tell(told)

    def _how(self) -> dict[str, Any]:
        """How the program is."""
        now = time.monotonic()
        if now - self._counted_s >= 1:
            with self._lock:
                frames, self._frames = self._frames, 0
            self._rate, self._counted_s = frames / (now - self._counted_s), now
        if not self._known or now - self._known_s >= STATUS_S:
            self._known = {**self._status(), "frames_per_second": self._rate}
            self._known_s = now
        return self._known


async def _taken(writer: StreamWriter) -> None:
    """Wait until the kernel has all that was written. Raises TimeoutError, OSError."""
    async with asyncio.timeout(TAKE_S):
        await writer.drain()


def _tell(what: str) -> None:
    with suppress(OSError, ValueError):  # nobody listens
        print(f"edge: page: {what}", file=sys.stderr, flush=True)
