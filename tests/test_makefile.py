"""What `make` refuses, before it installs anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parent.parent / "Makefile"
DATA = 'DATA="path/to/fer2013.zip path/to/folder"'


@pytest.mark.parametrize(
    ("line", "told"),
    [
        *((name, f"say on what pictures: make {name} {DATA}") for name in ("train", "evaluate")),
        *((name, f"say on what pictures: make {name} {DATA}") for name in ("search", "limits")),
        ("robustness", f"say on what pictures: make robustness {DATA}"),
        ("compare A=svm", 'say what to compare: make compare A=svm B=both DATA="…", or A='),
        ("compare B=svm", 'say what to compare: make compare A=svm B=both DATA="…", or A='),
        (
            "benchmark-compare A=a.json",
            "say what to compare: make benchmark-compare A=before.json B=after.json",
        ),
        ("train DATA=nowhere", "nowhere: no such folder or zip"),
        ("search MODEL=GNN DATA=.", "MODEL=GNN: allowed is svm or gnn"),
        ("compare A=svm B=svm", "A and B are the same: svm"),
        ("deploy", "say where to: make deploy PI=user@host"),
    ],
)
def test_what_lacks_is_said_at_once(tmp_path: Path, line: str, told: str) -> None:
    """In a folder where nothing could be installed: that would be the complaint."""
    command = ["make", "--no-print-directory", "--file", MAKEFILE, *line.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    ours, makes = done.stderr.splitlines()[-2:]
    assert ours.startswith(told)
    assert ": *** " in makes
    assert list(tmp_path.iterdir()) == []
