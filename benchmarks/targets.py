"""The boards that the program is for, runs confined like them, and their budgets."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from time import sleep
from typing import Any

from benchmarks.figures import Figures
from benchmarks.stages import WHOLE

FILE = Path(__file__).with_name("targets.toml")
PERIOD_US = 20_000
"""Microseconds in which a quota is used up and given anew: short, so that a frame feels it."""
NOT_SHOWN = (
    "A quota is not an A53: it stops a fast core now and then, and in between that core has its "
    "own caches, memory, vector units and clock. Short stages pass between two stops as if nothing "
    "were there, and a frame waits for whole periods. What is shown: that memory suffices, and "
    "that the program bears being short of time. A board's latency is only measured on a board."
)


@dataclass(frozen=True)
class Budget:
    """The most that a model may take on a board, on one thread."""

    end_to_end_p95_ms: float
    peak_memory_mb: float
    cold_start_s: float


@dataclass(frozen=True)
class Target:
    """A board."""

    name: str
    board: str
    cores: int
    memory_mb: int
    cpu_percent: float
    budget: Budget


def load(path: Path = FILE) -> dict[str, Target]:
    """All targets of the file. Raises ValueError with one line about what is wrong."""
    targets = {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path.name}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path.name}: not valid TOML: {error}") from None
    for key, table in tables.items():
        if not isinstance(table, dict) or not isinstance(table.get("budget", {}), dict):
            raise ValueError(f"{path.name}: {key}: has to be a table, and so has its budget")
        budget = _filled(Budget, f"{path.name}: {key}.budget", table.pop("budget", {}))
        targets[key] = _filled(Target, f"{path.name}: {key}", table | {"budget": budget})
    return targets


def _filled(kind: Any, where: str, table: dict[str, Any]) -> Any:
    wanted = {field.name: field.type for field in fields(kind)}
    for name in sorted(wanted.keys() ^ table.keys()):
        raise ValueError(f"{where}.{name} is {'missing' if name in wanted else 'unknown'}")
    for name, value in table.items():
        if wanted[name] == "str":
            fits, allowed = isinstance(value, str) and bool(value), "a text"
        elif wanted[name] == "int":
            fits, allowed = type(value) is int and value > 0, "a whole number, and positive"
        elif wanted[name] == "float":
            fits, allowed = type(value) in (int, float) and 0 < value < inf, "a positive number"
        else:
            continue
        if not fits:
            raise ValueError(f"{where}.{name} = {value!r}: has to be {allowed}")
    return kind(**table)


def broken(budget: Budget, figures: Figures, models: Iterable[str]) -> list[str]:
    """What is over the budget, or could not be measured; empty when all is well."""
    told = []
    for model in models:
        for name, most, unit in (
            (f"time/{model}/1/tracked/{WHOLE}/p95", budget.end_to_end_p95_ms, "ms"),
            (f"rss/{model}", budget.peak_memory_mb, "MB"),
            (f"start/{model}", budget.cold_start_s, "s"),
        ):
            value = figures.median(name)
            if value is None:
                told.append(f"{name}: not measured; at most {most:g} {unit}")
            elif value > most:
                told.append(f"{name}: {value:.4g} {unit}, over {most:g} {unit}")
    return told


def run(target: Target, command: Sequence[str]) -> int:
    """The command, confined like the board; it is told how by `--confined`. Its exit status."""
    available = sorted(os.sched_getaffinity(0))[: target.cores]
    cores = f"{len(available)} of {target.cores} cores"
    with ExitStack() as ends:
        systemd = Path("/run/systemd/system").is_dir()
        enter: list[Path] = []
        if systemd:
            how = "systemd-run"
            command = [*_scope(target), *command]
        else:
            try:
                how, enter = ends.enter_context(_cgroup(target))
            except OSError as error:
                how = f"not confined but for cores ({error})"

        def confine() -> None:
            os.sched_setaffinity(0, available)
            for group in enter:
                (group / "cgroup.procs").write_text(str(os.getpid()))

        told = f"{how}: {target.memory_mb} MB, {target.cpu_percent:g} % of a core, {cores}"
        if how.startswith("not"):
            told = f"{how}, {cores}"
        with subprocess.Popen([*command, "--confined", told], preexec_fn=confine) as child:
            stopped = False
            while True:
                try:
                    status = child.wait()
                    break
                except KeyboardInterrupt:  # it got the same, writes what it has, and ends
                    stopped = True
        if stopped:
            raise KeyboardInterrupt
        return status


def _scope(target: Target) -> list[str]:
    line = ["systemd-run", "--scope", "--quiet", *([] if os.geteuid() == 0 else ["--user"])]
    properties = (
        f"MemoryMax={target.memory_mb}M",
        "MemorySwapMax=0",
        f"CPUQuota={target.cpu_percent:g}%",
        f"CPUQuotaPeriodSec={PERIOD_US}us",
    )
    return [*line, *(part for one in properties for part in ("-p", one)), "--"]


@contextmanager
def _cgroup(
    target: Target, root: Path = Path("/sys/fs/cgroup")
) -> Iterator[tuple[str, list[Path]]]:
    """Groups of our own: their version, and the folders to enter. Raises OSError."""
    quota_us, memory = round(target.cpu_percent / 100 * PERIOD_US), target.memory_mb * 2**20
    name = f"fer-edge-benchmark-{os.getpid()}"
    if (root / "cgroup.controllers").exists():
        version, groups = "cgroup v2", [root / name]
        with suppress(OSError):  # they may be on
            (root / "cgroup.subtree_control").write_text("+memory +cpu")
        limits = [
            (groups[0] / "memory.max", memory),
            (groups[0] / "memory.swap.max", 0),
            (groups[0] / "cpu.max", f"{quota_us} {PERIOD_US}"),
        ]
    else:
        version = "cgroup v1"
        groups = [root / part / _own(part) / name for part in ("memory", "cpu")]
        limits = [
            (groups[0] / "memory.limit_in_bytes", memory),
            (groups[0] / "memory.memsw.limit_in_bytes", memory),
            (groups[1] / "cpu.cfs_period_us", PERIOD_US),
            (groups[1] / "cpu.cfs_quota_us", quota_us),
        ]
    try:
        for group in groups:
            group.mkdir()
        for file, value in limits:
            try:
                file.write_text(str(value))
            except OSError:
                if "sw" not in file.name:  # not every kernel counts swap
                    raise
        yield version, groups
    finally:
        for group in groups:
            for _ in range(20):  # the last process in it may not be gone yet
                with suppress(FileNotFoundError, NotADirectoryError):
                    try:
                        group.rmdir()
                    except OSError:
                        sleep(0.1)
                        continue
                break


def _own(controller: str) -> str:
    """Our group in a v1 hierarchy, relative to its root."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path.strip("/")
    raise OSError(f"no {controller} cgroup")
