"""Figures with their noise: what every part of a benchmark gives.

A figure has a value a round, and a name whose parts are divided by slashes:

- `time/MODEL/THREADS/SCENE/STAGE/p5`, `…/p50`, `…/p95`, `…/p99`: milliseconds
- `start/MODEL`: seconds from starting the program to its first reading
- `rss/MODEL`, `pss/MODEL`: megabytes of the program, the first at its peak
- `cpu/MODEL/RATE`: CPU seconds a second at RATE frames a second
- `steady/p50`, `steady/p95`: milliseconds of a tracked frame, in each twelfth of some minutes
- `yardstick/PART/KIND`: milliseconds of work that never changes, beside the rounds of each part
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

UNITS = {
    "time": "ms",
    "start": "s",
    "rss": "MB",
    "pss": "MB",
    "cpu": "core",
    "steady": "ms",
    "yardstick": "ms",
}
"""First part of the name → unit."""
_WORK = np.linspace(0, 1, 192 * 192 * 3, dtype=np.float32)
_MEMORY = np.ones(2**20)


@dataclass
class Figures:
    """What was measured, and what went wrong."""

    rounds: dict[str, list[float]] = field(default_factory=dict)
    """Name → a value a round."""
    notes: list[str] = field(default_factory=list)
    """What was left out, and why."""
    failures: list[str] = field(default_factory=list)
    """What did not work."""

    def add(self, name: str, value: float) -> None:
        """The value of one more round."""
        self.rounds.setdefault(name, []).append(float(value))

    def fail(self, what: str) -> None:
        """Told once."""
        if what not in self.failures:
            self.failures.append(what)

    def median(self, name: str) -> float | None:
        """Of the rounds; None where it was not measured."""
        values = self.rounds.get(name)
        return float(np.median(values)) if values else None

    def spread(self, name: str) -> float:
        """Half the distance between the rounds' quartiles."""
        low, high = np.percentile(self.rounds[name], [25, 75])
        return float(high - low) / 2

    def select(self, *parts: str) -> list[str]:
        """Names whose first parts are these."""
        return [name for name in self.rounds if name.split("/")[: len(parts)] == list(parts)]

    def yardstick(self, part: str) -> None:
        """Time work that never changes: when it takes longer, the machine is slower."""
        for kind, work in (("warm", _warm), ("memory", _MEMORY.copy), ("cold", _cold)):
            took = []
            for _ in range(9):
                if kind == "cold":
                    _MEMORY.copy()  # nothing of what follows is left in the caches
                start = perf_counter()
                work()
                took.append(perf_counter() - start)
            self.add(f"yardstick/{part}/{kind}", float(np.median(took)) * 1e3)


def _warm() -> None:
    """Numbers in the caches."""
    for _ in range(4):
        np.sort(_WORK[::-7] * 0.5).take(np.arange(4096))


def _cold() -> None:
    """A little of everything."""
    values = [round(float(value) * 7, 6) for value in _WORK[::4000]]
    json.dumps({str(i): value for i, value in enumerate(values)})
    (_WORK[: 160 * 256].reshape(160, 256) @ _WORK[:256]).argmax()
