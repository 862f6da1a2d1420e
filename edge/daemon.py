"""The service: the loop for months, with systemd, signals and settings around it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from time import monotonic, process_time
from types import FrameType
from typing import Any

from edge import host
from edge.calibrate import Calibrator
from edge.cameras.live import Live
from edge.errors import EdgeError
from edge.notify import Notifier
from edge.pace import Pace
from edge.pipeline import Recognizer, follow
from edge.publish import Changes, Publisher
from edge.publish.jsonlines import JsonLines
from edge.settings import Settings
from edge.types import Frame, Gap, Reading

_PATIENCE_S = 30.0
"""How long systemd waits for a first frame, from the last sign of life on."""


def serve(settings: Settings, load: Callable[[], Settings], tell: Callable[[object], None]) -> int:
    """Run until SIGTERM, or the end of a file; the exit status.

    `load`: the settings anew, at each SIGHUP. `tell`: writes a line for the journal. Raises
    EdgeError when it cannot start.
    """
    service = Service(settings, tell)
    # As soon as there is something to stop.
    signal.signal(signal.SIGTERM, service.stop)
    signal.signal(signal.SIGINT, service.stop)
    signal.signal(signal.SIGHUP, service.ask_reload)
    try:
        while service.run():
            service.reload(load)
    finally:
        service.close()
    return 0


class Service:
    """All parts of the loop, made from settings, and made again when these change."""

    def __init__(self, settings: Settings, tell: Callable[[object], None]) -> None:
        """Open everything. Raises EdgeError when a part cannot be had."""
        self._tell = tell
        self._notify = Notifier()
        self._health = Health()
        self._stopping = self._reloading = False
        self._settings = settings
        self._recognise = Recognizer.of(settings)
        self._recognise.know(settings.classify, tell)
        self._calibrate = Calibrator(settings.classify, self._recognise)
        self._smooth = self._recognise.smoother(settings.smooth)
        self._publishers = {name: self._publisher(name, settings) for name in _PUBLISHERS}
        self._pace = Pace(settings.pace, settings.camera.frames_per_second)
        self._camera = Live(settings.camera, on_error=tell)

    def run(self) -> bool:
        """The loop. Whether there are settings to load again; else it is over."""
        # A signal may have come while settings were loaded, for a camera that was then replaced.
        if self._stopping or self._reloading:
            return not self._stopping
        for frame, reading in follow(self._camera, self._recognise, self._smooth):
            for publisher in self._publishers.values():
                if publisher is not None:
                    publisher(frame, reading)
            self._calibrate(frame, reading)
            self._note(frame, reading)
            del frame
        return self._reloading and not self._stopping

    def reload(self, load: Callable[[], Settings]) -> None:
        """Take new settings; where they cannot be had, keep the old ones."""
        self._reloading = False
        self._notify.reloading()
        try:
            self._adopt(load())
            self._tell("settings loaded again")
        except EdgeError as error:
            self._tell(f"{error}; the old settings stay")
        if self._health.frames:
            self._notify.ready()

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """End the loop soon. For signals."""
        self._stopping = True
        self._camera.interrupt()

    def ask_reload(self, number: int, frame: FrameType | None) -> None:
        """Load settings again soon. For signals."""
        self._reloading = True
        self._camera.interrupt()

    def close(self) -> None:
        """Say goodbye and let go of everything."""
        self._notify.stopping()
        for publisher in self._publishers.values():
            if publisher is not None:
                publisher.close()
        self._camera.close()

    def _note(self, frame: Frame | Gap, reading: Reading) -> None:
        told = self._health.note(frame, reading)
        if told:
            self._tell(told)
        if isinstance(frame, Frame) and self._health.frames == 1:
            self._notify.ready()
        if not self._health.measure(self._camera.dropped):
            return
        publishers = [one for one in self._publishers.values() if one is not None]
        if self._camera.check() and all(one.check() for one in publishers):
            self._notify.alive(self._health.status(reading, self._pace.why), _PATIENCE_S)
        self._camera.pace(
            self._pace.rate(
                frame.clock_s,
                face=reading.face,
                cpu=self._health.cpu,
                celsius=self._health.celsius,
                throttled=self._health.throttled,
            )
        )

    def _adopt(self, new: Settings) -> None:
        """Make again what changed. Raises EdgeError, and then all is as it was."""

        def changed(*tables: str) -> bool:
            return any(getattr(new, table) != getattr(self._settings, table) for table in tables)

        recognise, calibrate = self._recognise, self._calibrate
        if changed("classify", "mesh"):
            recognise = Recognizer.of(new)
            recognise.know(new.classify, self._tell)
            calibrate = Calibrator(new.classify, recognise)
        again = changed("classify", "smooth")
        smooth = recognise.smoother(new.smooth) if again else self._smooth
        self._republish([name for name, tables in _PUBLISHERS.items() if changed(*tables)], new)
        self._recognise, self._calibrate, self._smooth = recognise, calibrate, smooth
        if changed("pace", "camera"):
            self._pace = Pace(new.pace, new.camera.frames_per_second)
        if changed("camera"):
            self._camera.close()
            self._camera = Live(new.camera, on_error=self._tell)
        self._settings = new

    def _republish(self, names: list[str], new: Settings) -> None:
        """Old publishers go first: they hold the port, and say "offline" in the node's name."""
        for name in names:
            old, self._publishers[name] = self._publishers[name], None
            if old is not None:
                old.close()
        try:
            self._publishers |= {name: self._publisher(name, new) for name in names}
        except EdgeError:
            for name in names:
                if self._publishers[name] is None:
                    self._publishers[name] = self._publisher(name, self._settings)
            raise

    def _publisher(self, name: str, settings: Settings) -> Publisher | None:
        """A publisher, or None where the settings want none."""
        if name == "mqtt" and settings.mqtt.host:
            from edge.publish.mqtt import Mqtt

            return Mqtt(settings.mqtt, settings.output.heartbeat_seconds)
        if name == "metrics" and settings.metrics.port:
            from edge.publish.metrics import Metrics

            return Metrics(settings.metrics, self._gauges)
        if name == "page" and settings.page.port:
            from edge.publish.page import Page

            return Page(settings.page, self._status, lambda: self._calibrate.start())
        if name == "stdout" and settings.output.stdout != "none":
            every = settings.output.stdout == "frames"
            return JsonLines(
                sys.stdout, None if every else Changes(settings.output.heartbeat_seconds)
            )
        return None

    def _status(self) -> Mapping[str, Any]:
        """For the page."""
        slow, calibration = self._pace.why, asdict(self._calibrate.progress)
        return {**self._gauges(), "slow": slow, "calibration": calibration}

    def _gauges(self) -> Mapping[str, float]:
        """For the metrics."""
        known = self._health.gauges()
        mqtt = self._publishers.get("mqtt")
        if mqtt is not None:
            for name in ("connected", "queued", "dropped", "reconnects"):
                known[f"mqtt_{name}"] = float(getattr(mqtt, name))
        return known


