"""`python -m edge run`, and how any command ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.cameras import find_camera

Command = Callable[..., Any]
Save = Callable[[Path, np.ndarray], Path]


@pytest.mark.parametrize("model", ["svm", "gnn", "both"])
def test_run_plays_the_sample(command: Command, model: str) -> None:
    result = command("run", "--source", "sample", "--model", model)
    assert result.returncode == 0
    got = result.readings
    assert [line["frame"] for line in got] == list(range(120))
    assert [line["time_s"] for line in got] == pytest.approx([i / 15 for i in range(120)], abs=1e-3)
    assert sum(line["face"] for line in got) >= 114
    assert len(result.complaints) == 1  # what is being played


def test_run_reads_a_folder_past_a_broken_file(
    command: Command, tmp_path: Path, save: Save, small: np.ndarray
) -> None:
    save(tmp_path / "in/a.jpg", small)
    (tmp_path / "in/b.jpg").write_text("hello")
    save(tmp_path / "in/c.jpg", small)
    result = command("run", "--source", "in")
    assert result.returncode == 1
    assert [line["source"] for line in result.readings] == ["in/a.jpg", "in/c.jpg"]
    assert result.complaints == ["in/b.jpg: not a picture that can be read"]


@pytest.mark.skipif(bool(find_camera()), reason="this machine has a camera")
def test_run_without_a_camera(command: Command) -> None:
    result = command("run", "--source", "camera")
    assert (result.returncode, result.stdout) == (1, "")
    (told,) = result.complaints
    assert "no camera found" in told


def test_run_into_head(command: Command, tmp_path: Path) -> None:
    """`| head -1`: the reader goes away, and that is no mistake."""
    reader = subprocess.Popen(["head", "-1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert reader.stdin is not None
    result = command("run", "--source", "sample", stdout=reader.stdin)
    output, _ = reader.communicate(timeout=10)
    assert json.loads(output)["frame"] == 0
    assert result.returncode == 0
    assert len(result.complaints) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_behind_stdout(command: Command) -> None:
    with Path("/dev/full").open("w") as full:
        result = command("run", "--source", "sample", stdout=full)
    assert result.returncode == 1
    assert result.complaints[1:] == ["cannot write readings: No space left on device"]


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_stream(tmp_path: Path, save: Save, small: np.ndarray, closed: int) -> None:
    """A daemon may be started without them."""
    save(tmp_path / "a.jpg", small)
    line = f'"{sys.executable}" -m edge classify a.jpg {closed}>&-'
    result = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert "Traceback" not in result.stderr
    assert result.returncode == (0 if closed == 2 else 1)


def test_ctrl_c_ends_quietly(tmp_path: Path, models_dir: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "edge", "run", "--source", "sample"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(models_dir.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()  # now it is at work
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told.count("\n") == 1  # what is being played


@pytest.mark.parametrize("after", ["edge.errors", "numpy.version", "edge.cli"])
def test_ctrl_c_while_starting(tmp_path: Path, models_dir: Path, after: str) -> None:
    """The seconds that a Pi spends in imports: `-X importtime` tells on stderr where it is."""
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "edge", "run", "--source", "sample"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(models_dir.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.split("|")[-1].strip() == after:
            break
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert all(line.startswith(("import time:", "edge: ")) for line in told.splitlines()), told


def test_help_and_usage(command: Command) -> None:
    assert command("--help").returncode == 0
    for arguments in ([], ["classify"], ["classify", "a.jpg", "--croped"], ["run", "--sauce", "x"]):
        result = command(*arguments)
        assert result.returncode == 2
        assert f"usage: {' '.join(['python -m edge', *arguments[:1]])} [-h]" in result.stderr


def test_a_camera_that_is_absent_is_a_mistake_at_first(command: Command) -> None:
    """Who types an address wrong is told, and not left waiting; the daemon waits."""
    result = command("run", "--source", "http://127.0.0.1:9/video.mjpg")
    assert (result.returncode, result.stdout) == (1, "")
    (told,) = result.complaints
    assert "cannot be opened" in told


def test_settings_are_shown_with_their_origin(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[camera]\nwidth = 320\n")
    result = command("settings", "--config", "mine.toml", "--model", "gnn")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert "width = 320  # mine.toml" in lines
    assert 'model = "gnn"  # --set classify.model=gnn' in lines
    assert "height = 480  # default" in lines


@pytest.mark.parametrize("name", ["run", "classify", "daemon", "settings"])
def test_bad_settings_have_an_exit_status_of_their_own(command: Command, name: str) -> None:
    paths = ["a.jpg"] if name == "classify" else []
    result = command(name, *paths, "--set", "mesh.threads=0")
    assert result.returncode == 78
    assert result.complaints == ["--set mesh.threads=0: allowed is int 1 to 16"]
