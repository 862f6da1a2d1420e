"""Long work on many pictures: over the cores of this machine or a Dask cluster, kept as it goes.

What was done is written down in parts, so that a run that was stopped goes on where it was, and
nothing is done again for what has not changed. Pictures travel to the workers as bytes.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.parallel import get_active_backend
from numpy.typing import NDArray
from tqdm import tqdm

from edge import arrays
from edge.arguments import number
from edge.arrays import load
from edge.errors import SetupError, SourceError
from train import cluster, program

Columns = dict[str, NDArray[Any]]
"""A table: name → one value for each row."""
Item = TypeVar("Item")
BATCH, PART = 64, 4096
"""Rows that a worker makes at once, and rows after which what is done is written down."""
_ALONE = threading.Lock()
"""A worker may have several threads; a network is for one."""


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
    with cluster.joined(dask):
        yield


def each(work: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """`work(*call)` of every call, by whatever `over` says; what is done first comes first."""
    run = Parallel(return_as="generator_unordered")
    far = type(get_active_backend()[0]).__name__ == "DaskDistributedBackend"
    expected = program.stamp() if far else ""
    return start(run, (delayed(_at_work)(expected, work, *call) for call in calls))


def start(run: Parallel, calls: Iterable[Any]) -> Iterator[Any]:
    """What `run` makes of `calls`, by processes that leave Ctrl-C to this one, which ends them.

    A terminal sends it to all, and one that is still starting would print a stack trace.
    """
    pressed: list[int] = []
    resource_tracker.ensure_running()  # when it begins it unblocks it
    handler = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # is inherited
    try:
        work = run(calls)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGINT, handler)
    if pressed:
        work.throw(KeyboardInterrupt())
    return iter(work)


def _at_work(expected: str, work: Callable[..., Any], *call: Any) -> Any:
    """One call, in the process that does it; `expected` of a cluster's worker."""
    if expected and program.stamp() != expected:  # one that joined later
        raise SetupError(f"a worker on {os.uname().nodename} has another version of this program")
    with _ALONE:
        if "distributed" in sys.modules:
            cluster.unwatched()
        return work(*call)


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
