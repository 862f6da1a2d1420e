"""One HTTP request: taken apart strictly, and refused unless it comes from our own page.

Browsers send requests to this server for pages of others, too: what such a page may learn or do is
decided here, by the names in `Host` (DNS rebinding) and `Origin`, and by the token.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from edge.errors import SettingsError
from edge.publish.secret import secret
from edge.settings import PageSettings

COOKIE = "fer-edge-page"
LONGEST = 8192
"""Bytes of a request, at most. Nothing that is asked here has a body."""
_LINE = re.compile(r"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.[01]")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)")
_HOST = re.compile(r"\[([0-9a-f:.]+)\](?::\d{1,5})?|([a-z0-9._-]+)(?::\d{1,5})?")
_HEADERS = (
    "Connection: close\r\n"
    "Cache-Control: no-store\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\n"
)


class Refused(Exception):
    """A request that is not answered: status and, in words, why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request line and its headers."""

    method: str
    """In capitals."""
    path: str
    """As it was sent, without the query: nothing is decoded."""
    query: Mapping[str, str]
    """The first value of each name."""
    headers: Mapping[str, str]
    """By name in small letters."""

    @classmethod
    def parse(cls, head: bytes) -> Request:
        """All up to the empty line. Raises Refused for what is no request, or has a body."""
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        line = _LINE.fullmatch(first)
        if line is None:
            raise Refused(HTTPStatus.BAD_REQUEST, "this is no HTTP/1.1 request")
        headers: dict[str, str] = {}
        for text in lines:
            field = _FIELD.fullmatch(text)
            name = field[1].lower() if field else ""
            if field is None or name in headers:
                raise Refused(HTTPStatus.BAD_REQUEST, "a header is broken, or there twice")
            headers[name] = field[2].strip(" \t")
        if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "nothing here takes a body")
        path, _, query = line[2].partition("?")
        try:
            values = parse_qs(query, max_num_fields=8)
        except ValueError:
            raise Refused(HTTPStatus.BAD_REQUEST, "too many parameters") from None
        return cls(line[1], path, {name: value[0] for name, value in values.items()}, headers)


class Guard:
    """Who may ask."""

    def __init__(self, address: str, token: str) -> None:
        """`address`: as the settings have it. `token`: what who asks has to know; "" for none."""
        name = socket.gethostname().lower()
        self._names = {"localhost", name, f"{name}.local", address.lower()}
        self._token = token.encode()
        self.asks = bool(token)
        """Whether a token is needed."""

    def check(self, request: Request) -> None:
        """Raises Refused where the request was made by or for a page of somebody else."""
        host = request.headers.get("host", "").lower()
        if not self._is_ours(host):
            raise Refused(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this server is not known by that name: use its address, or its host name",
            )
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin.lower())[1:] != (host, "", "", ""):
            raise Refused(HTTPStatus.FORBIDDEN, "asked by a page of another origin")
        site = request.headers.get("sec-fetch-site", "none")
        # A link from elsewhere may be followed: that shows our page to a person, not to theirs.
        if site not in ("same-origin", "none") and (
            request.path != "/" or request.headers.get("sec-fetch-mode") != "navigate"
        ):
            raise Refused(HTTPStatus.FORBIDDEN, "asked by a page of another site")

    def knows(self, request: Request) -> bool:
        """Whether the token comes with the request: in the query, as cookie, or as a header."""
        if not self._token:
            return True
        given = [
            request.query.get("token", ""),
            request.headers.get("authorization", "").removeprefix("Bearer "),
            _cookie(request),
        ]
        # All are compared, whichever fits: the time that this takes tells nothing.
        fitting = [hmac.compare_digest(one.encode(), self._token) for one in given]
        return any(fitting)

    def cookie(self) -> str:
        """The header that keeps the token in the browser, so that no address need have it."""
        return f"{COOKIE}={self._token.decode()}; Path=/; HttpOnly; SameSite=Lax"

    def _is_ours(self, host: str) -> bool:
        """Whether somebody who owns another name cannot have led a browser here by it."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        try:
            ipaddress.ip_address(found[1] or found[2])
        except ValueError:
            return found[2] in self._names
        return True


def _cookie(request: Request) -> str:
    for pair in request.headers.get("cookie", "").split(";"):  # other servers here have theirs
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def response(
    status: HTTPStatus, body: bytes = b"", kind: str = "text/plain; charset=utf-8", *more: str
) -> bytes:
    """A whole answer. `more`: header lines."""
    lines = [f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    return _head(status, lines) + body


def stream() -> bytes:
    """The head of an answer that goes on: server-sent events."""
    return _head(HTTPStatus.OK, ["Content-Type: text/event-stream; charset=utf-8"])


def _head(status: HTTPStatus, lines: list[str]) -> bytes:
    own = "".join(f"{line}\r\n" for line in lines)
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{own}{_HEADERS}\r\n".encode("latin-1")


def read_token(settings: PageSettings, listener: socket.socket) -> str:
    """What viewers have to know; "" where only this machine can ask, and no file is named.

    Raises SettingsError where there has to be one.
    """
    address = listener.getsockname()[0].partition("%")[0]
    word, name = "", ""
    beyond = not ipaddress.ip_address(address).is_loopback
    if settings.token_file or beyond:
        word, name = secret("page.token_file", settings.token_file, "page-token")
        if not word:
            raise SettingsError(
                f"page.address = {settings.address}: beyond this machine the page needs a token: "
                "put 16 or more letters and digits into a file, and name it as page.token_file"
            )
        if not re.fullmatch(r"[A-Za-z0-9_-]{16,200}", word):
            raise SettingsError(f"{name}: the token has to be 16 to 200 letters, digits, - and _")
    return word
