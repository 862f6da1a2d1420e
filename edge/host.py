"""What the machine tells about itself: heat, power, memory, clocks, and what this process takes.

What a machine does not tell is None. The daemon asks every second, so files are looked for once
and read with few calls. `root` is the folder with `sys` and `proc` in it: another one in tests.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from enum import IntFlag
from functools import cache
from pathlib import Path
from time import process_time

_ROOT = Path("/")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_COLDEST, _HOTTEST = -40.0, 150.0
"""Degrees Celsius between which a sensor is believed: one that is not connected says -273 or so."""


class Throttle(IntFlag):
    """Why a Raspberry Pi is slower than it could be, as its firmware says; 0 when all is well."""

    UNDER_VOLTAGE = 1 << 0
    FREQUENCY_CAPPED = 1 << 1
    THROTTLED = 1 << 2
    SOFT_TEMPERATURE_LIMIT = 1 << 3
    UNDER_VOLTAGE_OCCURRED = 1 << 16
    FREQUENCY_CAPPED_OCCURRED = 1 << 17
    THROTTLED_OCCURRED = 1 << 18
    SOFT_TEMPERATURE_LIMIT_OCCURRED = 1 << 19

    @property
    def now(self) -> Throttle:
        """Those that hold at this moment."""
        return Throttle(self & 0xF)

    @property
    def occurred(self) -> Throttle:
        """Those that held at some moment, named like those of `now`. Since the start, or since the
        kernel last asked the firmware: that differs among kernels."""
        return Throttle(self >> 16 & 0xF)

    def __str__(self) -> str:
        """In words: "under voltage, throttled"; empty for none."""
        names = [str(flag.name) for flag in Throttle if flag & self]
        return ", ".join(names).lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of the machine."""

    total: int
    """Bytes."""
    available: int
    """Bytes that programs could still get."""


@dataclass(frozen=True, slots=True)
class Process:
    """What this process takes."""

    cpu_s: float
    """CPU seconds since its start, all threads."""
    resident: int | None
    """Bytes of memory."""
    threads: int | None
    descriptors: int | None
    """Open file descriptors."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock that some cores of the processor share."""

    name: str
    """The kernel's name for it: "policy0"."""
    governor: str | None
    """What sets it: "ondemand", "performance"."""
    now_mhz: float | None
    lowest_mhz: float | None
    highest_mhz: float | None


def model(root: Path = _ROOT) -> str | None:
    """Name of the board: "Raspberry Pi 4 Model B Rev 1.4"."""
    return _text(root / "proc/device-tree/model") or None


def temperature(root: Path = _ROOT) -> float | None:
    """Degrees Celsius of the processor; of the hottest sensor, where none is the processor's."""
    try:
        told = [_thousandths(sensor) for sensor in _sensors(root)]
    except LookupError:
        return None
    return max((c for c in told if c is not None and _COLDEST < c < _HOTTEST), default=None)


def throttle(root: Path = _ROOT) -> Throttle | None:
    """What a Pi's firmware says; only UNDER_VOLTAGE where the kernel tells no more (Pi 5)."""
    try:
        path, shown = _firmware(root)
        return Throttle(int(_text(path) or "", 16) & shown)
    except (LookupError, ValueError):
        return None


def throttled(root: Path = _ROOT) -> bool:
    """Whether the machine says that at this moment it is slowed down, or short of power."""
    flags = throttle(root)
    return flags is not None and bool(flags.now)


def memory(root: Path = _ROOT) -> Memory | None:
    """Memory of the whole machine."""
    found = {}
    for line in (_text(root / "proc/meminfo") or "").splitlines()[:4]:
        name, _, rest = line.partition(":")
        found[name] = rest.removesuffix("kB").strip()
    try:
        return Memory(int(found["MemTotal"]) * 1024, int(found["MemAvailable"]) * 1024)
    except (KeyError, ValueError):
        return None


def process(root: Path = _ROOT) -> Process:
    """What this process takes at this moment."""
    # proc(5): behind the program's name, which may hold blanks and brackets, come the state, and
    # as 18th and 22nd of these fields the threads and the resident pages.
    fields = (_text(root / "proc/self/stat") or "").rpartition(")")[2].split()
    threads = resident = descriptors = None
    if len(fields) > 21 and fields[17].isdecimal() and fields[21].isdecimal():
        threads, resident = int(fields[17]), int(fields[21]) * _PAGE
    with suppress(OSError):
        descriptors = len(list((root / "proc/self/fd").iterdir())) - 1  # one is this listing's
    return Process(process_time(), resident, threads, descriptors)


def clocks(root: Path = _ROOT) -> tuple[Clock, ...]:
    """Clocks of the processor's cores; empty where the kernel does not set them."""
    return tuple(
        Clock(
            name=policy.name,
            governor=_text(policy / "scaling_governor") or None,
            now_mhz=_thousandths(policy / "scaling_cur_freq"),
            lowest_mhz=_thousandths(policy / "scaling_min_freq"),
            highest_mhz=_thousandths(policy / "scaling_max_freq"),
        )
        for policy in sorted((root / "sys/devices/system/cpu/cpufreq").glob("policy*"))
    )


@cache  # of what is found only: drivers may load late
def _sensors(root: Path) -> tuple[Path, ...]:
    """Raises LookupError where there are none."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    if not zones:
        raise LookupError("no thermal zone")
    own = [zone for zone in zones if "cpu" in (_text(zone / "type") or "")]
    return tuple(zone / "temp" for zone in own or zones)


@cache
def _firmware(root: Path) -> tuple[Path, int]:
    """The file with the firmware's flags, a hexadecimal number, and which of them it tells.

    Raises LookupError where there is none.
    """
    # `soc` is `soc@107c000000` on a Pi 5, where some kernels leave the file out.
    for path in (root / "sys/devices/platform").glob("soc*/soc*:firmware/get_throttled"):
        return path, 0xF000F
    for monitor in (root / "sys/class/hwmon").glob("hwmon*"):
        if _text(monitor / "name") == "rpi_volt":
            return monitor / "in0_lcrit_alarm", int(Throttle.UNDER_VOLTAGE)
    raise LookupError("no firmware that tells")


def _thousandths(path: Path) -> float | None:
    """What the kernel tells in millidegrees or kHz, in degrees or MHz."""
    try:
        return int(_text(path) or "") / 1000
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    """A small file of the kernel, stripped; None where it cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(file, 4096).decode("utf-8", "replace").strip(" \t\n\0")
    except OSError:  # a sensor that sleeps, a driver without an answer
        return None
    finally:
        os.close(file)
