"""A machine for the doctor to look at, as a test makes it up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edge.doctor.check import Case, Check, Verdict
from edge.settings.load import load

FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
UNIT = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "Result": "success",
    "ExecMainStatus": "0",
    "NRestarts": "0",
    "MainPID": "77",
    "UnitFileState": "enabled",
    "StatusText": "happy for 3 s, 15.0 frames/s",
}
"""What `systemctl show` tells of a service in good health."""


def systemd(**changes: str) -> Callable[[Sequence[str]], str | None]:
    """A systemd that tells `UNIT`, with changes; other programs are not there."""

    def ask(command: Sequence[str]) -> str | None:
        if command[0] != "systemctl":
            return None
        return "".join(f"{key}={value}\n" for key, value in {**UNIT, **changes}.items())

    return ask


def nobody(command: Sequence[str]) -> None:
    """A machine without systemd and vcgencmd."""


def case(
    root: Path = Path("/"),
    ask: Callable[[Sequence[str]], str | None] = nobody,
    **flags: object,
) -> Case:
    """A case with some settings, named TABLE__KEY."""
    set_ = [f"{name.replace('__', '.')}={value}" for name, value in flags.items()]
    loaded = load(flags=set_, environment={})
    return Case(loaded.settings, loaded, root, ask)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def needs_remedy(verdict: Verdict | Check) -> bool:
    return (verdict.state != "ok") == bool(verdict.remedy)
