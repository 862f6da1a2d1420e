"""Whole comparisons: which sides there are, and what is told of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.evaluate import compare, metrics, survey
from benchmarks.evaluate.__main__ import main
from benchmarks.evaluate.readings import Readings
from tests.tools.evaluation import Markup, result

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def evaluated(build_dataset: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an evaluation of svm and gnn; not to be changed."""
    out = tmp_path_factory.mktemp("evaluated")
    line = [str(build_dataset(out / "tiny", 1, 6)), "--split", "validation", "--out", str(out)]
    assert main([*line, "--model", "svm", "gnn", "--samples", "20"]) == 0
    return result(out)[0]


def test_two_models_of_a_result(evaluated: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "out"
    line = [f"{evaluated}:svm", str(evaluated / "readings-gnn.npz"), "--out", str(out)]
    assert compare.main([*line, "--samples", "50"]) == 0
    folder, found = result(out, "comparison")
    one, other = (Readings.open(evaluated / f"readings-{name}.npz") for name in ("svm", "gnn"))
    right = [metrics.predicted(side.probabilities) == side.truth for side in (one, other)]
    (pair,) = found["pairs"]
    part = pair["parts"]["tiny"]
    assert (pair["a"], pair["b"], part["pictures"]) == ("svm", "gnn", 42)
    assert part["right"][0][0] == (right[0] & right[1]).sum()
    assert part["right"][1][0] == (right[1] & ~right[0]).sum()
    gain = part["figures"]["accuracy"]
    assert gain["value"] == pytest.approx(right[1].mean() - right[0].mean())
    assert gain["value"] == pytest.approx(gain["b"] - gain["a"])
    assert gain["low"] <= gain["value"] <= gain["high"]
    assert found["verdicts"][0] in capsys.readouterr().out
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Markup()
    page.feed(text)
    assert page.open == [] and len(page.asked) == 1
    image = cv2.imread(str(folder / "differences.png"))
    assert image is not None and image.std() > 5


def test_a_result_and_its_copy_are_the_same(evaluated: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(evaluated, tmp_path / "copy")
    line = [str(evaluated), str(copy), "--out", str(tmp_path / "out"), "--samples", "20"]
    assert compare.main(line) == 0
    _, found = result(tmp_path / "out", "comparison")
    assert [pair["a"] for pair in found["pairs"]] == ["A's svm", "A's gnn"]
    for pair in found["pairs"]:
        part = pair["parts"]["tiny"]
        assert part["mcnemar"] == {"one": 0, "other": 0, "p": 1.0}
        assert {one["value"] for one in part["figures"].values()} <= {0.0, None}
    assert all("no sure difference" in line for line in found["verdicts"])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("{0}", "{0}"),
        ("{0}", "{0}:gnn"),
        ("{0}/evaluation.json", "{0}/../{0.name}"),
        ("{0}:svm", "{0}/readings-svm.npz"),
        ("svm", "svm"),
        ("svm", "{1}:svm"),
    ],
)
def test_nothing_is_compared_with_itself(
    evaluated: Path,
    models_dir: Path,
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    a: str,
    b: str,
) -> None:
    """And no picture is read before that is told."""
    monkeypatch.setattr(survey, "survey", lambda *_: pytest.fail("pictures are read"))
    capsys.readouterr()
    a, b = (side.format(evaluated, models_dir) for side in (a, b))
    assert compare.main([a, b, str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    told = f"evaluate.compare: A={a} and B={b} are the same: name two that may differ\n"
    assert capsys.readouterr().err == told


def spoilt(evaluated: Path, folder: Path, model: str, share: float) -> Path:
    """A copy of a result in which a share of the answers is wrong."""
    shutil.copytree(evaluated, folder)
    rows = Readings.open(folder / f"readings-{model}.npz")
    rng = np.random.default_rng(0)
    probabilities = np.eye(7, dtype=np.float32)[rows.truth] * 0.94 + np.float32(0.06 / 7)
    wrong = rng.random(len(rows.id)) < share
    probabilities[wrong] = np.roll(probabilities[wrong], 1, axis=1)
    replace(rows, probabilities=probabilities).save(folder / f"readings-{model}.npz")
    return folder


def test_a_worse_result_is_called_so(evaluated: Path, tmp_path: Path) -> None:
    good = spoilt(evaluated, tmp_path / "good", "svm", 0.0)
    bad = spoilt(evaluated, tmp_path / "bad", "svm", 0.6)
    line = ["--model", "svm", "--out", str(tmp_path / "out"), "--samples", "50"]
    assert compare.main([str(good), str(bad), *line]) == 0
    _, found = result(tmp_path / "out", "comparison")
    assert "tiny: B's svm reads worse than A's svm" in found["verdicts"][0]
    assert found["pairs"][0]["parts"]["tiny"]["figures"]["accuracy"]["high"] < 0


def test_models_of_the_shipped_bundle(tiny_dataset: Path, tmp_path: Path) -> None:
    line = ["svm", "gnn", str(tiny_dataset), "--split", "validation", "--samples", "20"]
    assert compare.main([*line, "--out", str(tmp_path / "out")]) == 0
    _, found = result(tmp_path / "out", "comparison")
    assert found["subject"] == "gnn against svm"


def test_only_pictures_of_both_are_compared(evaluated: Path, tmp_path: Path) -> None:
    fewer = tmp_path / "fewer"
    shutil.copytree(evaluated, fewer)
    rows = Readings.open(fewer / "readings-svm.npz")
    order = np.random.default_rng(0).permutation(42)[:30]
    rows.take(order).save(fewer / "readings-svm.npz")
    line = [str(evaluated), str(fewer), "--model", "svm", "--out", str(tmp_path / "out")]
    assert compare.main([*line, "--samples", "20"]) == 0
    _, found = result(tmp_path / "out", "comparison")
    part = found["pairs"][0]["parts"]["tiny"]
    assert part["pictures"] == 30 and part["same answer"] == 1
    assert "30 pictures are in both (A 42, B 30)" in found["notes"]


@pytest.mark.parametrize(
    ("a", "told"),
    [
        ("nowhere", "neither a bundle"),
        ("models", "say what to read with it"),
        ("cnn", "neither a bundle"),
        ("{evaluated}:both", "no model 'both' in it"),
    ],
)
def test_sides_that_are_none(
    evaluated: Path,
    models_dir: Path,
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    a: str,
    told: str,
) -> None:
    monkeypatch.chdir(models_dir.parent)
    capsys.readouterr()
    line = [a.format(evaluated=evaluated), str(evaluated), "--out", str(tmp_path / "out")]
    assert compare.main(line) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("evaluate.compare: ") and told in said


@pytest.mark.parametrize("damage", ["json", "npz", "column"])
def test_a_broken_result(evaluated: Path, tmp_path: Path, capsys: Captured, damage: str) -> None:
    folder = shutil.copytree(evaluated, tmp_path / "broken")
    path = folder / ("evaluation.json" if damage == "json" else "readings-svm.npz")
    if damage == "column":
        with np.load(path) as file:
            np.savez(path, **{name: file[name] for name in file if name != "group"})
    else:
        path.write_bytes(b"{")
    capsys.readouterr()
    line = [str(folder), str(evaluated), "--out", str(tmp_path / "out")]
    assert compare.main(line) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert str(path) in told and told.endswith(": evaluate again")
