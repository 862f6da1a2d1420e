"""The whole command on a tiny data set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="the control needs Python 3.11 or 3.12")
pytest.importorskip("spektral")

from benchmarks.robustness import __main__ as robustness
from benchmarks.robustness import look, peer, sample
from benchmarks.robustness.conditions import CLEAN, CONDITIONS
from edge.arrays import load
from train.prepare import prepare

SOME = ("darker", "rotation", "mask")


@pytest.fixture
def line(
    tiny_dataset: Path, tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Three conditions, few pictures; in this process, so that the change of conditions holds."""
    few = tuple(c for c in CONDITIONS if c.name in SOME)
    monkeypatch.setattr(look, "CONDITIONS", few)
    monkeypatch.setattr(robustness, "CONDITIONS", few)
    monkeypatch.setattr("benchmarks.robustness.report.CONDITIONS", few)
    folders = ["--train", tmp_path / "train", "--out", tmp_path / "kept"]
    numbers = ["--pictures", "7", "--most", "14", "--epochs", "1", "--jobs", "1"]
    kept = ["--results", tmp_path / "results", "--models", models_dir]
    given = [tiny_dataset, *folders, *kept, *numbers]
    return [*map(str, given)]


def result(folder: Path) -> dict:
    return json.loads(sorted(folder.glob("*.json"))[-1].read_text())


def test_the_command(line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert robustness.main(line) == 0
    told = result(tmp_path / "results")
    assert told["sources"] == {"tiny": "crop"}
    assert str(tmp_path) not in json.dumps(told)  # where things lie here is nobody's business
    cell = told["figures"]["tiny/rotation/180/svm"]
    assert cell["pictures"] == 7
    assert told["figures"]["tiny/rotation/15/svm"]["pictures"] == 14  # a goal is judged there
    clean = told["figures"]["tiny/clean/0/both"]
    assert clean["drop"] == 0 and clean["coverage"] > 0.9
    assert 0 <= cell["accuracy"] <= 1 and cell["low"] <= cell["drop"] <= cell["high"]
    assert len(told["figures"]) == 5 * (1 + 5 * len(SOME))
    page = next((tmp_path / "results").glob("*.md")).read_text()
    picture = next((tmp_path / "results").glob("*.png"))
    assert picture.name in page and "The goal" in page

    # Again: nothing is looked at or trained anew; a file that is gone is made again.
    looked = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept/looks").iterdir()}
    gone = tmp_path / "kept/looks/tiny-mask-0.3.npz"
    before = load(gone, ["landmarks"])["landmarks"]
    gone.unlink()
    capsys.readouterr()
    assert robustness.main(line) == 0
    assert "training the control" not in capsys.readouterr().out
    for path, time in looked.items():
        assert (path.stat().st_mtime_ns == time) == (path != gone)
    np.testing.assert_allclose(load(gone, ["landmarks"])["landmarks"], before, atol=1e-3)
    assert result(tmp_path / "results")["figures"] == told["figures"]


def test_meshes_that_are_not_todays_are_refused(
    line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert robustness.main(line) == 0
    path = tmp_path / "kept/looks/tiny-mask-0.3.npz"
    kept = load(path, ["made_by", *look.Looks.__dataclass_fields__])
    kept["landmarks"] = kept["landmarks"] * np.array([1.3, 1, 1], np.float32)
    np.savez(path, **kept)
    capsys.readouterr()
    assert robustness.main(line) == 1
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert complaint.startswith("robustness: tiny-mask-0.3") and "remove" in complaint


def test_a_missing_data_set_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert robustness.main([str(tmp_path / "none.zip"), "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_sample_is_of_validation_and_of_every_class(
    build_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    folder = build_dataset(tmp_path / "tiny", 2, 8)
    data, _ = prepare([folder], tmp_path, views=())
    (drawn,) = sample.draw(data, 56)
    assert all("PublicTest" in picture.name for picture in drawn.pictures)
    assert len(set(drawn.group.tolist())) == len(drawn)
    for count in (14, 28, 49):
        parts = np.bincount(drawn.first(count).label, minlength=7)
        assert abs(parts - count / 7).max() <= 1.0
    again = sample.draw(data, 56)[0]
    assert again.pictures == drawn.pictures
    assert np.allclose(drawn.scene(3).mesh, drawn.meshes[3])


def test_the_goal_is_judged_on_more_pictures() -> None:
    fewer = [c for c in CONDITIONS if c.reach]
    assert {c.name for c in fewer} >= {"darker", "brighter", "rotation", "smaller", "larger"}
    for condition in fewer:
        assert condition.family in ("light", "geometry")
    assert CLEAN.levels == (0.0,)


def test_a_peer_that_cannot_start_is_one_line() -> None:
    broken = peer.Peer(Path("/bin/false"))
    with pytest.raises(peer.PeerError, match="remove its environment"):
        broken([np.zeros((8, 8, 3), np.uint8)], True)
    broken.close()
