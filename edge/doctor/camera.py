"""Check of the camera: does it open, and give a frame."""

from __future__ import annotations

from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from edge.cameras import find_camera, open_camera
from edge.doctor.check import UNIT, Case, Verdict, bad, ok, refused
from edge.doctor.machine import is_pi
from edge.errors import SourceError

_DEVICES = ("/dev/video", "/dev/media")


def camera(case: Case) -> Verdict:
    """Open the camera that the settings name, and wait for one frame."""
    uri: str | None = case.settings.camera.source
    if uri == "auto":
        uri = find_camera()
    if uri is None:
        return bad("none found", _plug_in(case.root))
    start = perf_counter()
    try:
        with closing(open_camera(uri, case.settings.camera)) as source:
            frame = next(iter(source))
    except (SourceError, StopIteration) as error:
        device = uri == "picamera2:" or uri.startswith("v4l2:")
        return (device and _in_use(uri, case)) or _lost(uri, str(error) or f"{uri}: no frames")
    height, width = frame.image.shape[:2]
    return ok(f"{uri}: {width}×{height}, first frame after {perf_counter() - start:.1f} s")


def _plug_in(root: Path) -> str:
    if is_pi(root) and find_spec("picamera2") is None:
        return (
            "plug one in; for one on the ribbon, `sudo apt install python3-picamera2`, then "
            "`rm -r .venv` and `make edge`, or install again"
        )
    return "plug one in, or name a stream by camera.source (`make run` reads the sample meanwhile)"


def _in_use(uri: str, case: Case) -> Verdict | None:
    """Who has it. Two programs cannot read one camera, and the daemon is meant to be the one."""
    unit = case.unit()
    ours = unit.get("MainPID", "0") if unit.get("ActiveState") in ("active", "reloading") else "0"
    holder = _holder(case.root)
    if (ours != "0" and holder is None) or (holder and holder[0] == ours):
        return ok(f"{uri} is in use by our own {UNIT} (process {ours}), as it should be")
    if holder is None:
        return None
    number, command = holder
    if "-m edge" in command:
        return ok(f"{uri} is in use by our own `{command}` (process {number})")
    return bad(
        f"{uri} is in use by `{command}` (process {number})",
        "end that program, or set camera.source to another camera",
    )


def _holder(root: Path) -> tuple[str, str] | None:
    """Process number and command line of a program that has a camera open, if one can be seen.

    Other users' programs can be seen by root only.
    """
    for process in (root / "proc").glob("[0-9]*"):
        try:
            opened = [str(link.readlink()) for link in (process / "fd").iterdir()]
        except OSError:  # it is not ours to see, or has just ended
            continue
        if any(path.startswith(_DEVICES) for path in opened):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
            return process.name, command.decode("utf-8", "replace").strip()
    return None


def _lost(uri: str, told: str) -> Verdict:
    if uri == "picamera2:":
        return refused(
            SourceError(told), "seat the ribbon cable anew, then try `rpicam-hello --list-cameras`"
        )
    if uri.startswith("v4l2:"):
        told = told.removesuffix(": is it plugged in, and are you in group video?")
        return bad(told, "plug it in, look at the line on groups, and at `ls /dev/video*`")
    if "://" in uri:
        told = told.removesuffix(": is the address right, and does it answer?")
        return bad(told, "look at camera.source, and whether that address answers")
    return bad(told, "set camera.source to 'auto', or to what can be read")
