"""Whom the page answers: names, origins, limits, tokens, and the button."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

import edge.publish.page as page_module
from edge.errors import SettingsError
from tests.tools.page import (
    TOKEN,
    Serve,
    ask,
    connect,
    send,
    threads,
    watch,
)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:9999",  # through an ssh tunnel
        "localhost:8080",
        "LOCALHOST",
        "[::1]:8080",
        "192.168.1.5:8080",
        socket.gethostname(),
        f"{socket.gethostname()}.local:8080",
    ],
)
def test_names_that_are_ours(serve: Serve, host: str) -> None:
    assert ask(serve(), "/", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        f"{socket.gethostname()}.evil.example",
        "localhost@evil.example",
        "127.0.0.1, evil.example",
        "127.0.0.1:8080:8080",
        "[127.0.0.1",
        "2130706433",
    ],
)
def test_names_that_are_not_ours(serve: Serve, host: str) -> None:
    """DNS rebinding: a page of evil.example, whose name now leads here."""
    page = serve()
    for target in ("/", "/events", "/page.js"):
        assert ask(page, target, Host=host)[0] == 421


def test_no_host_or_two(serve: Serve) -> None:
    page = serve()
    assert b" 421 " in send(page, b"GET / HTTP/1.0\r\n\r\n").split(b"\r\n")[0]
    twice = b"GET / HTTP/1.1\r\nHost: localhost\r\nhost: evil.example\r\n\r\n"
    assert b" 400 " in send(page, twice).split(b"\r\n")[0]


def test_other_pages_may_not_ask(serve: Serve) -> None:
    page = serve()
    own = f"http://127.0.0.1:{page.port}"
    assert ask(page, "/", Origin=own, Sec_Fetch_Site="same-origin")[0] == 200
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", f"{own}.evil.example"):
        assert ask(page, "/events", Origin=origin)[0] == 403
    for target in ("/events", "/page.js", "/"):
        assert ask(page, target, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    # But a link may be followed.
    assert ask(page, "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200


def test_limits_of_a_request(serve: Serve) -> None:
    page = serve()
    assert ask(page, "/", X="y" * 9000)[0] == 431
    assert ask(page, "/?" + "a" * 9000)[0] == 431
    assert ask(page, "/", Content_Length="1")[0] == 413
    assert ask(page, "/", Content_Length="00")[0] == 413
    assert ask(page, "/", Transfer_Encoding="chunked")[0] == 413
    assert ask(page, "/?" + "&".join(f"a{i}=1" for i in range(20)))[0] == 400
    assert ask(page)[0] == 200


def test_slow_requests_are_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slowloris: a byte now and then."""
    monkeypatch.setattr(page_module, "REQUEST_S", 0.6)
    with connect(serve()) as line:
        began = time.monotonic()
        line.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(OSError):
            for _ in range(40):
                line.sendall(b"X")
                time.sleep(0.1)
        assert time.monotonic() - began < 2


def test_beyond_this_machine_a_token_is_needed(serve: Serve) -> None:
    for address in ("0.0.0.0", "::"):
        with pytest.raises(SettingsError, match=r"needs a token: .* page\.token_file"):
            serve(address=address)
    assert threads() == []


@pytest.mark.parametrize("word", ["", "short", "x" * 201, "with blank in it, and more", "é" * 20])
def test_tokens_that_are_none(serve: Serve, tmp_path: Path, word: str) -> None:
    path = tmp_path / "token"
    path.write_text(word)
    with pytest.raises(SettingsError) as error:
        serve(address="0.0.0.0", token_file=str(path))
    assert not word or word not in str(error.value)


def test_the_credential_is_taken_beyond_this_machine_only(
    serve: Serve, token_file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "page-token").write_text(TOKEN)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert ask(serve())[0] == 200
    assert ask(serve(address="0.0.0.0"))[0] == 401


def test_the_token(serve: Serve, token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = serve(address="0.0.0.0", token_file=token_file)
    assert TOKEN not in capsys.readouterr().err

    status, _, body = ask(page)
    assert status == 401
    assert b'name="token"' in body  # a form to type it into
    for target, headers in (
        ("/events", {}),
        ("/events", {"Cookie": "fer-edge-page=wrong-horse-battery"}),
        ("/events", {"Authorization": f"Bearer {TOKEN}x"}),
        (f"/events?token={TOKEN[:-1]}", {}),
        ("/?token=", {}),
        ("/?token=%C3%A9", {}),
    ):
        assert ask(page, target, **headers)[0] == 401, target

    status, headers, body = ask(page, f"/?token={TOKEN}")
    assert (status, headers["location"], body) == (303, "/", b"")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(attributes)
    assert ask(page, "/", Cookie=f"other=a b; {cookie}")[0] == 200
    watch(page, Cookie=cookie).close()
    watch(page, Authorization=f"Bearer {TOKEN}").close()


def test_without_a_token_none_is_kept(serve: Serve) -> None:
    status, headers, _ = ask(serve(), f"/?token={TOKEN}")
    assert status == 200
    assert "set-cookie" not in headers


def test_the_button(serve: Serve, token_file: str) -> None:
    pressed = []
    page = serve(calibrate=lambda: pressed.append(1) is None)
    own = f"http://127.0.0.1:{page.port}"
    for target, headers, status in (
        ("/calibrate", {}, 403),  # browsers say whose page it is
        ("/calibrate", {"Origin": "null"}, 403),
        ("/calibrate", {"Origin": "http://evil.example"}, 403),
        ("/calibrate", {"Origin": own, "Sec_Fetch_Site": "cross-site"}, 403),
        ("/calibrate", {"Origin": own, "Host": "evil.example"}, 421),
        ("/calibrate", {"Origin": own, "Content_Length": "3"}, 413),
        ("/", {"Origin": own}, 405),
        ("/events", {"Origin": own}, 405),
    ):
        assert ask(page, target, "POST", **headers)[0] == status, (target, headers)
    assert ask(page, "/calibrate")[0] == 404  # a link or a picture does nothing
    assert pressed == []
    assert ask(page, "/calibrate", "POST", Origin=own)[0] == 202
    assert pressed == [1]

    kept = serve(calibrate=lambda: True, token_file=token_file)
    own = f"http://127.0.0.1:{kept.port}"
    assert ask(kept, "/calibrate", "POST", Origin=own)[0] == 401
    bearer = f"Bearer {TOKEN}"
    assert ask(kept, "/calibrate", "POST", Origin=own, Authorization=bearer)[0] == 202

    for calibrate in (None, lambda: False):
        busy = serve(calibrate=calibrate)
        own = f"http://127.0.0.1:{busy.port}"
        assert ask(busy, "/calibrate", "POST", Origin=own)[0] == 409
