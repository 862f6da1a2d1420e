"""Ctrl-C before a program has begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("module", ["train", "train.search", "convert"])
def test_ctrl_c_while_it_imports(tmp_path: Path, module: str) -> None:
    """Its imports take seconds: here one of them, which takes for ever."""
    for package in ("sklearn", "tqdm", "scipy"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(
            "import time\nprint('importing', flush=True)\ntime.sleep(60)\n"
        )
    path = os.pathsep.join([str(tmp_path), str(REPO)])
    with subprocess.Popen(
        [sys.executable, "-m", module, "data"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert (process.returncode, told) == (130, "")


def test_a_library_leaves_the_signal_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    import convert
    import train

    assert train.__doc__ and convert.__doc__
    assert signal.getsignal(signal.SIGINT) is before
