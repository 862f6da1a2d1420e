"""The page about limits, and the search for the graph network, on a tiny data set."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="the graph network needs Python 3.11 or 3.12")
pytest.importorskip("spektral")

from train import crops, gnn, gnn_search, limits
from train.dataset import find_pictures
from train.graph import Shape


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few epochs: what is tested is that the parts fit together, not how well they learn."""
    monkeypatch.setattr(gnn, "Settings", functools.partial(gnn.Settings, epochs=2))
    monkeypatch.setattr(limits, "SHARES", (0.5, 1.0))


@pytest.mark.usefixtures("short")
def test_the_page(tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    line = [str(tiny_dataset), "--out", str(out), "--epochs", "1", "--jobs", "1"]
    assert limits.main(line) == 0
    folder = out / "limits"
    found = json.loads((folder / "limits.json").read_text())
    assert set(found["size of the face"]["svm"]) == {"48", "40", "32", "24", "16"}
    assert list(found["training pictures"]["gnn"]) == ["56", "112"]
    assert 0 <= found["pixel network"]["accuracy"] <= 1
    page = (folder / "index.html").read_text()
    for picture in folder.glob("*.png"):
        assert f'src="{picture.name}"' in page
    assert len(list(folder.glob("*.png"))) == 3

    # A second call measures nothing anew.
    capsys.readouterr()
    assert limits.main(line) == 0
    assert "…\n" not in capsys.readouterr().out
    # Other settings measure what depends on them; a broken file is none.
    longer = [*line[:4], "2", *line[5:]]
    assert limits.main(longer) == 0
    assert [row for row in capsys.readouterr().out.splitlines() if row.endswith("…")] == [
        "pixel network …"
    ]
    assert json.loads((folder / "limits.json").read_text())["of"]["pixel network"] == "2 epochs"
    (folder / "limits.json").write_text('{"dataset": ')
    assert limits.main(longer) == 0
    assert capsys.readouterr().out.count("…\n") == 3


def test_less_than_one_epoch_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        limits.main(["data", "--epochs", "-1"])
    assert "--epochs: -1: has to be a whole number from 1 on" in capsys.readouterr().err


def test_pixels_are_cut_around_the_mesh(
    portrait: np.ndarray, tmp_path: Path, models_dir: Path, save: object
) -> None:
    """A face crop is taken whole; of a portrait the face is cut out. Light does not matter."""
    from edge import Recognizer

    folder = tmp_path / "data/face_happy"
    save(folder / "0.png", portrait)  # type: ignore[operator]
    save(folder / "1.png", portrait // 2)  # type: ignore[operator]
    mesh = Recognizer(models_dir)(portrait).mesh
    assert mesh is not None
    pictures = find_pictures([tmp_path / "data"])[0]
    bright, dark = crops.crops(pictures, np.stack([mesh.landmarks] * 2))
    assert bright.shape == (48, 48)
    assert abs(bright.mean()) < 1e-3
    assert np.corrcoef(bright.ravel(), dark.ravel())[0, 1] > 0.99
    # The mouth, which smiles, shows teeth: brighter than the cheeks beside it.
    low, high = mesh.landmarks[:, :2].min(axis=0), mesh.landmarks[:, :2].max(axis=0)
    side = (high - low).max() * crops.MARGIN
    x, y = (mesh.landmarks[13, :2] - (low + high - side) / 2) / side * 48
    assert 16 < x < 32
    assert 24 < y < 44


@pytest.mark.usefixtures("short")
def test_the_search_goes_on(
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One trial, then one more; a third call has nothing to do."""
    suggested = []
    original = gnn_search.suggest

    def suggest(trial: object) -> gnn.Settings:
        suggested.append(original(trial))  # type: ignore[arg-type]
        return suggested[-1]

    monkeypatch.setattr(gnn_search, "suggest", suggest)
    line = [str(tiny_dataset), "--out", str(tmp_path / "out"), "--jobs", "1", "--trials"]
    for trials, done in (("1", 1), ("2", 2), ("2", 2)):
        assert gnn_search.main([*line, trials]) == 0
        assert len(suggested) == done
    assert isinstance(suggested[0].shape, Shape)
    assert suggested[0] != suggested[1]  # the second call draws anew
    told = capsys.readouterr().out.splitlines()
    assert len([line for line in told if " parameters {" in line]) == 1 + 2 + 2


def test_a_broken_search_is_told(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gnn-search.db").write_bytes(b"no database " * 99)
    assert gnn_search.main([str(tiny_dataset), "--out", str(tmp_path), "--jobs", "1"]) == 1
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "gnn_search: " in line]
    assert f"{tmp_path / 'gnn-search.db'}: " in told
    assert "begins anew where the file is deleted" in told
