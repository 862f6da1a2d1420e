"""Long work on many pictures: over the cores of this machine or a Dask cluster, kept as it goes.

What was done is written down in parts, so that a run that was stopped goes on where it was, and
nothing is done again for what has not changed. Pictures travel to the workers as bytes; the
workers of a cluster need this program with its networks, at the same version, and nothing else.
"""

from __future__ import annotations

import _thread
import argparse
import asyncio
import concurrent.futures
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.parallel import get_active_backend
from numpy.typing import NDArray
from tqdm import tqdm

from edge import arrays, native
from edge.arguments import number
from edge.arrays import load
from edge.bundle import DEFAULT_DIR
from edge.errors import SetupError, SourceError
from edge.mesh.tracker import DETECTOR_FILE, LANDMARK_FILE

Columns = dict[str, NDArray[Any]]
"""A table: name → one value for each row."""
Item = TypeVar("Item")
BATCH, PART = 64, 4096
"""Rows that a worker makes at once, and rows after which what is done is written down."""
WAIT_S = 10
"""Seconds for a scheduler to answer, and for a first worker to join."""
_ALONE = threading.Lock()
"""A worker may have several threads; a network is for one."""
_CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError)
_ROOT = Path(__file__).resolve().parent.parent
READS = ("edge",)
"""What makes readings and meshes."""
_TRAVELS = ("edge", "train", "benchmarks/evaluate")
"""What a cluster's workers run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags for what `over` takes."""
    parser.add_argument(
        "--jobs", type=number(int, 1), default=None, help="processes (default: every core)"
    )
    parser.add_argument(
        "--dask", metavar="tcp://HOST:PORT", help="let the workers of this Dask scheduler do it"
    )


