"""Requests: whatever bytes come, a request or a refusal; and a server that lives on."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import edge.publish.page as page_module
from edge.publish.page import Page
from edge.publish.page.request import Guard, Refused, Request
from edge.settings import PageSettings
from tests.tools.page import ask, connect
from tests.tools.ports import free_port

WORDS = st.sampled_from(
    [
        b"GET", b"POST", b" ", b"/", b"/events", b"?token=", b"HTTP/1.1", b"\r\n", b"\n", b"\0",
        b"Host:", b"127.0.0.1", b"localhost", b"Origin: null", b"Content-Length: 9", b"Cookie: =;",
        b"[::1]:", b"%00", b"..", b":", b"Sec-Fetch-Site: cross-site", b"Authorization: Bearer ",
    ]
)  # fmt: skip
BYTES = st.binary(max_size=200) | st.lists(WORDS | st.binary(max_size=8), max_size=30).map(b"".join)


@given(BYTES)
@example(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
@example(b"GET http://localhost/ HTTP/1.1\r\n\r\n")
@example(b"GET / HTTP/1.1\r\n folded: header\r\n\r\n")
def test_any_bytes_are_a_request_or_refused(head: bytes) -> None:
    guard = Guard("127.0.0.1", "a-token-of-letters")
    try:
        request = Request.parse(head)
        guard.check(request)
    except Refused as refused:
        assert 400 <= refused.status < 500
        return
    guard.knows(request)
    assert request.path.startswith("/")


@given(st.text(max_size=40))
def test_any_host_is_judged(host: str) -> None:
    guard = Guard("127.0.0.1", "")
    request = Request("GET", "/", {}, {"host": host})
    try:
        guard.check(request)
    except Refused:
        return
    name = host.lower().rpartition(":")[0] or host.lower()
    assert name.strip("[]") in guard._names or set(name) <= set("0123456789abcdef.:[]")


@given(st.text(max_size=40), st.sampled_from(["cookie", "authorization"]))
def test_no_text_is_the_token(given_: str, where: str) -> None:
    guard = Guard("127.0.0.1", "a-token-of-letters")
    asked = Request("GET", "/", {"token": given_}, {where: given_})
    assert not guard.knows(asked) or "a-token-of-letters" in given_


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "REQUEST_S", 0.3)
        page = Page(PageSettings(port=free_port()), dict)
        yield page
        page.close()


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(raw=BYTES, ended=st.booleans())
def test_any_bytes_on_the_line(page: Page, raw: bytes, ended: bool) -> None:
    with connect(page) as line:
        line.sendall(raw + b"\r\n\r\n" * ended)
        line.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while chunk := line.recv(65536):
                answer += chunk
                if b"text/event-stream" in answer:
                    break
        except ConnectionResetError:
            pass
    assert not answer or answer.startswith(b"HTTP/1.1 ")
    assert b" 500 " not in answer.split(b"\r\n")[0]
    assert page.check()
    assert ask(page)[0] == 200
