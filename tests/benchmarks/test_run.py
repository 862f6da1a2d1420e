"""A whole benchmark, with next to no rounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import sleep
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import clips, stages, targets
from benchmarks.figures import Figures
from benchmarks.stages import STAGES, WHOLE
from edge import Recognizer
from edge.cameras.y4m import Y4m
from edge.errors import SourceError
from edge.publish.jsonlines import JsonLines
from tests.conftest import REPO

QUICK = ["--models", "svm", "--threads", "1", "--frames", "6", "--seconds", "0", "--starts", "2"]
QUICK += ["--rates", "15", "--windows", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def played(folder: Path, models_dir: Path) -> tuple[stages.Scene, ...]:
    return stages.scenes(*clips.write(folder, 24), 10)


def test_clips_are_what_they_are_called(played: tuple[stages.Scene, ...]) -> None:
    recognise = Recognizer()
    for scene in played:
        frames = list(Y4m(scene.clip))
        assert {frame.image.shape for frame in frames} == {(480, 640, 3)}
        assert {recognise(frame.image).face for frame in frames} == {scene.name != "empty"}


def _opened(pipe: Path) -> Y4m:
    """As cameras are: the writer may not have seen yet that its last reader went away."""
    for _ in range(20):
        with suppress(SourceError):
            return Y4m(pipe)
        sleep(0.1)
    return Y4m(pipe)


def test_an_endless_clip_goes_on(tmp_path: Path, models_dir: Path) -> None:
    """And can be opened again, as by a daemon that was started again."""
    clip, *_ = clips.write(tmp_path, 3)
    with clips.Endless(tmp_path / "camera.y4m", clip, 5) as camera:
        for _ in range(2):
            frames = [frame for frame, _ in zip(_opened(camera.path), range(8), strict=False)]
            assert (frames[0].image == frames[3].image).all()
            assert frames[5].clock_s == 1
    with clips.Endless(tmp_path / "camera.y4m", clip, 5):
        pass  # ends without a reader, too


def test_stages_add_up(played: tuple[stages.Scene, ...]) -> None:
    """Nothing that takes time lies between the stages. On shared cores, in most frames."""
    recognise = Recognizer()
    for scene in played:
        with Path(os.devnull).open("w") as nowhere:
            took, others = stages.run(recognise, scene, JsonLines(nowhere))
        whole = np.array(took.pop(WHOLE))
        assert (others, len(whole)) == (0, scene.frames)
        between = whole - np.sum(list(took.values()), axis=0)
        assert 0 < np.median(between) < 0.5


def test_each_stage_of_each_kind_of_frame_is_measured(played: tuple[stages.Scene, ...]) -> None:
    figures = Figures()
    stages.measure(figures, ["gnn"], [1, 999], played, 0, lambda done: None, lambda: None)
    assert not figures.failures
    assert len(figures.notes) == 1
    assert "999 threads left out" in figures.notes[0]
    looked = {"crop", "mesh", "features", "classify"}
    for scene, absent in (
        ("tracked", {"detect"}),
        ("detected", {"still"}),
        ("empty", looked),
        ("still", {"detect"}),
    ):
        names = figures.select("time", "gnn", "1", scene)
        expected = {*STAGES, WHOLE} - absent
        assert {tuple(name.split("/")[4:]) for name in names} == {
            (stage, f"p{q}") for stage in expected for q in (5, 50, 95, 99)
        }


def test_frames_of_another_kind_are_told(played: tuple[stages.Scene, ...]) -> None:
    tracked, _, empty, _ = played
    wrong = stages.Scene("tracked", empty.clip, 5, False, tracked.kinds)
    figures = Figures()
    stages.measure(figures, ["svm"], [1], (wrong,), 0, lambda done: None, lambda: None)
    assert figures.failures == ["svm: 5 of 5 frames are not tracked"]


def test_the_command(models_dir: Path, tmp_path: Path) -> None:
    """As `make benchmark` runs it: a table, and three files that say the same."""
    line = [sys.executable, "-m", "benchmarks", *QUICK, "--out", str(tmp_path)]
    done = subprocess.run(line, cwd=REPO, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| svm   | 1       | tracked " in done.stdout
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".md", ".svg"]
    (path,) = tmp_path.glob("*.json")
    result = json.loads(path.read_text())
    assert {"machine", "system", "governor", "python", "numpy"} <= result["about"].keys()
    assert len(result["figures"]["start/svm"]) == 2
    assert 0 < result["figures"]["start/svm"][0] < 60
    assert 20 < result["figures"]["pss/svm"][0] < result["figures"]["rss/svm"][0] < 500
    assert 0 < result["figures"]["cpu/svm/15"][0] < 2
    assert [moment["when"] for moment in result["heat"]] == [
        "before", "frames", "starts", "load", "after",
    ]  # fmt: skip
    markdown = path.with_suffix(".md").read_text()
    assert path.with_suffix(".svg").name in markdown
    assert "Nothing." in markdown
    ElementTree.parse(path.with_suffix(".svg"))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the measuring."""

    def measure(options: object, figures: Figures, moments: object) -> None:
        figures.add("time/svm/1/tracked/end to end/p50", 4)
        figures.add("time/svm/1/tracked/end to end/p95", 40)
        figures.add("rss/svm", 70)
        figures.add("start/svm", 0.4)

    monkeypatch.setattr(command, "_measure", measure)


@pytest.mark.parametrize(("target", "status"), [("pi4", 0), ("pi5", 1)])
def test_a_broken_budget_fails(
    measured: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, status: int
) -> None:
    given = [*QUICK, "--out", str(tmp_path), "--target", target, "--confined", "cgroup v1"]
    assert command.main(given) == status
    out = capsys.readouterr().out
    assert ("over budget: time/svm/1/tracked/end to end/p95: 40 ms, over 33 ms" in out) == status
    assert "cgroup v1" in out
    assert "A quota is not an A53" in out


def test_a_real_board_is_held_to_its_budget(
    measured: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command.host, "model", lambda: "Raspberry Pi 5 Model B Rev 1.0")
    assert command.main([*QUICK, "--out", str(tmp_path)]) == 1
    monkeypatch.setattr(command.host, "model", lambda: "Some other board")
    assert command.main([*QUICK, "--out", str(tmp_path)]) == 0


def test_each_target_is_run_and_its_death_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = []

    def run(target: targets.Target, line: list[str]) -> int:
        lines.append(line)
        return -9 if "zero2w" in line else 0

    monkeypatch.setattr(targets, "run", run)
    assert command.main(["--target", "zero2w", "pi4", "--models", "gnn"]) == 1
    assert [line[-2:] for line in lines] == [["--target", "zero2w"], ["--target", "pi4"]]
    assert all(line.count("--target") == 1 and "gnn" in line for line in lines)
    assert "out of its 512 MB" in capsys.readouterr().out
