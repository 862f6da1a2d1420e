"""A Dask cluster of two workers gives what this machine gives, to the bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.evaluate import readings, survey
from edge.bundle import Bundle
from edge.errors import SetupError
from train import command, meshes, search, spread
from train.dataset import find_pictures
from train.prepare import Data

REPO = Path(__file__).resolve().parents[2]
needs_dask = pytest.mark.skipif(
    not find_spec("distributed"), reason="distributed is not installed: pip install '.[dask]'"
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """`start` starts a scheduler with some workers and gives its address, `processes` are these."""
    made: dict[str, list[subprocess.Popen[bytes]]] = {}
    with ExitStack() as stack:

        def start(workers: int, scheduler: str = str(REPO), worker: str = str(REPO)) -> str:
            """`scheduler`, `worker`: where they find the program."""
            folder = tmp_path_factory.mktemp("cluster")  # nothing of the program is in it
            file = folder / "scheduler.json"

            def run(path: str, module: str, *arguments: str | Path) -> None:
                given = os.environ | {"PYTHONPATH": path}
                line = [sys.executable, "-m", module, "--scheduler-file", file, *arguments]
                log = stack.enter_context((folder / "log").open("ab"))
                process = subprocess.Popen(line, cwd=folder, env=given, stdout=log, stderr=log)
                stack.callback(process.wait, 20)
                stack.callback(process.kill)
                processes.append(process)

            processes: list[subprocess.Popen[bytes]] = []
            local = ("--host", "127.0.0.1", "--no-dashboard")
            run(scheduler, "distributed.cli.dask_scheduler", "--port", "0", *local)
            for threads in range(1, workers + 1):  # a network is for one thread at a time
                few = ("--nworkers", "1", "--nthreads", str(threads), "--local-directory", folder)
                run(worker, "distributed.cli.dask_worker", "--no-nanny", *few, *local)
            from distributed import Client

            with Client(scheduler_file=str(file), timeout=60, set_as_default=False) as client:
                if workers:
                    client.wait_for_workers(workers, timeout=60)
                address = str(client.scheduler.address)
            made[address] = processes
            return address

        yield SimpleNamespace(start=start, processes=made)


@pytest.fixture(scope="module")
def two_workers(cluster: SimpleNamespace) -> str:
    """A scheduler's address."""
    return cluster.start(2)


@needs_dask
def test_meshes_are_the_same_to_the_bit(
    two_workers: str, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "BATCH", 8)  # so that there are some for each worker
    pictures = find_pictures([tiny_dataset])[0]
    for view in ("plain", "degraded"):
        with spread.over(2):
            here = meshes.extract(pictures, tmp_path / "here" / f"{view}.npz", view=view)
        with spread.over(dask=two_workers):
            there = meshes.extract(pictures, tmp_path / "there" / f"{view}.npz", view=view)
        for field in fields(meshes.Meshes):
            one, other = getattr(here, field.name), getattr(there, field.name)
            assert one.dtype == other.dtype
            assert one.tobytes() == other.tobytes(), field.name


@needs_dask
@pytest.mark.parametrize("model", ["svm", "both"])
def test_readings_are_the_same_to_the_bit(
    two_workers: str,
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
) -> None:
    monkeypatch.setattr(spread, "BATCH", 8)
    pictures = find_pictures([tiny_dataset])[0]
    bundle = Bundle.open()
    found = []
    for name, where in (("here", {"jobs": 2}), ("there", {"dask": two_workers})):
        with spread.over(**where):
            looked = survey.survey(pictures, bundle, tmp_path / name)
            rows = survey.chosen(looked, "validation", bundle)
            cropped = survey.reads_cropped(looked, "auto")
            found.append(readings.read(looked, rows, bundle, model, cropped, tmp_path / name))
    here, there = found
    assert len(here.id) == 42
    for field in fields(readings.Readings):
        one, other = getattr(here, field.name), getattr(there, field.name)
        assert one.tobytes() == other.tobytes(), field.name


