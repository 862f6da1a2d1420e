"""A camera for months: the newest frame wins, and a camera that is lost is told and opened again.

One thread reads the source as fast as it delivers, so that nothing queues up in a driver or a
socket; whoever iterates gets the newest frame, or a Gap while there is none. Along the loop a frame
is let go (`del`) before the next one is made: each is a megabyte.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Condition, Event, Thread
from time import monotonic

from edge.cameras import Camera, find_camera, is_live, open_camera, shown
from edge.errors import SourceError
from edge.settings import CameraSettings
from edge.types import Frame, Gap

_FIRST_PAUSE_S = 0.25
_TICK_S = 0.25
"""Longest wait before it is looked whether to stop."""
_GAP_S = 0.5
"""While the camera is lost, that is said this often."""
_HANG_S = 20.0
"""The longest that an attempt to open or read may take (a name server that does not answer), beside
two time-outs, after which picamera2 restarts its camera."""


class Live:
    """One source, for as long as it takes.

    A file plays at its own speed, and its end is the end, also where it is broken. Each Frame's
    `clock_s` is `time.monotonic`.
    """

    def __init__(
        self,
        settings: CameraSettings,
        *,
        patient: bool = True,
        on_error: Callable[[SourceError], None] | None = None,
        open_source: Callable[..., Camera] = open_camera,
    ) -> None:
        """Start reading `settings.source`.

        `patient`: whether to try again, too, when it cannot be opened the first time; else
        iterating raises that SourceError. `on_error`: told of each picture that is skipped.
        """
        self._settings = settings
        self._patient = patient
        self._on_error = on_error
        self._open_source = open_source
        # At least two frames late, or a slow source would always be lost.
        self._timeout_s = max(settings.timeout_seconds, 2 / settings.frames_per_second)
        self.dropped = 0
        """Frames that a newer one replaced before they were read."""
        self._uri = settings.source
        self._changed = Condition()  # guards the four below
        self._newest: Frame | None = None
        self._lost: str | None = None
        self._ended = False
        self._death: BaseException | None = None
        self._closed = Event()
        self._interrupted = self._given = False
        self._interval_s = 1 / settings.frames_per_second
        self._due_s = self._seen_s = self._beat_s = monotonic()
        self._thread = Thread(target=self._work, name="camera", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame | Gap]:
        """Frames, and Gaps while the camera is lost, until `interrupt`, `close` or a file's end.

        Raises what the reading thread died of.
        """
        told, told_s = None, 0.0
        while True:
            with self._changed:
                if self._newest is None and not self._ended and self._death is None:
                    late_s = self._seen_s + self._timeout_s - monotonic()
                    self._changed.wait(late_s if 0 < late_s < _TICK_S else _TICK_S)
                frame, self._newest = self._newest, None
                ended, lost = self._ended, self._lost
            if self._interrupted or self._closed.is_set():
                self._interrupted = False  # only now: it may have come before this iteration
                return
            now = monotonic()
            if frame is not None:
                # On average one frame each interval; after a pause, no hurry to catch up.
                self._due_s = max(self._due_s + self._interval_s, now)
                yield frame
                frame = None
            elif self._death is not None:
                raise self._death
            elif ended:
                return
            else:
                late_s = now - self._seen_s
                # A clip may have long frames; a file system that hangs is no long frame.
                most_s = self._timeout_s if is_live(self._uri) else _HANG_S
                if lost is None and late_s >= most_s:
                    lost = f"no frame in {most_s:g} s: is it connected?"
                if lost is not None and (lost != told or now - told_s >= _GAP_S):
                    told, told_s = lost, now
                    yield Gap(shown(self._uri), lost, time.time(), now)

    def pace(self, frames_per_second: float) -> None:
        """Give at most so many frames from now on; what comes between is not even decoded."""
        self._interval_s = 1 / frames_per_second

    def check(self) -> bool:
        """Whether frames come, or attempts to get some go on. Raises what the thread died of."""
        if self._death is not None:
            raise self._death
        return monotonic() - self._beat_s < _HANG_S + 2 * self._timeout_s

    def interrupt(self) -> None:
        """End the iteration, this or the next, within a moment. For signal handlers."""
        self._interrupted = True

    def close(self) -> None:
        """Stop. The thread lets go of the device as soon as its current read returns."""
        self._closed.set()
        self._thread.join(_TICK_S)

    def _work(self) -> None:
        pause_s = _FIRST_PAUSE_S
        try:
            while not self._closed.is_set():
                self._beat_s = opened_s = monotonic()
                try:
                    self._read()
                    break
                except SourceError as error:
                    if self._given and not is_live(self._uri):
                        raise  # a clip that is broken will be the next time
                    if not self._patient and not self._given:
                        raise
                    if self._seen_s >= opened_s:  # it worked: start over with short pauses
                        pause_s = _FIRST_PAUSE_S
                    with self._changed:
                        self._lost = str(error)
                        self._changed.notify()
                self._beat_s = monotonic()
                self._closed.wait(pause_s)
                pause_s = min(2 * pause_s, self._settings.retry_seconds)
            self._finish(None)
        except BaseException as error:  # a mistake of ours: who iterates raises it
            self._finish(error)

    def _finish(self, death: BaseException | None) -> None:
        with self._changed:
            self._ended, self._death = True, death
            self._changed.notify()

    def _read(self) -> None:
        """One life of the source. Raises SourceError when it is lost; returns at a file's end."""
        self._uri = self._settings.source
        if self._uri == "auto":
            found = find_camera()
            if found is None:
                raise SourceError("no camera found: plug one in, or set camera.source")
            self._uri = found
        live = is_live(self._uri)
        camera = self._open_source(self._uri, self._settings, self._on_error)
        if live:
            camera.wanted = self._wanted
        try:
            play_s, last = monotonic(), 0.0
            for frame in camera:
                if not live:
                    # Pictures have no time of their own: they come at the rate of the settings.
                    step = frame.clock_s - last if frame.clock_s > last else 0.0
                    last = frame.clock_s
                    play_s += step or self._interval_s
                    if self._closed.wait(max(play_s - monotonic(), 0.0)):
                        return
                    if not self._wanted():
                        continue
                    frame = replace(frame, clock_s=monotonic())
                self._put(frame)
                del frame
                if self._closed.is_set():
                    return
        finally:
            camera.close()

    def _wanted(self) -> bool:
        """Asked of each frame before it is decoded: whether it is time for one."""
        now = self._beat_s = monotonic()
        self._seen_s = now
        return now >= self._due_s - self._interval_s / 4 or self._closed.is_set()

    def _put(self, frame: Frame) -> None:
        self._seen_s = self._beat_s = monotonic()
        self._given = True
        with self._changed:
            self.dropped += self._newest is not None
            self._newest, self._lost = frame, None
            self._changed.notify()
