"""Where readings go: never a picture or a mesh, but for the page that somebody opens."""

from __future__ import annotations

from typing import Any, Protocol

from edge.types import CLASSES, Frame, Gap, Reading


class Publisher(Protocol):
    """Anything that takes readings."""

    def __call__(self, frame: Frame | Gap, reading: Reading) -> None:
        """Publish one reading. Never waits for whoever receives it; drops before it blocks."""

    def check(self) -> bool:
        """Whether its worker makes progress; False if that hangs. Raises when it has died."""

    def close(self) -> None:
        """Say goodbye and let go, within half a second."""


class Changes:
    """Tells changes of the label, its reason and the camera from more of the same."""

    def __init__(self, heartbeat_seconds: float) -> None:
        self._heartbeat_s = heartbeat_seconds
        self._last: tuple[object, ...] = ()
        self._told_s = 0.0

    def due(self, frame: Frame | Gap, reading: Reading) -> bool:
        """Whether this reading is news, or the heartbeat is due; then it counts as told."""
        state = (reading.label, reading.reason, isinstance(frame, Gap) and frame.reason)
        quiet_s = frame.clock_s - self._told_s
        if state == self._last and 0 <= quiet_s < self._heartbeat_s:
            return False
        self._last, self._told_s = state, frame.clock_s
        return True


def as_dict(frame: Frame | Gap, reading: Reading) -> dict[str, Any]:
    """What is published of a reading: plain values only, as documented in the README."""
    probabilities = None
    if reading.probabilities is not None:
        pairs = zip(CLASSES, reading.probabilities.tolist(), strict=True)
        probabilities = {label: round(p, 6) for label, p in pairs}
    camera, index, timings = "ok", None, dict(reading.timings_ms)
    if isinstance(frame, Gap):
        camera = f"lost: {frame.reason}"
    else:
        index, timings = frame.index, {"capture": frame.capture_ms, **timings}
    return {
        "source": frame.source,
        "frame": index,
        "time_s": round(frame.time_s, 3),
        "camera": camera,
        "face": reading.face,
        "label": reading.label,
        "reason": reading.reason,
        "confidence": _rounded(reading.confidence),
        "probabilities": probabilities,
        "presence": _rounded(reading.presence),
        "age_s": round(reading.age_s, 3),
        "held_s": round(reading.held_s, 3),
        "timings_ms": {stage: round(ms, 3) for stage, ms in timings.items()},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
