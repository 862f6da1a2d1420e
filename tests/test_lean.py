"""Modules that wait until they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge.lean import bare, later


def test_a_module_loads_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("waits", "hurries"):
        (tmp_path / f"{name}.py").write_text("import sys\nsys.loaded.append(__name__)\nvalue = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "loaded", [], raising=False)
    finders = list(sys.meta_path)
    with later("waits"):
        import hurries  # noqa: F401
        import waits
    assert sys.loaded == ["hurries"]  # type: ignore[attr-defined]
    assert sys.meta_path == finders
    assert waits.value == 3
    assert sys.loaded == ["hurries", "waits"]  # type: ignore[attr-defined]
    del sys.modules["waits"], sys.modules["hurries"]


def test_a_package_is_only_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy/__init__.py").write_text("raise RuntimeError('it was run')")
    (tmp_path / "heavy/part.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    bare("heavy")
    bare("none_of_that_name")
    from heavy.part import value

    assert value == 3
    before = sys.modules["heavy"]
    bare("heavy")
    assert sys.modules["heavy"] is before
    del sys.modules["heavy"], sys.modules["heavy.part"]


def test_the_program_loads_one_library_of_its_runtime(models_dir: Path) -> None:
    """What is not loaded need not be read from a memory card, either."""
    pytest.importorskip("ai_edge_litert")
    code = """
import sys
from pathlib import Path
from runpy import run_module
import os
os._exit = lambda status: None
sys.argv[1:] = ["classify", str(Path("models/sample.png"))]
run_module("edge", run_name="__main__")
maps = Path("/proc/self/maps").read_text()
names = {Path(line.split()[-1]).name for line in maps.splitlines()}
print(*sorted(name for name in names if "litert" in name.lower()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=models_dir.parent
    )
    assert '"face": true' in done.stdout, done.stderr
    (names,) = done.stdout.splitlines()[1:]
    assert "libpywrap_litert_common.so" in names
    assert "libLiteRt.so" not in names


def test_numpy_is_whole() -> None:
    """Whoever shares the process with us, as a camera's library does, gets all of it."""
    code = """
import sys
from runpy import run_module
sys.argv[1:] = ["settings"]
import os; os._exit = lambda status: None
run_module("edge", run_name="__main__")
import numpy
assert "numpy.random.mtrand" not in sys.modules
import pickle
import numpy.random as chance
from numpy import ma
from numpy.fft import fft
from numpy.polynomial import Polynomial
assert chance is numpy.random
assert 0 <= chance.default_rng(1).random() < 1 and numpy.random.mtrand
assert ma.masked_array([1, 2], [False, True]).sum() == 1
assert fft([1, 0])[1] == 1 and Polynomial([1, 2])(3) == 7
assert (pickle.loads(pickle.dumps(numpy.arange(3))) == numpy.arange(3)).all()
assert numpy.ctypeslib.as_array((numpy.ctypeslib.ctypes.c_int * 2)(1, 2)).tolist() == [1, 2]
print("whole")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["whole"], done.stderr
