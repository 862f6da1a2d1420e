"""`python -m benchmarks.scale DATA`: what extraction costs for so many pictures, here or elsewhere.

One process, every core, and with --dask a cluster, one after the other in each of several rounds;
medians of the rounds: seconds of the clock, and of all processors together, which other work on
the machine disturbs less. Nothing is kept from one to the next.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from joblib import cpu_count

from benchmarks.report import table
from edge.arguments import number
from edge.errors import EdgeError
from train import meshes, spread
from train.dataset import Picture, find_pictures


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="folders or zips with face_<class>/ in")
    parser.add_argument(
        "--pictures", nargs="+", type=number(int, 1), default=[500, 1000, 2000, 4000]
    )
    parser.add_argument("--rounds", type=number(int, 1), default=3)
    spread.add_arguments(parser)
    options = parser.parse_args(arguments)
    jobs = options.jobs or cpu_count()
    ways: dict[str, tuple[int | None, str | None]] = {"1 process": (1, None)}
    ways[f"{jobs} processes"] = (jobs, None)
    if options.dask:
        ways["cluster"] = (None, options.dask)
    try:
        found, _ = find_pictures(options.data)
        order = np.random.default_rng(0).permutation(len(found))
        rows = []
        for count in options.pictures:
            pictures = [found[i] for i in order[:count]]
            took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
            for _ in range(options.rounds):
                for name, way in ways.items():
                    took[name].append(_time(pictures, *way))
            medians = [np.median(took[name], axis=0) for name in ways]
            rows.append([f"{count:,}", *(f"{clock:.1f} / {used:.1f}" for clock, used in medians)])
            print(f"{count} pictures, all rounds: {took}", file=sys.stderr, flush=True)
    except EdgeError as error:
        print(f"scale: {error}", file=sys.stderr)
        return 1
    print("\n".join(table(["pictures", *(f"{name}: s / processor s" for name in ways)], rows)))
    return 0


def _time(pictures: Sequence[Picture], jobs: int | None, dask: str | None) -> tuple[float, float]:
    """Seconds of the clock and of the processors."""
    with TemporaryDirectory() as folder, spread.over(jobs, dask):
        # Workers start, import and load their networks before the clock runs.
        meshes.extract(pictures[: 4 * spread.BATCH], Path(folder) / "first.npz")
        start, before = time.perf_counter(), _used(dask)
        meshes.extract(pictures, Path(folder) / "all.npz")
        return time.perf_counter() - start, _used(dask) - before


def _used(dask: str | None) -> float:
    """Processor seconds of this process, its children, and the cluster's workers so far."""
    seconds = time.process_time() + sum(map(_ticks, _children(os.getpid()))) / os.sysconf(
        "SC_CLK_TCK"
    )
    if dask:
        from distributed import Client

        with Client(dask, set_as_default=False) as client:
            seconds += sum(client.run(time.process_time).values())
    return seconds


def _children(process: int) -> list[int]:
    """All processes below one."""
    threads = Path(f"/proc/{process}/task").glob("*/children")
    own = [int(number) for path in threads for number in path.read_text().split()]
    return own + [below for child in own for below in _children(child)]


def _ticks(process: int) -> int:
    """Of the clock by which the kernel counts what a process used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    sys.exit(main())
