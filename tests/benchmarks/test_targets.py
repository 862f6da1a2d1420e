"""The boards, their budgets, and confinement."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import targets
from benchmarks.figures import Figures
from benchmarks.targets import Budget

BUDGET = Budget(end_to_end_p95_ms=10, peak_memory_mb=80, cold_start_s=1)


def measured(p95: float = 5, rss: float = 70, start: float = 0.5) -> Figures:
    figures = Figures()
    for _ in range(3):
        figures.add("time/svm/1/tracked/end to end/p95", p95)
        figures.add("rss/svm", rss)
        figures.add("start/svm", start)
    return figures


def test_the_file_is_valid_and_ordered() -> None:
    """A larger board is given more, and more is expected of it."""
    found = targets.load()
    assert list(found) == ["zero2w", "pi4", "pi5"]
    for less, more in zip(list(found.values()), list(found.values())[1:], strict=False):
        assert less.memory_mb < more.memory_mb
        assert less.cpu_percent < more.cpu_percent
        assert less.budget.end_to_end_p95_ms > more.budget.end_to_end_p95_ms
    for target in found.values():  # the kernel takes no quota of less than a millisecond
        assert target.cpu_percent / 100 * targets.PERIOD_US >= 1000


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cores = 4", "", "zero2w.cores is missing"),
        ("cores = 4", "cores = 4\ncoors = 4", "zero2w.coors is unknown"),
        ("cores = 4", "cores = 0", "zero2w.cores = 0: has to be a whole number, and positive"),
        ("cores = 4", "cores = 2.5", "zero2w.cores = 2.5: has to be a whole number"),
        ("cores = 4", "cores = true", "zero2w.cores = True: has to be a whole number"),
        ("memory_mb = 512", "memory_mb = nan", "zero2w.memory_mb = nan: has to be a whole number"),
        ("cpu_percent = 8", "cpu_percent = inf", "zero2w.cpu_percent = inf: has to be a positive"),
        ('board = "Raspberry Pi Zero 2"', 'board = ""', "zero2w.board = '': has to be a text"),
        ("[zero2w]", "[zero2w", "targets.toml: not valid TOML"),
        ("budget = {", "budget = 3 # {", "zero2w: has to be a table, and so has its budget"),
        ("cores = 4", 'cores = "4"', "zero2w.cores = '4': has to be a whole number"),
        ("peak_memory_mb =", "peak =", r"zero2w.budget.peak is unknown"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(targets.FILE.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=said):
        targets.load(path)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (measured(), ""),
        (measured(p95=11), "end to end/p95: 11 ms, over 10 ms"),
        (measured(rss=81.5), "rss/svm: 81.5 MB, over 80 MB"),
        (measured(start=2), "start/svm: 2 s, over 1 s"),
    ],
)
def test_a_broken_budget_is_told(figures: Figures, said: str) -> None:
    told = targets.broken(BUDGET, figures, ["svm"])
    assert (said in told[0] and len(told) == 1) if said else not told


def test_what_was_not_measured_is_no_kept_budget() -> None:
    assert len(targets.broken(BUDGET, measured(), ["svm", "gnn"])) == 3


def test_a_run_is_told_how_it_is_confined(capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever this machine can do: cores always, and no claim beyond what was done."""
    target = replace(targets.load()["pi4"], cores=1, memory_mb=96)
    code = (
        "import os, sys\nprint(len(os.sched_getaffinity(0)), *sys.argv[2:], flush=True)\n"
        "memory = bytearray(300_000_000)"
    )
    status = targets.run(target, [sys.executable, "-c", code])
    out = capfd.readouterr().out
    assert out.startswith("1 ")
    if "not confined" in out:
        assert status == 0
    else:
        assert "96 MB, 20 % of a core, 1 of 1 cores" in out
        assert status != 0  # it took too much


def test_nothing_is_left_of_a_group(tmp_path: Path) -> None:
    """Where a group cannot be made, or not be limited, that is told, and it goes again."""
    with pytest.raises(OSError), targets._cgroup(targets.load()["pi4"], tmp_path):
        pass
    assert not list(tmp_path.rglob("fer-edge-benchmark-*"))
