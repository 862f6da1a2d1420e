"""What one check is given, and what it says."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge.errors import EdgeError
from edge.settings import Settings
from edge.settings.load import Loaded

State = Literal["ok", "warn", "bad"]
_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check."""

    name: str
    """What was looked at: one word."""
    state: State
    """"bad" keeps the daemon from working; "warn" may do so, or makes it work worse."""
    detail: str
    """What was found: one line."""
    remedy: str = ""
    """What to do; empty where nothing needs to be done."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome before it has a name."""

    state: State
    detail: str
    remedy: str = ""


def ok(detail: str) -> Verdict:
    """Nothing to do."""
    return Verdict("ok", detail)


def warn(detail: str, remedy: str) -> Verdict:
    """It works, but not as well as it could, or not for long."""
    return Verdict("warn", detail, remedy)


def bad(detail: str, remedy: str) -> Verdict:
    """The daemon does not work, or a part of it."""
    return Verdict("bad", detail, remedy)


def refused(error: EdgeError, remedy: str) -> Verdict:
    """What one of our own errors says: its own remedy, where it names one, before the given."""
    detail, run, own = str(error).partition(": run ")
    return bad(detail, f"run {own}" if run else remedy)


def ask(command: Sequence[str]) -> str | None:
    """What a program of the system answers; None where it is missing, fails, or takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout


@dataclass(frozen=True, slots=True)
class Case:
    """What is examined."""

    settings: Settings
    """The effective settings; the defaults where they cannot be had."""
    loaded: Loaded | EdgeError
    """How that went."""
    root: Path = Path("/")
    """Where `sys`, `proc`, `dev` and `etc` are; another folder in tests."""
    ask: Callable[[Sequence[str]], str | None] = field(default=ask)
    """Runs a program of the system."""

    def unit(self) -> dict[str, str]:
        """What systemd knows of the service; empty where systemd is not running."""
        wanted = "LoadState,ActiveState,Result,ExecMainStatus,NRestarts,MainPID,UnitFileState"
        told = self.ask(["systemctl", "show", UNIT, f"--property={wanted},StatusText"])
        pairs = (line.partition("=") for line in (told or "").splitlines())
        return {key: value for key, _, value in pairs}


UNIT = "fer-edge.service"
Look = Callable[[Case], Verdict]
"""One check. It may raise, and it may hang: whoever calls it sees to both."""
