"""How long the stages of a frame take, measured in one way everywhere."""

from __future__ import annotations

from time import perf_counter


class Stopwatch:
    """Runs from its making on; each stage takes what has passed since the one before."""

    def __init__(self) -> None:
        self.laps_ms: dict[str, float] = {}
        """Milliseconds of each stage; what ran twice is added up."""
        self._since = perf_counter()

    def lap(self, stage: str) -> None:
        """`stage` is over."""
        now = perf_counter()
        self.laps_ms[stage] = self.laps_ms.get(stage, 0.0) + (now - self._since) * 1e3
        self._since = now
