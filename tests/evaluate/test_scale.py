"""What extraction costs: the table, and whose processor seconds are counted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import scale


def test_a_row_for_each_number_of_pictures(
    tiny_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [str(tiny_dataset), "--pictures", "20", "60", "--rounds", "1", "--jobs", "2"]
    assert scale.main(line) == 0
    rows = re.findall(
        r"^\| (\d+) +\| (\S+) / (\S+) +\| (\S+) / (\S+)", capsys.readouterr().out, re.M
    )
    assert [row[0] for row in rows] == ["20", "60"]
    assert float(rows[1][2]) >= float(rows[0][2]) > 0


def test_children_are_counted() -> None:
    before = scale._used(None)
    work = "x = 0\nfor i in range(6_000_000): x += i\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert scale._used(None) - before > 0.1
        child.communicate(b"\n")


def test_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scale.main([str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.startswith("scale: ")
