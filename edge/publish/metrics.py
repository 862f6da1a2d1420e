"""Prometheus metrics over HTTP: counts, times of the stages, and how things are at the scrape."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, MetricsHandler
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from edge.publish.sockets import listening
from edge.settings import MetricsSettings
from edge.types import CLASSES, UNKNOWN, Frame, Gap, Reading

PREFIX = "fer_edge_"
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper ends of the histogram's buckets, seconds: from a network on a workstation to a camera."""
CLIENT_S = 5.0
"""Seconds that a client may take over a line of its request."""
_POLL_S = 0.2  # of the server for its end


class Metrics:
    """Serves what it has seen at http://ADDRESS:PORT/metrics, from threads of its own."""

    def __init__(
        self, settings: MetricsSettings, gauges: Callable[[], Mapping[str, float]]
    ) -> None:
        """Listens at once. Raises SettingsError or OutputError when it may not.

        `gauges`: called at each scrape, in another thread; name → value, published with PREFIX. A
        name that ends in `_total` is a counter.
        """
        self._gauges = gauges
        self._last: tuple[Frame | Gap, Reading, float] | None = None  # and when it came
        registry = CollectorRegistry()
        self._frames = Counter(f"{PREFIX}frames", "Frames that were read.", registry=registry)
        self._readings = Counter(
            f"{PREFIX}readings", "Readings by their label.", ["label"], registry=registry
        )
        for label in (*CLASSES, UNKNOWN):
            self._readings.labels(label)  # so that all of them count from 0
        self._stages = Histogram(
            f"{PREFIX}stage_seconds",
            "Time that each stage took for a frame.",
            ["stage"],
            registry=registry,
            buckets=BUCKETS_S,
        )
        registry.register(self)
        self._server = _listen(settings, registry)
        self.port = int(self._server.server_address[1])
        """TCP port that it listens on."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="metrics", daemon=True
        )
        self._thread.start()

    def __call__(self, frame: Frame | Gap, reading: Reading) -> None:
        """Count one reading."""
        self._last = frame, reading, time.monotonic()
        self._readings.labels(reading.label).inc()
        if isinstance(frame, Frame):
            self._frames.inc()
            for stage, ms in {"capture": frame.capture_ms, **reading.timings_ms}.items():
                self._stages.labels(stage).observe(ms / 1000)

    def check(self) -> bool:
        """Whether the server still listens. Raises when its thread has died."""
        if not self._thread.is_alive():
            raise RuntimeError("the thread that serves the metrics has died")
        return True

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def collect(self) -> Iterator[Metric]:
        """How things are now: prometheus_client asks for it at each scrape."""
        up = self._last is not None and isinstance(self._last[0], Frame)
        yield GaugeMetricFamily(f"{PREFIX}camera_up", "Whether frames come: 1 or 0.", float(up))
        if self._last is not None:
            _, reading, told_s = self._last
            label = GaugeMetricFamily(
                f"{PREFIX}label", "1 for the current label.", labels=["label"]
            )
            for name in (*CLASSES, UNKNOWN):
                label.add_metric([name], float(name == reading.label))
            yield label
            if reading.confidence is not None:
                yield GaugeMetricFamily(
                    f"{PREFIX}confidence_ratio",
                    "Probability of the likeliest expression, 0 to 1; absent without a face.",
                    reading.confidence,
                )
            yield GaugeMetricFamily(
                f"{PREFIX}reading_age_seconds",
                "Time since the last frame that the current label rests on.",
                reading.age_s + time.monotonic() - told_s,
            )
        for name, value in self._gauges().items():
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield family(PREFIX + name, name.replace("_", " "), value)


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left or dawdled is no news."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            print(f"edge: metrics: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


def _listen(settings: MetricsSettings, registry: CollectorRegistry) -> TCPServer:
    class Handler(MetricsHandler):
        timeout = CLIENT_S

    Handler.registry = registry
    listener = listening("metrics", settings.address, settings.port)
    server = _Server(listener.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    return server
