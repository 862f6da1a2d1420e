"""How many look at the page, how slowly, and how it ends."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress

import pytest

import edge.publish.page as page_module
from edge.errors import OutputError, SettingsError
from edge.publish.page import Page
from edge.types import Reading
from tests.tools.page import (
    FACE,
    FRAME,
    P,
    Serve,
    Viewer,
    ask,
    connect,
    threads,
    until,
    watch,
)
from tests.tools.ports import free_port


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
    with pytest.raises(SettingsError, match=r"page\.address = 192\.0\.2\.1: cannot listen there"):
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
