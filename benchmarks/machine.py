"""Which machine and which program a result is of."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edge import host


def about() -> dict[str, str]:
    """Name → value, for the head of a result."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = host.memory()
    clocks = host.clocks()
    found = {
        "machine": host.model() or processor,
        "architecture": platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory.total / 2**30:.1f} GiB" if memory else "?",
        "governor": ", ".join(sorted({str(clock.governor) for clock in clocks})) or "not told",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": _commit(),
    }
    for package in ("numpy", "ai-edge-litert", "tflite-runtime", "opencv-python-headless"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    try:
        described = ["git", "describe", "--always", "--dirty"]
        root = Path(__file__).parent
        return subprocess.run(described, cwd=root, capture_output=True, text=True).stdout.strip()
    except OSError:
        return "not a git checkout"
