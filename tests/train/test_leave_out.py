"""Sources that are left out: nothing of them trains, all of them is judged, nothing twice."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.errors import SetupError
from train import leave_out, svm
from train.__main__ import fit
from train.balance import weights
from train.fitted import Fitted
from train.prepare import Data


@pytest.fixture
def data(draw_faces: Callable[..., Data]) -> Data:
    """Drawn faces: two thirds of source "a", where the first class is rare, the others of "b"."""
    drawn = draw_faces(train=630, validation=140)
    drawn = replace(drawn, pictures=[None] * 630, validation_pictures=[None] * 140)
    source = np.where(np.arange(630) % 3 < 2, "a", "b")
    return replace(
        drawn, source=source, validation_source=np.where(np.arange(140) % 3 < 2, "a", "b")
    )


def test_what_is_left_out_is_judged_whole(data: Data) -> None:
    rest = leave_out.without(data, "b")
    assert set(rest.source) == {"a"}
    assert (rest.validation_source == "b").sum() == 210 + (data.validation_source == "b").sum()
    assert len(rest.landmarks) == len(rest.label) == len(rest.pictures) == 420
    assert {len(view) for view in rest.views.values()} == {420}
    assert len(rest.validation_landmarks) == len(rest.validation_pictures) == 140 + 210
    kept = {mesh.tobytes() for mesh in rest.landmarks}
    assert not kept & {mesh.tobytes() for mesh in rest.validation_landmarks}


def test_every_source_once_and_no_figure_twice(
    data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []

    def counted(rest: Data) -> Fitted:
        seen.extend(np.unique(rest.source))
        return svm.best(rest)

    found = leave_out.judge(data, {"svm": counted}, tmp_path, {"fingerprint": "0"})
    assert seen == ["b", "a"]
    assert list(found) == ["a", "b"]
    assert found["b"]["svm"]["pictures"] == 210 + (data.validation_source == "b").sum()
    assert found["b"]["svm"]["accuracy"] > 2 / 7  # the two are drawn alike
    assert "svm without a: accuracy 0." in capsys.readouterr().out
    assert leave_out.judge(data, {"svm": counted}, tmp_path, {"fingerprint": "0"}) == found
    assert seen == ["b", "a"]
    leave_out.judge(data, {"svm": counted}, tmp_path, {"fingerprint": "1"})
    assert seen == ["b", "a"] * 2
    for broken in ("", "[]"):  # what a full disk may leave, or somebody's hand
        (tmp_path / leave_out.FILE).write_text(broken)
        leave_out.judge(data, {"svm": counted}, tmp_path, {"fingerprint": "1"})
    assert seen == ["b", "a"] * 4


def test_one_source_cannot_be_left_out(draw_faces: Callable[..., Data], tmp_path: Path) -> None:
    """Told before anything is trained."""
    options = Namespace(recipes=["svm"], out=tmp_path, leave_out=True)
    with pytest.raises(SetupError, match=r"--leave-out needs two sources.* only drawn"):
        fit(draw_faces(), {}, options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("balance", [0.0, 0.3, 1.0])
def test_each_source_is_weighed_by_itself(balance: float) -> None:
    """What is rare in one source gains nothing by being common in another."""
    label = np.array([0] * 60 + [1] * 20 + [0] * 5 + [1] * 45)
    source = np.array(["a"] * 80 + ["b"] * 50)
    weight = weights(label, source, balance)
    for name in "ab":
        rows = source == name
        alone = weights(label[rows], source[rows], balance) * rows.sum() / 80
        np.testing.assert_allclose(weight[rows], alone, rtol=1e-12)
    ratio = (60 / 20) ** balance, (5 / 45) ** balance
    assert weight[60] / weight[0] == pytest.approx(ratio[0])
    assert weight[85] / weight[80] == pytest.approx(ratio[1])
    if balance == 1:
        assert weight[:60].sum() == pytest.approx(weight[60:80].sum())
