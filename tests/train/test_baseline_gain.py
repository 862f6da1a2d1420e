"""What a baseline is worth, on people who are drawn: each has a face of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.baseline import mean_neutral
from edge.bundle import Bundle
from edge.types import CLASSES
from train import baseline_gain
from train.baseline_gain import STRENGTHS, Answers, main, people, trials


@pytest.fixture
def trained(tmp_path: Path, models_dir: Path) -> Path:
    """The mean neutral face with a grudge: every person has one of their own, in each picture."""
    rng = np.random.default_rng(1)
    neutral = mean_neutral(Bundle.open(models_dir))
    names, splits, meshes = [], [], []
    for number in range(24):
        own = rng.normal(0, 0.02, (468, 1)) * rng.normal(0, 1, (1, 3))
        split = "train" if number < 12 else "validation"
        labels = [4, 4, 4, 4, 4, 3] if number % 2 else [4, 3]
        for i, label in enumerate(labels):
            names.append(f"drawn/face_{CLASSES[label]}/lfw_P_{number}_{i:04d}.jpg")
            splits.append(f"{names[-1]},{label},{number},{split},")
            meshes.append(neutral + own + rng.normal(0, 0.0001, (468, 3)))
    names.append("drawn/face_neutral/lfw_Alone_0001.jpg")
    splits.append(f"{names[-1]},4,99,train,")
    meshes.append(neutral)
    (tmp_path / "splits.csv").write_text("\n".join(["id,label,group,split,why", *splits]) + "\n")
    landmarks = np.array(meshes, np.float32)
    np.savez(tmp_path / "meshes.npz", id=names, landmarks=landmarks, presence=np.ones(len(names)))
    return tmp_path


def test_people_are_found_and_kept_apart(trained: Path) -> None:
    of = people(trained)
    assert {split: len(some.rows) for split, some in of.items()} == {"train": 12, "validation": 12}
    assert not set(of["train"].rows) & set(of["validation"].rows)
    for one in of.values():
        for person, row, baselines in trials(one, mean=False):
            assert row in one.rows[person]
            assert 1 <= len(baselines) <= baseline_gain.MOST_BASELINES
            for face in baselines:  # never the picture that is read
                assert not np.array_equal(face, one.mesh[row])
        assert {person for person, _, _ in trials(one, mean=True)} == {
            f"drawn/P_{number}" for number in range(24) if number % 2
        } & set(one.rows)


def test_own_face_is_taken_off(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All neutral faces are the mean one when all that is particular is taken off."""
    assert main(["--trained", str(trained)]) == 0
    told = capsys.readouterr().out
    assert told.count("## ") == 6  # three models, one picture or a mean
    rows = [line.split(" | ") for line in told.splitlines() if "| neutral right |" in line]
    for row in rows:
        assert float(row[-1].rstrip(" |")) > 0.95
        assert float(row[-1].rstrip(" |")) >= float(row[2])


def test_figures_by_hand() -> None:
    """Two pictures of A, each with two baselines; one of B."""
    strengths = len(STRENGTHS)
    read = np.full((5, strengths), 0)
    read[:, -1] = [4, 4, 4, 3, 3]
    answers = Answers(
        np.array(list("AAAAB")),
        np.array([4, 4, 3, 3, 3]),
        np.array([0.5, 0.5, 0.5, 0.5, 1.0]),
        read,
    )
    figures = answers.figures()
    assert figures["accuracy"][0] == 0
    assert figures["accuracy"][-1] == pytest.approx(2.5 / 3)
    assert figures["neutral right"][-1] == 1
    assert figures["neutral called angry or sad"].tolist() == [1.0] * (strengths - 1) + [0.0]
    assert figures["others right"][-1] == pytest.approx(0.75)
    won, low, high = answers.gain(strengths - 1)
    assert won == pytest.approx(2.5 / 3)
    assert low == pytest.approx(0.75)  # A alone
    assert high == pytest.approx(1.0)  # B alone


def test_nobody_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "splits.csv").write_text("id,label,group,split,why\n")
    np.savez(
        tmp_path / "meshes.npz",
        id=np.empty(0, "U1"),
        landmarks=np.empty((0, 468, 3), np.float32),
        presence=np.empty(0),
    )
    assert main(["--trained", str(tmp_path)]) == 1
    assert "nobody has several pictures" in capsys.readouterr().err
