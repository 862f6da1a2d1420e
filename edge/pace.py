"""How many frames a second to read: fewer without a face, when hot, when busy."""

from __future__ import annotations

from edge.settings import PaceSettings

_LEAST = 0.2
"""The rate is never lowered below this share of the wanted one."""
_COOLED = 3.0
"""Degrees below `hot_celsius` at which the rate may rise again."""


class Pace:
    """Decides the rate, once a second or so."""

    def __init__(self, settings: PaceSettings, frames_per_second: float) -> None:
        self._settings = settings
        self._wanted = frames_per_second
        self._share = 1.0
        self._face_s: float | None = None
        self.why = ""
        """Why the rate is lower than wanted: "no face", "hot", "busy"; else empty."""

    def rate(
        self, now_s: float, *, face: bool, cpu: float, celsius: float | None, throttled: bool
    ) -> float:
        """Frames a second from now on.

        `now_s`: monotonic seconds. `face`: whether there is one. `cpu`: CPU seconds that the last
        second took. `celsius`: temperature, None where unknown. `throttled`: whether the machine
        says that it slows itself down.
        """
        hot = throttled or (celsius is not None and celsius >= self._settings.hot_celsius)
        busy = cpu > self._settings.max_cpu
        cool = celsius is None or celsius < self._settings.hot_celsius - _COOLED
        if hot or busy:
            self._share = max(self._share * 0.8, _LEAST)
        elif cool and cpu < 0.8 * self._settings.max_cpu:
            self._share = min(self._share * 1.1, 1.0)
        if face or self._face_s is None:
            self._face_s = now_s
        idle = now_s - self._face_s >= self._settings.idle_after_seconds
        if self._share < 1:
            self.why = "hot" if hot or not cool else "busy"
        else:
            self.why = "no face" if idle else ""
        idle_rate = self._settings.idle_frames_per_second
        return min(self._wanted * self._share, idle_rate if idle else self._wanted)
