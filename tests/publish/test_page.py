"""The live page, over real sockets: what it sends."""

from __future__ import annotations

import re
import time
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest

import edge.publish.page as page_module
from edge.publish.page import message
from edge.types import CLASSES, Frame, Gap
from tests.tools.page import (
    FACE,
    FRAME,
    IMAGE,
    LANDMARKS,
    LOST,
    Serve,
    Viewer,
    ask,
    until,
    watch,
)


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