_PUBLISHERS = {
    "stdout": ("output",),
    "mqtt": ("mqtt", "output"),
    "metrics": ("metrics",),
    "page": ("page",),
}
"""Name → the tables of settings that it is made from."""


class Health:
    """What the service says of itself: rates, load, temperature."""

    def __init__(self) -> None:
        self.frames = 0
        """Frames processed."""
        self.dropped = 0
        """Frames that a newer one replaced before they were read."""
        self.rate = 0.0
        """Frames a second, over the last second."""
        self.cpu = 0.0
        """CPU seconds that the last second took, all threads."""
        self.celsius: float | None = None
        self.throttled = False
        self._lost = ""
        self._measured_s, self._measured_cpu_s = monotonic(), process_time()
        self._measured_frames = 0

    def note(self, frame: Frame | Gap, reading: Reading) -> str:
        """Count it. A line for the journal where the camera was lost or came back, else empty."""
        lost, self._lost = self._lost, frame.reason if isinstance(frame, Gap) else ""
        self.frames += isinstance(frame, Frame)
        if self._lost and self._lost != lost:
            return f"camera: lost: {self._lost}"
        return "camera: back" if lost and not self._lost else ""

    def measure(self, dropped: int) -> bool:
        """Once a second, take the figures of the last one. Whether it was done."""
        now = monotonic()
        passed = now - self._measured_s
        if passed < 1:
            return False
        cpu_s = process_time()
        self.dropped = dropped
        self.rate = (self.frames - self._measured_frames) / passed
        self.cpu = (cpu_s - self._measured_cpu_s) / passed
        self.celsius, self.throttled = host.temperature(), host.throttled()
        self._measured_s, self._measured_cpu_s = now, cpu_s
        self._measured_frames = self.frames
        return True

    def status(self, reading: Reading, why_slow: str) -> str:
        """One line for `systemctl status`."""
        if self._lost:
            parts = [f"camera lost for {reading.age_s:.0f} s: {self._lost}"]
        else:
            label = f"{reading.label} ({reading.reason})" if reading.reason else reading.label
            parts = [f"{label} for {reading.held_s:.0f} s", f"{self.rate:.1f} frames/s"]
            if why_slow:
                parts[-1] += f" (slowed down: {why_slow})"
        if self.celsius is not None:
            parts.append(f"{self.celsius:.0f} °C" + (", throttled" if self.throttled else ""))
        return ", ".join(parts)

    def gauges(self) -> dict[str, float]:
        """The same as numbers."""
        known = {} if self.celsius is None else {"temperature_celsius": self.celsius}
        return known | {
            "frames_per_second": self.rate,
            "frames_dropped": self.dropped,
            "cpu_seconds_per_second": self.cpu,
            "throttled": float(self.throttled),
        }
