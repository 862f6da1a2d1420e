"""Where readings go. A publisher is called with each frame and its reading."""

from __future__ import annotations

from typing import Any, Protocol

from edge.types import CLASSES, Frame, Reading


class Publisher(Protocol):
    """Anything that takes readings."""

    def __call__(self, frame: Frame, reading: Reading) -> None:
        """Publish one reading; never the picture."""


def as_dict(frame: Frame, reading: Reading) -> dict[str, Any]:
    """What is published of a reading: plain values only, as documented in the README."""
    probabilities = None
    if reading.probabilities is not None:
        pairs = zip(CLASSES, reading.probabilities.tolist(), strict=True)
        probabilities = {label: round(p, 6) for label, p in pairs}
    timings = {"capture": frame.capture_ms, **reading.timings_ms}
    return {
        "source": frame.source,
        "frame": frame.index,
        "time_s": round(frame.time_s, 3),
        "face": reading.face,
        "label": reading.label,
        "confidence": _rounded(reading.confidence),
        "probabilities": probabilities,
        "presence": _rounded(reading.presence),
        "timings_ms": {stage: round(ms, 3) for stage, ms in timings.items()},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
