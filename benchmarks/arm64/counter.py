"""Runs the guest under the counting qemu, and sorts its marks into stages."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.arm64.guest import END, FRAMES, NESTED, NOTHING, SCENES, STAGES, TAGS

REPO = Path(__file__).resolve().parents[2]
BUILD = REPO / "build/arm64"
ROOT = BUILD / "3.11"
GUEST = Path(__file__).with_name("guest.py")
SITES = {"ai-edge-litert": ROOT / "site", "tflite-runtime": BUILD / "tflite"}
"""Where the runtimes of TFLite are."""
INNER = ("still", "crop", "mesh network", "detector network")
"""Stages that the mesher holds."""
CPUS = ("cortex-a53", "cortex-a72", "cortex-a76")
"""Zero 2 W, Pi 4, Pi 5."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to count."""

    cpu: str
    """As qemu names it."""
    runtime: str
    """A key of SITES."""
    model: str
    """A classifier of the bundle."""
    kernels: str = "compiled"
    """compiled, or numpy where there was no compiler."""

    def __str__(self) -> str:
        return f"{self.cpu} {self.runtime} {self.model} {self.kernels}"

    def arguments(self, scenes: Path, out: Path) -> list[str]:
        """The guest's command line."""
        return [str(GUEST), str(scenes), self.runtime, self.model, self.kernels, str(out)]


@dataclass(frozen=True, slots=True)
class Count:
    """What the guest did."""

    instructions: dict[str, dict[str, int]]
    """Scene → stage → instructions a frame, the mean of the counted frames."""
    told: list[dict[str, Any]]
    """Scene, label and landmarks of every frame."""


def here(case: Case, scenes: Path, work: Path) -> list[dict[str, Any]]:
    """What this machine reads."""
    out = work / f"here {case}.json"
    command = [sys.executable, *case.arguments(scenes, out)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(REPO)})
    told: list[dict[str, Any]] = json.loads(out.read_text())
    return told


def counted(case: Case, scenes: Path, work: Path) -> Count:
    """What an emulated processor does."""
    out = work / f"{case}.json"
    sites = (SITES[case.runtime], ROOT / "site")
    log = emulate(case.cpu, case.arguments(scenes, out), sites, work / f"{case}.log")
    return Count(stages(log), json.loads(out.read_text()))


def emulate(cpu: str, arguments: Sequence[str], sites: Iterable[Path], log: Path) -> str:
    """Run a Python script with its arguments on `cpu`, packages from `sites`: the marks' log."""
    path = ":".join(map(str, (REPO, *sites)))
    guest = {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    guest |= {"OPENBLAS_NUM_THREADS": "1"}
    qemu = BUILD / "qemu"
    # Addresses are the same in every run, so that alignment is, and with it the count.
    command = ["setarch", platform.machine(), "-R", str(qemu / "qemu-aarch64"), "-cpu", cpu]
    command += ["-d", "plugin", "-D", str(log), "-plugin", str(qemu / "libcount.so")]
    command += ["-L", str(ROOT), "-seed", "1"]
    for name, value in guest.items():
        command += ["-E", f"{name}={value}"]
    command += [str(ROOT / "usr/bin/python3.11"), *arguments]
    subprocess.run(command, check=True)
    return log.read_text()


def stages(log: str) -> dict[str, dict[str, int]]:
    """Lines `tag count` → scene → stage → instructions a frame."""
    found: dict[str, dict[str, int]] = {}
    begun: dict[str, int] = {}
    total: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for line in log.splitlines():
        tag, count = map(int, line.split())
        if tag < 0:  # a scene's frames begin or end
            if tag == END:
                scene = SCENES[-1 - begun["scene"]]
                found[scene] = found.get(scene, {}) | _apart(total, calls, FRAMES[scene][1])
            begun["scene"] = tag
            total, calls = Counter(), Counter()
        elif tag % 2 == 0:
            begun[TAGS[tag // 2]] = count
        else:
            total[TAGS[tag // 2]] += count - begun[TAGS[tag // 2]]
            calls[TAGS[tag // 2]] += 1
    for counts in found.values():
        counts["between"] = counts["whole"] - sum(n for k, n in counts.items() if k != "whole")
    return found


def _apart(total: Counter[str], calls: Counter[str], frames: int) -> dict[str, int]:
    """Instructions a frame of each stage, without the marks and what other stages take."""
    if "whole" in total:
        return {"whole": round(total["whole"] / frames)}
    nothing = total[NOTHING] / calls[NOTHING]
    marking = total[NESTED] / calls[NESTED] - nothing
    net = {name: total[name] - calls[name] * nothing for name in STAGES if name in total}
    for name in INNER:
        net["geometry"] -= net.get(name, 0) + calls[name] * marking
    return {name: round(count / frames) for name, count in net.items()}