@contextmanager
def over(jobs: int | None = None, dask: str | None = None) -> Iterator[None]:
    """Within it joblib's `Parallel` uses `jobs` processes (every core), or the cluster `dask`.

    `dask` is a scheduler's address, "tcp://host:8786". Raises SetupError where none answers, it
    has no workers, or a worker has another version of this program.
    """
    if not dask:
        with parallel_config(n_jobs=jobs or cpu_count()):
            yield
        return
    try:
        from distributed import Client, KilledWorker
        from distributed.comm import CommClosedError
    except ImportError as error:
        raise SetupError(
            f"--dask {dask}: the package distributed is not installed ({error}): run "
            "`.venv-train/bin/pip install --constraint constraints.txt --editable '.[dask]'`"
        ) from None
    try:
        client = Client(dask, timeout=WAIT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise SetupError(
            f"--dask {dask}: no scheduler answers there: start `dask scheduler`, or correct the "
            f"address ({reason})"
        ) from None
    with client:
        _check(client, dask)
        done = threading.Event()
        threading.Thread(target=_interrupt_when_lost, args=(client, done), daemon=True).start()
        try:
            with parallel_config(backend="dask", client=client, n_jobs=-1):
                yield
        except (KilledWorker, CommClosedError, *_CANCELLED, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt) and client.status != "closed":
                raise
            raise SetupError(
                f"--dask {dask}: the cluster was lost; what was done is "
                "kept, and the same command goes on from here"
            ) from None
        finally:
            done.set()
            if client.status == "running":
                client.run(_watched, on_error="ignore")


def _interrupt_when_lost(client: Any, done: threading.Event) -> None:
    """Joblib would wait for ever for a scheduler that is gone."""
    while not done.wait(1):
        if client.status == "closed":
            _thread.interrupt_main()
            return


def _check(client: Any, dask: str) -> None:
    """Whether there are workers, and all have this program."""
    how = "start `python -m distributed.cli.dask_worker` in a checkout of this commit"
    try:
        client.wait_for_workers(1, timeout=WAIT_S)
    except TimeoutError:
        raise SetupError(f"--dask {dask}: it has no workers: {how}") from None
    try:  # it looks into what it hands on, and where it cannot the client would wait for ever
        client.run_on_scheduler(_known)
    except Exception as error:
        raise SetupError(
            f"--dask {dask}: its scheduler does not know this program: start "
            "`python -m distributed.cli.dask_scheduler` in a checkout, too "
            f"({next(iter(str(error).splitlines()), type(error).__name__)})"
        ) from None
    told = client.run(program, on_error="return")
    for worker, answer in told.items():
        if isinstance(answer, BaseException):
            reason = next(iter(str(answer).splitlines()), "") or type(answer).__name__
            raise SetupError(
                f"--dask {dask}: worker {worker} cannot run this program: {how} ({reason})"
            )
        if answer != program():
            raise SetupError(
                f"--dask {dask}: worker {worker} has another version of this program, its networks "
                f"or its compiled kernels: update it (`make edge models`), then {how}"
            )


def _known() -> None:
    """Nothing: whoever can be asked for it has this module."""


@lru_cache
def program(parts: tuple[str, ...] = _TRAVELS) -> str:
    """What the program's answers depend on besides pictures and bundle, as a short hash.

    The sources of its `parts`, the face networks, and whether its kernels are compiled.
    """
    digest = hashlib.sha256(b"compiled" if native.load() else b"")
    sources = [path for part in parts for path in (_ROOT / part).rglob("*.py")]
    networks = [DEFAULT_DIR / name for name in (DETECTOR_FILE, LANDMARK_FILE)]
    for path in sorted(sources) + networks:
        digest.update(path.name.encode() + (path.read_bytes() if path.is_file() else b"missing"))
    return digest.hexdigest()[:16]


def each(work: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """`work(*call)` of every call, by whatever `over` says; what is done first comes first."""
    run = Parallel(return_as="generator_unordered")
    far = type(get_active_backend()[0]).__name__ == "DaskDistributedBackend"
    expected = program() if far else ""
    return iter(run(delayed(_at_work)(expected, work, *call) for call in calls))


def _at_work(expected: str, work: Callable[..., Any], *call: Any) -> Any:
    """One call, in the process that does it; `expected` of a cluster's worker."""
    if expected and program() != expected:  # one that joined after `_check`
        raise SetupError(f"a worker on {os.uname().nodename} has another version of this program")
    with _ALONE:
        if "distributed" in sys.modules:
            _unwatched()
        return work(*call)


def _unwatched() -> None:
    """Stop the profiler of the Dask worker that this is, if it is one.

    It holds on to the frames of functions, so to what these hold: and a TFLite network does not
    run while anything holds its input.
    """
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:
        return
    profiler = worker.periodic_callbacks.get("profile")
    if profiler is not None and profiler.is_running():
        stopped = threading.Event()
        worker.loop.add_callback(lambda: (profiler.stop(), stopped.set()))
        stopped.wait(WAIT_S)


def _watched(dask_worker: Any) -> None:
    """Start it again."""
    profiler = dask_worker.periodic_callbacks.get("profile")
    if profiler is not None and not profiler.is_running():
        profiler.start()


def table(
    path: Path,
    keys: Mapping[str, Sequence[str]],
    item: Callable[[int], Item],
    work: Callable[[Sequence[Item]], Columns],
    *,
    columns: Sequence[str],
    made_by: str,
    what: str,
) -> Columns:
    """The `columns` that `work` makes of N items, kept in the file `path`.

    `keys`: columns that name a row and change when its item does; rows that `path`, or the parts
    of a run that was stopped, hold already are taken from there. `item` gives what travels to the
    worker for row i; `work` gives all columns, the keys among them, of some items. `made_by`: what
    the rows depend on besides; a file with another one is made anew. `what` is for the progress.
    Rows of other items stay in the file; a row whose item has changed is replaced.
    """
    names = tuple(keys)
    wanted = list(zip(*keys.values(), strict=True))
    parts = sorted(path.parent.glob(f"{path.stem}.part*.npz"))
    tables: list[Columns] = []
    place: dict[tuple[str, ...], tuple[int, int]] = {}  # key → table, row

    def take(rows: Columns) -> None:
        found = zip(*(rows[name].tolist() for name in names), strict=True)
        place.update({key: (len(tables), row) for row, key in enumerate(found)})
        tables.append(rows)

    kept: list[tuple[str, ...]] = []  # what `path` itself holds, in its order
    for file in (path, *parts):
        rows = _load(file, columns, made_by)
        if rows is not None:
            take(rows)
            if file == path:
                kept = list(zip(*(rows[name].tolist() for name in names), strict=True))

    first = {key: i for i, key in reversed(list(enumerate(wanted)))}  # copies are done once
    todo = sorted(i for key, i in first.items() if key not in place)
    if todo:
        batches = [todo[i : i + BATCH] for i in range(0, len(todo), BATCH)]
        pending: list[Columns] = []

        def keep() -> None:
            rows = _concatenate(pending)
            pending.clear()
            part = path.with_name(f"{path.stem}.part{len(parts):04d}.npz")
            _save(part, rows, made_by)
            parts.append(part)
            take(rows)

        try:
            with tqdm(total=len(todo), desc=what, unit="picture", disable=None) as progress:
                calls = (([item(i) for i in batch],) for batch in batches)
                for made in each(work, calls):
                    pending.append(made)
                    progress.update(len(made[names[0]]))
                    if sum(len(rows[names[0]]) for rows in pending) >= PART:
                        keep()
        finally:  # also when it is stopped
            if pending:
                keep()

    if not wanted:
        raise SourceError("no pictures given")
    starts = np.cumsum([0, *(len(rows[names[0]]) for rows in tables)])

    def rows_of(some: Sequence[tuple[str, ...]]) -> Columns:
        at = np.array([starts[number] + row for number, row in map(place.__getitem__, some)])
        return {name: np.concatenate([rows[name] for rows in tables])[at] for name in columns}

    found = rows_of(wanted)
    asked = {key[0] for key in wanted}
    final = [*first, *(key for key in place if key[0] not in asked)]
    if set(kept) != set(final):
        _save(path, rows_of(final), made_by)
    for part in parts:
        part.unlink(missing_ok=True)
    return found


def _concatenate(some: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([rows[name] for rows in some]) for name in some[0]}


def _save(path: Path, rows: Columns, made_by: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        compressed = ".part" not in path.name
        arrays.save(path, {"made_by": np.array(made_by), **rows}, compressed=compressed)
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror or error}") from None


def _load(path: Path, columns: Sequence[str], made_by: str) -> Columns | None:
    """The rows of a file of this very kind; None where it is another one, broken or missing."""
    try:
        if str(load(path, ["made_by"])["made_by"]) != made_by:
            return None
        return load(path, columns)
    except SetupError:
        return None
