"""What Prometheus scrapes, over real HTTP."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from edge.errors import OutputError, SetupError
from edge.publish.metrics import Metrics
from edge.settings import MetricsSettings
from edge.types import CLASSES, UNKNOWN, Frame, Gap, Mesh, Reading
from tests.tools.ports import free_port

P = np.array([0.1, 0.05, 0.05, 0.6, 0.1, 0.05, 0.05], np.float32)
FRAME = Frame(np.zeros((2, 2, 3), np.uint8), 0.0, "v4l2:0", capture_ms=2.0)
FACE = Reading(
    "happy", 0.625, P, Mesh(np.zeros((468, 3), np.float32), 0.9), {"mesh": 30.0}, age_s=0.25
)
LOST = Reading(UNKNOWN, None, None, None, {}, "camera lost", 1.5, 0.25)
Values = dict[tuple[str, str], float]


@pytest.fixture
def serve() -> Iterator[Callable[..., Metrics]]:
    made = []

    def build(gauges: Callable[[], Mapping[str, float]] = dict, **settings: object) -> Metrics:
        given = {"port": free_port(), **settings}
        made.append(Metrics(MetricsSettings(**given), gauges))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for metrics in made:
        metrics.close()


def scrape(metrics: Metrics, host: str = "127.0.0.1") -> Values:
    """(name, value of its only label or "") → value."""
    url = f"http://{host}:{metrics.port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    return {
        (sample.name, "/".join(v for k, v in sample.labels.items() if k != "le")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("le", "+Inf") == "+Inf"
    }


def test_a_face(serve: Callable[..., Metrics]) -> None:
    metrics = serve()
    for _ in range(3):
        metrics(FRAME, FACE)
    got = scrape(metrics)
    assert got["fer_edge_frames_total", ""] == 3
    assert got["fer_edge_readings_total", "happy"] == 3
    assert got["fer_edge_readings_total", "sad"] == 0
    assert got["fer_edge_confidence_ratio", ""] == 0.625
    assert got["fer_edge_camera_up", ""] == 1
    labels = {label: value for (name, label), value in got.items() if name == "fer_edge_label"}
    assert labels == {label: float(label == "happy") for label in (*CLASSES, UNKNOWN)}
    assert got["fer_edge_stage_seconds_count", "mesh"] == 3
    assert got["fer_edge_stage_seconds_sum", "mesh"] == pytest.approx(0.09)
    assert got["fer_edge_stage_seconds_sum", "capture"] == pytest.approx(0.006)
    assert all(name.startswith("fer_edge_") for name, _ in got)


def test_a_lost_camera(serve: Callable[..., Metrics]) -> None:
    metrics = serve()
    metrics(FRAME, FACE)
    metrics(Gap("v4l2:0", "unplugged", 0.0, 0.0), LOST)
    got = scrape(metrics)
    assert got["fer_edge_camera_up", ""] == 0
    assert got["fer_edge_frames_total", ""] == 1
    assert got["fer_edge_readings_total", UNKNOWN] == 1
    assert ("fer_edge_confidence_ratio", "") not in got


def test_the_age_goes_on_when_readings_do_not_come(serve: Callable[..., Metrics]) -> None:
    """An age that stands still would hide that the daemon does."""
    metrics = serve()
    metrics(FRAME, FACE)
    time.sleep(0.05)
    first = scrape(metrics)["fer_edge_reading_age_seconds", ""]
    time.sleep(0.05)
    second = scrape(metrics)["fer_edge_reading_age_seconds", ""]
    assert 0.25 + 0.05 <= first <= second - 0.05 < 2


def test_before_the_first_frame(serve: Callable[..., Metrics]) -> None:
    got = scrape(serve())
    assert got["fer_edge_camera_up", ""] == 0
    assert got["fer_edge_frames_total", ""] == 0
    assert ("fer_edge_reading_age_seconds", "") not in got


def test_what_the_daemon_adds(serve: Callable[..., Metrics]) -> None:
    values = {"mqtt_queued_messages": 2.0, "camera_dropped_frames_total": 7.0}
    metrics = serve(lambda: values)
    assert scrape(metrics)["fer_edge_mqtt_queued_messages", ""] == 2
    values["mqtt_queued_messages"] = 5
    got = scrape(metrics)
    assert got["fer_edge_mqtt_queued_messages", ""] == 5
    assert got["fer_edge_camera_dropped_frames_total", ""] == 7


def test_two_in_one_process_do_not_meet(serve: Callable[..., Metrics]) -> None:
    """After a reload of the settings there are two for a moment; and none in the global one."""
    one, two = serve(), serve()
    one(FRAME, FACE)
    assert scrape(one)["fer_edge_frames_total", ""] == 1
    assert scrape(two)["fer_edge_frames_total", ""] == 0
    assert not any(family.name.startswith("fer_edge") for family in REGISTRY.collect())


def test_only_this_machine_unless_told_otherwise(serve: Callable[..., Metrics]) -> None:
    metrics = serve()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", metrics.port), timeout=5)


def test_ipv6(serve: Callable[..., Metrics]) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    assert scrape(serve(address="::1"), "[::1]")


def test_a_port_in_use(serve: Callable[..., Metrics]) -> None:
    first = serve()
    with pytest.raises(OutputError, match=rf"metrics\.port = {first.port}: .*in use") as error:
        serve(port=first.port)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("address", ["192.0.2.1", "no.such.name.invalid", "a..b", "-"])
def test_an_address_that_is_not_ours(serve: Callable[..., Metrics], address: str) -> None:
    with pytest.raises(SetupError, match=r"metrics\.address") as error:
        serve(address=address)
    assert len(str(error.value).splitlines()) == 1


def test_the_end(serve: Callable[..., Metrics]) -> None:
    """Quick, also with a client that says nothing; and the port is free at once."""
    metrics = serve()
    assert metrics.check()
    scrape(metrics)
    with socket.create_connection(("127.0.0.1", metrics.port)):
        begun = time.monotonic()
        metrics.close()
        assert time.monotonic() - begun < 0.5
    serve(port=metrics.port)
    assert not any(
        thread.name == "metrics" and not thread.daemon for thread in threading.enumerate()
    )
    with pytest.raises(RuntimeError, match="died"):
        metrics.check()


def test_rude_clients(serve: Callable[..., Metrics], capfd: pytest.CaptureFixture[str]) -> None:
    """They get nothing into the journal, and take nothing from the next."""
    metrics = serve()
    for words in (b"", b"\0" * 100, b"GET / HTTP/1.1\r\n", b"GET /" + b"x" * 70000 + b"\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", metrics.port)) as client:
            client.sendall(words)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
    assert scrape(metrics)
    assert capfd.readouterr() == ("", "")


def test_a_gauge_that_fails_is_told(
    serve: Callable[..., Metrics], capfd: pytest.CaptureFixture[str]
) -> None:
    values: list[float] = []
    metrics = serve(lambda: {"first": values[0]})
    with pytest.raises(OSError):
        scrape(metrics)
    assert capfd.readouterr().err.splitlines() == [
        "edge: metrics: IndexError: list index out of range"
    ]
    values.append(1.0)
    assert scrape(metrics)["fer_edge_first", ""] == 1


def test_another_label(serve: Callable[..., Metrics]) -> None:
    metrics = serve()
    for label in ("happy", "sad", "sad"):
        metrics(FRAME, replace(FACE, label=label))
    got = scrape(metrics)
    assert (got["fer_edge_readings_total", "happy"], got["fer_edge_readings_total", "sad"]) == (
        1,
        2,
    )
    assert (got["fer_edge_label", "happy"], got["fer_edge_label", "sad"]) == (0, 1)
