"""The live page, over real sockets: what it sends, to whom, and what it bears."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge.publish.page as page_module
from edge.errors import OutputError, SettingsError, SetupError
from edge.publish.page import Page, message
from edge.settings import PageSettings
from edge.types import CLASSES, UNKNOWN, Frame, Gap, Mesh, Reading

TOKEN = "correct-horse-battery"
RNG = np.random.default_rng(3)
IMAGE = RNG.integers(90, 150, (480, 640, 3), np.uint8)
LANDMARKS = RNG.uniform(100, 300, (468, 3)).astype(np.float32)
P = np.array([0.1, 0.05, 0.05, 0.6, 0.1, 0.05, 0.05], np.float32)
FRAME = Frame(IMAGE, 0.0, "v4l2:0", capture_ms=2.0)
FACE = Reading("happy", 0.6, P, Mesh(LANDMARKS, 0.9), {"mesh": 30.0}, held_s=2.0)
LOST = Reading(UNKNOWN, None, None, None, {}, "camera lost", 1.5, 0.25)
Serve = Callable[..., Page]


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: list[Page] = []

    def build(
        status: Callable[[], dict[str, Any]] = dict,
        calibrate: Callable[[], bool] | None = None,
        **settings: Any,
    ) -> Page:
        made.append(Page(PageSettings(**{"port": free_port(), **settings}), status, calibrate))
        return made[-1]

    yield build
    for page in made:
        page.close()


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return str(path)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


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


def test_the_page_and_its_parts(serve: Serve) -> None:
    page = serve()
    weight = 0
    for target, kind in (
        ("/", "text/html"),
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/icon.svg", "image/svg+xml"),
    ):
        status, headers, body = ask(page, target)
        assert status == 200
        assert headers["content-type"] == f"{kind}; charset=utf-8"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert len(body) == int(headers["content-length"])
        weight += len(body)
        links = re.findall(rb"https?://[^\"' )]+", body)
        assert set(links) <= {b"http://www.w3.org/2000/svg"}
    assert 5_000 < weight < 60_000


def test_html_has_no_inline_script_or_style() -> None:
    """The policy of the page would block them."""
    for path in Path(page_module.__file__).parent.glob("*.html"):
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon[a-z]+=", text)


@pytest.mark.parametrize(
    "target",
    [
        "/x",
        "/page.html",
        "/token.html",
        "/__init__.py",
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/page.js/",
        "/./page.js",
        "/page.js%00",
        "/events/",
    ],
)
def test_nothing_else_is_served(serve: Serve, target: str) -> None:
    status, headers, body = ask(serve(), target)
    assert (status, body) == (404, b"there is no such page\n")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_other_methods(serve: Serve, method: str) -> None:
    status, headers, _ = ask(serve(), "/", method)
    assert status == 405
    assert "GET" in headers["allow"]


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


def test_a_reading_arrives_whole(serve: Serve) -> None:
    page = serve(lambda: {"temperature_celsius": 61.5, "mqtt_connected": 1.0})
    viewer = watch(page)
    page(FRAME, FACE)
    got = viewer.event()
    assert got is not None
    name, told = got
    assert name == "message"
    assert (told["label"], told["camera"], told["source"]) == ("happy", "ok", "v4l2:0")
    assert told["probabilities"]["happy"] == pytest.approx(0.6)
    assert told["timings_ms"] == {"capture": 2.0, "mesh": 30.0}
    assert told["size"] == [640, 480]
    assert told["status"]["temperature_celsius"] == 61.5
    mesh = np.frombuffer(b64decode(told["mesh"]), "<i2").reshape(468, 3) / message.UNITS * 640
    assert np.abs(mesh - LANDMARKS).max() <= 0.5 / message.UNITS * 640 + 1e-3
    assert "picture" not in told

    page(Gap("v4l2:0", "unplugged", 0.0, 0.0), LOST)
    time.sleep(0.15)  # not both within the interval
    page(Gap("v4l2:0", "unplugged", 0.0, 0.0), LOST)
    got = viewer.event()
    assert got is not None
    told = got[1]
    assert (told["camera"], told["reason"], told["face"]) == (
        "lost: unplugged",
        "camera lost",
        False,
    )
    assert told["aim"]["advice"] == ["camera lost: unplugged"]
    assert "mesh" not in told
    viewer.close()


def test_no_pixel_leaves_unless_asked_for(serve: Serve) -> None:
    import cv2

    shown = serve(picture=True)
    viewer = watch(shown)
    shown(FRAME, FACE)
    got = viewer.event()
    assert got is not None
    jpeg = np.frombuffer(b64decode(got[1]["picture"]), np.uint8)
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (240, 320, 3)
    viewer.close()

    hidden = serve()
    viewer = watch(hidden)
    other = Frame(np.full_like(IMAGE, 120), 0.0, "v4l2:0")
    events = []
    for frame in (FRAME, other):
        hidden(frame, FACE)
        events.append(viewer.event())
        time.sleep(0.2)
    # Of the picture only its light is told.
    first, second = (dict(got[1]) for got in events if got)
    for told in (first, second):
        for changing in ("timings_ms", "status"):
            del told[changing]
        told["aim"] = {**told["aim"], "light": None}
    assert first == second
    viewer.close()


def test_who_comes_later_sees_the_last_minute(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "MOMENT_S", 0.05)
    page = serve()
    for _ in range(4):
        page(FRAME, FACE)
        time.sleep(0.06)
    viewer = Viewer(page)
    got = viewer.event()
    assert got is not None
    name, told = got
    assert name == "history"
    assert told["classes"] == list(CLASSES)
    ages = [age for age, label, sure in told["past"] if (label, sure) == ("happy", 0.6)]
    assert len(ages) == 4
    assert ages == sorted(ages, reverse=True)
    assert 0.15 < ages[0] < 2
    viewer.close()


def test_ten_a_second_made_once_for_all_and_only_if_somebody_looks(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = message.event
    monkeypatch.setattr(message, "event", lambda *given: made.append(1) or real(*given))
    page = serve()

    def play(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            page(FRAME, FACE)
            time.sleep(0.01)

    play(0.3)
    assert made == []
    viewers = [watch(page) for _ in range(3)]
    play(1.0)
    time.sleep(0.1)
    assert 3 <= len(made) <= 11  # the machine may be busy with others
    for viewer in viewers:
        assert viewer.event() is not None
        viewer.close()
    until(lambda: play(0.05) or not page._viewers)  # it learns by sending that they have gone
    made.clear()
    play(0.3)
    assert made == []


def test_a_slow_viewer_loses_frames_and_nobody_waits(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "INTERVAL_S", 0.002)
    page = serve()
    slow, quick = watch(page), watch(page)
    taken = 0

    def take() -> None:
        nonlocal taken
        while quick.event():
            taken += 1

    thread = threading.Thread(target=take)
    thread.start()
    slowest = 0.0
    count = 600
    for number in range(count):
        began = time.perf_counter()
        page(FRAME, Reading("happy", 0.6, P, FACE.mesh, {}, held_s=float(number)))
        slowest = max(slowest, time.perf_counter() - began)
        time.sleep(0.005)
    assert slowest < 1  # a wait for the slow one would be ten seconds
    assert taken > 50
    seen = []
    while not seen or seen[-1] < count - 1:
        got = slow.event()
        assert got is not None
        seen.append(got[1]["held_s"])
    assert len(seen) < count / 2
    assert seen == sorted(seen)
    page.close()
    thread.join(5)


def test_a_viewer_that_takes_nothing_is_let_go(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "TAKE_S", 0.5)
    monkeypatch.setattr(page_module, "INTERVAL_S", 0.001)
    page = serve()
    stuck = watch(page)
    until(lambda: page(FRAME, FACE) or not page._viewers)
    stuck.close()
    assert ask(page)[0] == 200


def test_a_hundred_idle_connections(serve: Serve) -> None:
    page = serve()
    with ExitStack() as idle:
        for _ in range(100):
            idle.enter_context(connect(page))
        viewer = watch(page)
        began = time.monotonic()
        page(FRAME, FACE)
        assert time.monotonic() - began < 1
        assert viewer.event() is not None
        assert ask(page)[0] == 200
        assert len(threads()) == 1
        viewer.close()


def test_connections_and_viewers_are_bounded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "CONNECTIONS", 5)
    monkeypatch.setattr(page_module, "VIEWERS", 2)
    page = serve()
    first, second, third = watch(page), watch(page), Viewer(page)
    assert third.status == 503
    third.close()
    until(lambda: page._connections == 2)
    idle = [connect(page) for _ in range(3)]
    until(lambda: page._connections == 5)
    with connect(page) as late:
        late.settimeout(2)
        with suppress(ConnectionResetError):
            assert late.recv(10) == b""
    page(FRAME, FACE)
    assert first.event() is not None
    for line in (first, second, *idle):
        line.close()


def test_the_end_frees_port_thread_and_viewers(
    serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    """Three lives at one port."""
    port = free_port()
    for _ in range(3):
        page = serve(port=port)
        viewer = watch(page)
        idle = connect(page)
        page(FRAME, FACE)
        assert viewer.event() is not None
        began = time.monotonic()
        page.close()
        assert time.monotonic() - began < 0.6
        assert threads() == []
        assert viewer.event() is None
        viewer.close()
        idle.close()
    page.close()  # once more does no harm
    assert capfd.readouterr().err == f"edge: page: http://127.0.0.1:{port}/\n" * 3


def test_calls_after_the_end_do_not_raise(serve: Serve) -> None:
    page = serve()
    viewer = watch(page)
    page.close()
    page(FRAME, FACE)
    viewer.close()


def test_a_port_in_use_and_an_address_of_another(serve: Serve) -> None:
    page = serve()
    with pytest.raises(OutputError, match=rf"page\.port = {page.port}: cannot listen there"):
        serve(port=page.port)
    with pytest.raises(SetupError, match=r"page\.address = 192\.0\.2\.1: cannot listen there"):
        serve(address="192.0.2.1", token_file="/no/such")
    assert len(threads()) == 1


def test_a_dead_thread_is_told(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    page = serve()
    assert page.check()

    async def die(*_: object) -> None:
        raise LookupError("a mistake of ours")

    monkeypatch.setattr(Page, "_serve", die)
    dead = serve()
    dead._thread.join(5)
    with pytest.raises(LookupError):
        dead.check()
    monkeypatch.setattr(page_module, "_HANG_S", -1.0)
    assert not page.check()


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


def test_a_mistake_of_ours_is_told_once(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> bytes:
        raise LookupError("lost")

    page = serve()
    viewer = watch(page)
    monkeypatch.setattr(message, "event", fail)
    for _ in range(3):
        page(FRAME, FACE)
        time.sleep(0.15)
    monkeypatch.undo()
    time.sleep(0.15)
    page(FRAME, FACE)
    assert viewer.event() is not None  # and it goes on
    viewer.close()
    assert capfd.readouterr().err.count("edge: page: LookupError: lost\n") == 1
