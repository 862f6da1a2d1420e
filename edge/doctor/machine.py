"""Checks of the machine: memory, heat, power, disk, clock, groups."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

from edge import host
from edge.doctor.check import Case, Verdict, bad, ok, warn

_NEEDED = 80 << 20
"""Bytes that the daemon takes at its peak, and some."""
_COMFORTABLE = 160 << 20
_SLOWED = "give it a heat sink, a fan, or a cooler place"
_POWER = "use the power supply made for this Pi, and a short thick cable"


def memory(case: Case) -> Verdict:
    """Whether there is room for the daemon beside all else."""
    found = host.memory(case.root)
    if found is None:
        return ok("not told by this machine")
    told = f"{found.available >> 20} MB available of {found.total >> 20} MB"
    if found.available < _NEEDED:
        return bad(told, f"end other programs: the daemon needs {_NEEDED >> 20} MB")
    if found.available < _COMFORTABLE:
        return warn(told, "end other programs, or this machine may run out of it")
    if is_pi(case.root) and not _limits_memory(case.root):
        return warn(
            f"{told}; the kernel does not enforce the unit's memory limit",
            "add cgroup_enable=memory to the line in /boot/firmware/cmdline.txt, and reboot",
        )
    return ok(told)


def temperature(case: Case) -> Verdict:
    """How far it is from being slowed down by heat."""
    celsius = host.temperature(case.root)
    if celsius is None:
        return ok("not told by this machine")
    hot = case.settings.pace.hot_celsius
    if celsius >= hot:
        return warn(f"{celsius:.0f} °C: from {hot:g} on, fewer frames are read", _SLOWED)
    return ok(f"{celsius:.0f} °C")


def power(case: Case) -> Verdict:
    """Whether a Pi is, or was, slowed down by heat or a weak supply."""
    flags = host.throttle(case.root)
    answer = case.ask(["vcgencmd", "get_throttled"]) or ""  # tells more on a Pi 5
    if answer.startswith("throttled=0x"):
        flags = host.Throttle(int(answer.partition("=")[2], 16)) | (flags or 0)
    if flags is None:
        return ok("not told by this machine")
    now, once = flags.now, flags.occurred
    weak = host.Throttle.UNDER_VOLTAGE
    if now:
        remedy = _POWER if now & weak else _SLOWED
        return (bad if now & weak else warn)(f"at this moment: {now}", remedy)
    if once:
        return warn(f"not now, but earlier: {once}", _POWER if once & weak else _SLOWED)
    return ok("enough, and not slowed down")


def disk(case: Case) -> Verdict:
    """Whether the journal and an upgrade have room."""
    free, place = min(
        (shutil.disk_usage(folder).free, str(folder))
        for folder in (case.root, case.root / "var/log")
        if folder.is_dir()
    )
    told = f"{free >> 20} MB free on {place}"
    if free < 50 << 20:
        return bad(told, "make room: `sudo journalctl --vacuum-size=50M`, `sudo apt clean`")
    if free < 500 << 20:
        return warn(told, "an upgrade takes some 400 MB: `sudo apt clean` makes room")
    return ok(told)


class _Timex(ctypes.Structure):
    """The head of what adjtimex(2) fills in, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_int),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("largest_error_us", ctypes.c_long),
        ("rest", ctypes.c_char * 256),
    )


def clock(case: Case) -> Verdict:
    """Whether the time of day is right, as systemd judges it: known to within 16 s."""
    told = _Timex()  # modes = 0: only tell
    try:
        if ctypes.CDLL(None).adjtimex(ctypes.byref(told)) < 0:
            return ok("not told by this machine")
    except AttributeError:  # no such call: not Linux
        return ok("not told by this machine")
    if told.largest_error_us >= 16_000_000:
        return warn(
            "not synchronised: the times of readings may be wrong, and jump",
            "connect it to the network, or run `sudo timedatectl set-ntp true`",
        )
    return ok("synchronised")


def groups(case: Case) -> Verdict:
    """Whether this user may open a camera."""
    import grp
    import pwd

    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user that only the service manager knows
        user = str(os.geteuid())
    if os.geteuid() == 0:
        return ok(f"{user}, who may open every device")
    try:
        video = grp.getgrnam("video").gr_gid
    except KeyError:
        return ok(f"{user}; this machine has no group video")
    if video in (*os.getgroups(), os.getegid()):
        return ok(f"{user} is in group video")
    source = case.settings.camera.source
    if not (source in ("auto", "picamera2:") or source.startswith("v4l2:")):
        return ok(f"{user} is not in group video, and {source} does not need it")
    return warn(
        f"{user} is not in group video: no camera can be opened (the service can)",
        f"run `sudo usermod -aG video {user}`, and log in again",
    )


def board(case: Case) -> Verdict:
    """Which machine it is, and how its clock is set."""
    told = [host.model(case.root) or "no Raspberry Pi"]
    for one in host.clocks(case.root)[:1]:
        if one.now_mhz and one.highest_mhz:
            told.append(f"{one.now_mhz:.0f} of {one.highest_mhz:.0f} MHz ({one.governor})")
    return ok(", ".join(told))


def is_pi(root: Path) -> bool:
    """Whether it is a Raspberry Pi."""
    return (host.model(root) or "").startswith("Raspberry Pi")


def _limits_memory(root: Path) -> bool:
    """Whether control groups may limit memory: off on a Pi unless asked for."""
    try:
        return "memory" in (root / "sys/fs/cgroup/cgroup.controllers").read_text().split()
    except OSError:  # control groups of version 1
        return (root / "sys/fs/cgroup/memory").is_dir()
