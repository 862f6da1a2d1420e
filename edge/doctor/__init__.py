"""`python -m edge doctor`: what is there, what is missing, and what to do about it.

A check is a function that takes a Case and returns a Verdict. To add one, write it and name it in
LOOKS. It need not catch what it does not expect, nor watch the time: that is done here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import TextIO

from edge.cameras import shown
from edge.doctor import camera, machine, program, service
from edge.doctor.check import Case, Check, Look, Verdict, bad, refused
from edge.errors import EdgeError
from edge.settings import Settings
from edge.settings.load import Loaded

LOOKS: Mapping[str, Look] = {
    "python": program.python,
    "runtime": program.tflite,
    "numpy": program.numpy,
    "kernels": program.kernels,
    "opencv": program.opencv,
    "settings": program.settings,
    "models": program.models,
    "baseline": program.baseline,
    "inference": program.inference,
    "board": machine.board,
    "memory": machine.memory,
    "temperature": machine.temperature,
    "power": machine.power,
    "disk": machine.disk,
    "clock": machine.clock,
    "groups": machine.groups,
}
"""Name → check, in the order in which they are told."""
WAITING: Mapping[str, Look] = {
    "camera": camera.camera,
    "broker": service.broker,
    "unit": service.unit,
    "metrics": service.metrics,
    "page": service.page,
}
"""Those that wait for others, and so are done at the same time, after the others."""
TOTAL_S = 12.0
"""Seconds after which all has been told, whatever hangs."""
_WAITING_S = 5.0
"""Seconds of these that are kept for those that wait."""
_LEAST_S = 0.25
"""Seconds that each of the others gets, however long those before it took."""


def report(load: Callable[[], Loaded], out: TextIO, *, as_json: bool = False) -> int:
    """Examine and tell; 1 where something is bad, else 0. `load`: the settings, or EdgeError."""
    case = open_case(load)
    checks = []
    for check in examine(case):
        checks.append(check)
        if not as_json:
            # Not every terminal has an arrow.
            coding = out.encoding or "utf-8"
            print(as_line(check).encode(coding, "replace").decode(coding), file=out, flush=True)
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=1), file=out, flush=True)
    return int(any(check.state == "bad" for check in checks))


def open_case(load: Callable[[], Loaded], root: Path = Path("/")) -> Case:
    """What is to be examined, even where the settings cannot be had."""
    try:
        loaded = load()
    except EdgeError as error:
        return Case(Settings(), error, root)
    return Case(loaded.settings, loaded, root)


def examine(
    case: Case,
    looks: Mapping[str, Look] = LOOKS,
    waiting: Mapping[str, Look] = WAITING,
    total_s: float = TOTAL_S,
    waiting_s: float = _WAITING_S,
) -> Iterator[Check]:
    """The outcome of each check, in order, within `total_s` seconds."""
    start = monotonic()
    for name, look in looks.items():
        deadline_s = max(start + total_s - waiting_s, monotonic() + _LEAST_S)
        yield _Looking(name, look, case).outcome(deadline_s)
    started = [_Looking(name, look, case) for name, look in waiting.items()]
    for one in started:
        yield one.outcome(start + total_s)


def as_line(check: Check) -> str:
    """A check as one line for people."""
    remedy = f" → {check.remedy}" if check.remedy else ""
    return f"{check.state:<5}{check.name:<12} {check.detail}{remedy}"


class _Looking:
    """A check in a thread of its own, which is left alone when it hangs."""

    def __init__(self, name: str, look: Look, case: Case) -> None:
        self._name, self._look, self._case = name, look, case
        self._verdict: Verdict | None = None
        self._start_s = monotonic()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def outcome(self, deadline_s: float) -> Check:
        """Its outcome, or that there is none by then."""
        self._thread.join(max(deadline_s - monotonic(), 0.0))
        verdict = self._verdict
        if verdict is None:
            waited_s = monotonic() - self._start_s
            verdict = bad(
                f"no answer in {waited_s:.0f} s",
                "see whether it is connected and switched on, and try again",
            )
        return Check(self._name, verdict.state, _plain(verdict.detail), _plain(verdict.remedy))

    def _run(self) -> None:
        try:
            self._verdict = self._look(self._case)
        except EdgeError as error:
            self._verdict = refused(error, "see the other lines")
        except Exception as error:  # of a library, or a mistake of ours: told, not thrown
            self._verdict = bad(
                f"{type(error).__name__}: {error}", "see the other lines, or report this"
            )


def _plain(text: str) -> str:
    """One line, and without the password of a stream's address: people show these lines around."""
    return shown(" ".join(text.split()))
