"""A Dask cluster that is there already does what joblib would do here.

Its workers, and its scheduler, need this program with its networks, at the same version, and
nothing else.
"""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from joblib import parallel_config

from edge.errors import SetupError
from train import program

WAIT_S = 10
"""Seconds for a scheduler to answer, and for a first worker to join."""
_CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError)


@contextmanager
def joined(dask: str) -> Iterator[None]:
    """Within it joblib's `Parallel` uses the scheduler at `dask`, "tcp://host:8786".

    Raises SetupError where none answers, it has no workers, or one has another version of this
    program.
    """
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
            f"--dask {dask}: no scheduler answers there: start "
            "`python -m distributed.cli.dask_scheduler` in a checkout, or correct the "
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
    told = client.run(program.stamp, on_error="return")
    for worker, answer in told.items():
        if isinstance(answer, BaseException):
            reason = next(iter(str(answer).splitlines()), "") or type(answer).__name__
            raise SetupError(
                f"--dask {dask}: worker {worker} cannot run this program: {how} ({reason})"
            )
        if answer != program.stamp():
            raise SetupError(
                f"--dask {dask}: worker {worker} has another version of this program, its networks "
                f"or its compiled kernels: update it (`make edge models`), then {how}"
            )


def _known() -> None:
    """Nothing: whoever can be asked for it has this module."""


def unwatched() -> None:
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
