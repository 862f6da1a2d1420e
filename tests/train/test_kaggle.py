"""Kaggle's table → folders. The download itself needs an account and is not tested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.cameras.opencv import read_picture
from train import kaggle
from train.dataset import find_pictures


def test_the_table_becomes_folders(tmp_path: Path) -> None:
    picture = np.arange(48 * 48) % 256
    pixels = " ".join(map(str, picture))
    table = tmp_path / "icml_face_data.csv"
    rows = ("emotion, Usage, pixels", "0,Training,", "6,PublicTest,", "3,PrivateTest,")
    table.write_text("\n".join([rows[0], *(row + pixels for row in rows[1:])]) + "\n")
    assert kaggle.unpack(table, tmp_path / "fer2013") == 3
    pictures, _ = find_pictures([tmp_path / "fer2013"])
    assert [(p.label, p.official_split) for p in pictures] == [
        (0, "Training"),
        (3, "PrivateTest"),
        (4, "PublicTest"),
    ]
    image = read_picture(tmp_path / "fer2013" / pictures[0].name).image
    np.testing.assert_array_equal(image[..., 0].ravel(), picture)


def test_without_the_client_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert kaggle.main([str(tmp_path / "data")]) == 1
    assert "pip install kaggle" in capsys.readouterr().err