@needs_dask
def test_the_search_finds_the_same(
    two_workers: str,
    draw_faces: Callable[..., Data],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "GRID", [{"vectors": [20, 60]}, {"feature": ["distances"]}])
    data = draw_faces()
    about = {"dataset": {"fingerprint": "0", "near": 0.94, "train_on": ["drawn"]}}
    found = []
    for name, where in (("here", (2, None)), ("there", (None, two_workers))):
        (tmp_path / name).mkdir()
        options = SimpleNamespace(out=tmp_path / name, jobs=where[0], dask=where[1])
        search.search(data, about, options)
        lines = (tmp_path / name / "search.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        found.append(sorted(json.dumps({**row, "seconds": 0}, sort_keys=True) for row in rows))
    assert found[0] == found[1]
    assert len(found[0]) == 3


@needs_dask
def test_the_command_line_takes_the_cluster(
    two_workers: str, tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--dask` of `make train`, `make search`, …: the meshes are there, and the work is done."""
    parser = command.parser("train", "")
    line = [str(tiny_dataset), "--out", str(tmp_path / "out"), "--dask", two_workers]
    seen = []
    assert command.run(parser, line, lambda data, about, options: seen.append(data)) == 0
    assert len(seen[0].label) == 112
    assert capsys.readouterr().err.count("Traceback") == 0


@needs_dask
@pytest.mark.parametrize("whole", [False, True])
def test_a_cluster_that_dies(
    cluster: SimpleNamespace,
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: bool,
) -> None:
    """Without one worker the other does all; without the scheduler what was done is kept."""
    monkeypatch.setattr(spread, "BATCH", 4)
    address = cluster.start(2)
    scheduler, worker, _ = cluster.processes[address]
    original, batches = spread.each, []

    def dying(*arguments: Any) -> Iterator[Any]:
        for made in original(*arguments):
            batches.append(made)
            yield made
            if len(batches) == 2:
                (scheduler if whole else worker).kill()

    pictures, path = find_pictures([tiny_dataset])[0], tmp_path / "m.npz"
    with monkeypatch.context() as patch:
        patch.setattr(spread, "each", dying)
        patch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "2s")
        if whole:
            with pytest.raises(SetupError, match="the cluster was lost"), spread.over(dask=address):
                meshes.extract(pictures, path)
            kept = sum(len(np.load(part)["id"]) for part in tmp_path.glob("m.part*.npz"))
            assert 8 <= kept < len(pictures)
        else:
            with spread.over(dask=address):
                meshes.extract(pictures, path)
    with spread.over(2):
        rows = meshes.extract(pictures, path)
        alone = meshes.extract(pictures, tmp_path / "alone.npz")
    assert rows.landmarks.tobytes() == alone.landmarks.tobytes()


@needs_dask
def test_a_worker_of_another_version_is_refused(cluster: SimpleNamespace, tmp_path: Path) -> None:
    """A checkout with a file more: nobody would know what it makes."""
    copy = tmp_path / "checkout"
    for part in ("edge", "train", "benchmarks", "models"):
        (copy / part).parent.mkdir(parents=True, exist_ok=True)
        if part == "train":
            (copy / part).mkdir()
            for path in (REPO / part).glob("*.py"):
                (copy / part / path.name).write_bytes(path.read_bytes())
            (copy / part / "other.py").write_text("")
        else:
            (copy / part).symlink_to(REPO / part)
    address = cluster.start(1, worker=str(copy))
    with (
        pytest.raises(SetupError, match="another version of this program"),
        spread.over(dask=address),
    ):
        pass


@needs_dask
def test_a_worker_that_joins_later_is_asked_too(
    two_workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.cluster._check", lambda *_: None)
    monkeypatch.setattr("train.program.stamp", lambda: "another")
    with pytest.raises(SetupError, match="another version"), spread.over(dask=two_workers):
        list(spread.each(len, [("abc",)]))


@needs_dask
@pytest.mark.parametrize(
    ("who", "said"),
    [("worker", "cannot run this program"), ("scheduler", "scheduler does not know this program")],
)
def test_who_is_without_the_program_is_refused(
    cluster: SimpleNamespace, tmp_path: Path, who: str, said: str
) -> None:
    """A scheduler looks into what it hands on: without the program nothing would ever be done."""
    (tmp_path / "train").mkdir()
    (tmp_path / "train/__init__.py").touch()  # hides the one that is installed here
    address = cluster.start(1, **{who: str(tmp_path)})
    with (
        pytest.raises(SetupError, match=said) as told,
        spread.over(dask=address),
    ):
        pass
    assert len(str(told.value).splitlines()) == 1


@needs_dask
@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:9", "nonsense://x", "tcp://nowhere.invalid:1"]
)
def test_no_scheduler(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.cluster.WAIT_S", 2)
    with pytest.raises(SetupError, match="no scheduler answers") as told, spread.over(dask=address):
        pass
    assert len(str(told.value).splitlines()) == 1


@needs_dask
def test_no_workers(cluster: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    address = cluster.start(0)
    monkeypatch.setattr("train.cluster.WAIT_S", 2)
    with pytest.raises(SetupError, match="no workers"), spread.over(dask=address):
        pass


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(SetupError, match=r"not installed.*pip install") as told,
        spread.over(dask="tcp://127.0.0.1:8786"),
    ):
        pass
    assert len(str(told.value).splitlines()) == 1


def test_processes_leave_ctrl_c_to_the_one_that_started_them() -> None:
    """One that a terminal's Ctrl-C meets while it starts would print a stack trace."""
    with spread.over(2):
        assert list(spread.each(deaf, [(), ()])) == [True, True]
    assert not deaf()


def deaf() -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_copies_are_read_once_and_kept(tmp_path: Path) -> None:
    """Rows of one key are one row, and what is not asked for stays."""
    done: list[str] = []

    def work(some: list[str]) -> spread.Columns:
        done.extend(some)
        return {"key": np.array(some), "length": np.array([len(one) for one in some])}

    def ask(keys: list[str]) -> list[int]:
        rows = spread.table(
            tmp_path / "t.npz", {"key": keys}, lambda i: keys[i], work,
            columns=("key", "length"), made_by="test", what="test",
        )  # fmt: skip
        return rows["length"].tolist()

    assert ask(["a", "bb", "a"]) == [1, 2, 1]
    assert ask(["ccc"]) == [3]
    written = (tmp_path / "t.npz").stat().st_mtime_ns
    assert ask(["bb", "a"]) == [2, 1]
    assert done == ["a", "bb", "ccc"]
    assert (tmp_path / "t.npz").stat().st_mtime_ns == written
    assert sorted(np.load(tmp_path / "t.npz")["key"].tolist()) == ["a", "bb", "ccc"]
