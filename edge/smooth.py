"""Readings of single frames → a steady label.

Exponential smoothing of the probabilities over time (not over frames: rates change), hysteresis
between labels, a shortest time for each, and `unknown` where nothing can be told.
"""

from __future__ import annotations

from dataclasses import replace
from math import exp

import numpy as np
from numpy.typing import NDArray

from edge.settings import SmoothSettings
from edge.types import CLASSES, UNKNOWN, Frame, Gap, Reading


class Smoother:
    """Follows one camera's readings."""

    def __init__(
        self, settings: SmoothSettings | None = None, least_confidence: float = 0.0
    ) -> None:
        """`least_confidence`: the smoothed probability, 0 to 1, below which the label is
        `unknown`. `Recognizer.smoother` knows it of the settings' `max_risk`."""
        self._settings = settings or SmoothSettings()
        self._least = least_confidence
        self.reset()

    def reset(self) -> None:
        """Forget what came before: the next frame is of another scene."""
        self._level: NDArray[np.float32] | None = None  # (7,) smoothed probabilities
        self._label = UNKNOWN
        self._told_s: float | None = None  # when `_label` was first told
        self._face_s: float | None = None  # when there was last a face
        self._frame_s: float | None = None  # when there was last a frame

    def __call__(self, frame: Frame, reading: Reading) -> Reading:
        """The reading with a steady label in place of its own, and its smoothed probabilities.

        Without a face, or with one that cannot be read, the last label goes on for `gone_seconds`:
        one missed frame is no news.
        """
        now = frame.clock_s
        self._frame_s = now
        if reading.probabilities is None or reading.reason not in (None, "not sure"):
            if self._face_s is None or now - self._face_s >= self._settings.gone_seconds:
                self._forget(now)
                return replace(reading, held_s=self._held(now))
            age = now - self._face_s
        else:
            self._follow(now, reading.probabilities)
            age = 0.0
        assert self._level is not None
        self._decide(now, self._level)
        unknown = self._label == UNKNOWN
        told = int(self._level.argmax()) if unknown else CLASSES.index(self._label)
        return replace(
            reading,
            label=self._label,
            confidence=float(self._level[told]),
            probabilities=self._level.copy(),
            reason="not sure" if unknown else None,
            age_s=age,
            held_s=self._held(now),
        )

    def lost(self, gap: Gap) -> Reading:
        """What is told while the camera is lost: `unknown`, at once, and for how long already."""
        self._forget(gap.clock_s)
        held = self._held(gap.clock_s)
        age = held if self._frame_s is None else gap.clock_s - self._frame_s
        return Reading(UNKNOWN, None, None, None, {}, "camera lost", age, held)

    def _follow(self, now: float, probabilities: NDArray[np.float32]) -> None:
        if self._level is None or self._face_s is None:
            self._level = probabilities.copy()
        else:
            constant = self._settings.time_constant_seconds
            passed = max(now - self._face_s, 0.0)
            keep = exp(-passed / constant) if constant > 0 else 0.0
            self._level = (keep * self._level + (1 - keep) * probabilities).astype(np.float32)
        self._face_s = now

    def _decide(self, now: float, level: NDArray[np.float32]) -> None:
        best = int(level.argmax())
        # Whoever is told already may fall a little below: hysteresis here too.
        slack = 0.0 if self._label == UNKNOWN else self._settings.margin
        if level[best] < self._least - slack:
            wanted = UNKNOWN
        elif self._label == UNKNOWN or self._label == CLASSES[best]:
            wanted = CLASSES[best]
        else:
            lead = float(level[best] - level[CLASSES.index(self._label)])
            wanted = CLASSES[best] if lead >= self._settings.margin else self._label
        if wanted != self._label and (
            self._label == UNKNOWN or self._held(now) >= self._settings.hold_seconds
        ):
            self._label, self._told_s = wanted, now

    def _forget(self, now: float) -> None:
        self._level = self._face_s = None
        if self._label != UNKNOWN or self._told_s is None:
            self._label, self._told_s = UNKNOWN, now

    def _held(self, now: float) -> float:
        return 0.0 if self._told_s is None else max(now - self._told_s, 0.0)
