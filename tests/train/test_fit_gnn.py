"""Fitting the graph network: what it draws, and that a stopped training loses nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.features import aligned_xy, normalised
from train.fitted import Fitted
from train.prepare import Data

REPO = Path(__file__).resolve().parents[2]
Draw = Callable[..., Data]


@pytest.fixture(scope="module")
def gnn(tensorflow: Any) -> Any:
    """`train.gnn`, where it can be imported."""
    from train import gnn

    return gnn


@pytest.fixture(scope="module")
def settings(gnn: Any) -> Any:
    """A small network. The first of its epochs is the best, the third the last: see below."""
    from train.graph import Shape

    return gnn.Settings(
        Shape(4, 1, 8, 16),
        epochs=5,
        patience=2,
        batch=60,
        directions=20,
        learning_rate=0.03,
        seed=4,
    )


def same(one: Fitted, other: Fitted) -> bool:
    """Whether all arrays and answers are the same, to the last bit."""
    assert one.arrays.keys() == other.arrays.keys()
    return np.array_equal(one.probabilities, other.probabilities) and all(
        np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays
    )


# --- what is drawn ---


@pytest.fixture(scope="module")
def faces(gnn: Any, settings: Any) -> Any:
    """205 faces in three views; a face's values tell which it is, and in which view."""
    nodes = np.arange(205.0)[None, :, None, None] + np.array([0, 1000, 2000])[:, None, None, None]
    label = np.arange(205) % 7
    label[:70] = 3
    source = np.full(205, "one")
    return gnn._Faces(np.broadcast_to(nodes, (3, 205, 468, 2)), label, source, settings)


def epoch(faces: Any, number: int) -> np.ndarray:
    """Value of each face of an epoch, as drawn."""
    faces.begin(number)
    return np.concatenate([faces[i][0][:, 0, 0] for i in range(len(faces))])


def test_an_epoch_has_each_face_once_in_some_view(faces: Any) -> None:
    values = epoch(faces, 0)
    assert sorted(values % 1000) == list(range(205))
    assert set(values // 1000) == {0, 1, 2}


def test_an_epoch_is_the_same_after_a_restart_and_unlike_others(faces: Any) -> None:
    second = epoch(faces, 2)
    assert not np.array_equal(epoch(faces, 1), second)
    np.testing.assert_array_equal(epoch(faces, 2), second)


def test_targets_belong_to_their_faces(faces: Any, settings: Any) -> None:
    """Smoothed, but the label stays the likeliest; a rare class weighs more."""
    faces.begin(0)
    seen = {}
    for i in range(len(faces)):
        nodes, target, weight = faces[i]
        number = (nodes[:, 0, 0] % 1000).astype(int)
        label = np.where(number < 70, 3, number % 7)
        np.testing.assert_array_equal(target.argmax(axis=1), label)
        np.testing.assert_allclose(target.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(target.max(axis=1), 1 - settings.smoothing * 6 / 7, atol=1e-6)
        seen.update(zip(label.tolist(), weight.tolist(), strict=True))
    count = np.bincount([3] * 70 + [n % 7 for n in range(70, 205)])
    ratio = (count[3] / count[0]) ** settings.balance
    assert seen[0] / seen[3] == pytest.approx(ratio, rel=1e-5)
    assert seen[0] > 1 > seen[3]


# --- the normaliser ---


def test_normaliser_is_as_shipped_and_gives_rms_one(
    gnn: Any, settings: Any, draw_faces: Draw
) -> None:
    rows = np.stack([aligned_xy(mesh) for mesh in draw_faces().landmarks]).astype(float)
    found = gnn.fit_normaliser(rows, settings)
    assert {k: (v.shape, str(v.dtype)) for k, v in found.items()} == {
        "mean": ((936,), "float32"),
        "basis": ((936, 20), "float16"),
        "gain": ((20,), "float32"),
    }
    basis = found["basis"].astype(float)
    np.testing.assert_allclose(basis.T @ basis, np.eye(20), atol=2e-3)
    nodes = (((rows - found["mean"]) @ basis) * found["gain"]) @ basis.T
    assert np.sqrt((nodes**2).mean()) == pytest.approx(1, abs=0.02)
    assert np.abs(normalised(rows, found["mean"], basis, found["gain"])).max() <= 4
    # What varies most is divided by most, but stays what varies most (whitening below 1).
    spread = ((rows - found["mean"]) @ basis).std(axis=0)
    assert (np.diff(found["gain"]) > 0).all()
    assert (np.diff(spread * found["gain"]) < 1e-6).all()


def test_fewer_faces_than_directions(gnn: Any, settings: Any, draw_faces: Draw) -> None:
    """Nothing varies along the others: they must not be blown up."""
    rows = np.stack([aligned_xy(mesh) for mesh in draw_faces(14).landmarks]).astype(float)
    found = gnn.fit_normaliser(rows, settings)
    others = np.stack([aligned_xy(mesh) for mesh in draw_faces(70, seed=1).landmarks])
    nodes = normalised(others, *(found[name].astype(float) for name in found))
    assert (np.abs(nodes) == 4).mean() < 0.01


# --- training ---


@pytest.fixture(scope="module")
def whole(gnn: Any, settings: Any, draw_faces: Draw, tmp_path_factory: Any) -> Fitted:
    """A training that nothing stopped."""
    return gnn.fit(draw_faces(), tmp_path_factory.mktemp("whole"), settings)


def test_the_seed_decides_everything(
    gnn: Any, settings: Any, draw_faces: Draw, whole: Fitted, tmp_path: Path
) -> None:
    from dataclasses import replace

    assert same(gnn.fit(draw_faces(), tmp_path, settings), whole)
    assert not same(gnn.fit(draw_faces(), tmp_path, replace(settings, seed=1)), whole)


def test_curves_have_a_row_an_epoch(whole: Fitted) -> None:
    assert set(whole.curves) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert {len(row) for row in whole.curves.values()} == {3}
    # Else a stopped training had no best weights and no patience to forget.
    assert np.argmin(whole.curves["val_loss"]) == 0


def test_weights_are_those_of_the_best_epoch(whole: Fitted, draw_faces: Draw) -> None:
    right = (whole.predicted == draw_faces().validation_label).mean()
    best = np.argmin(whole.curves["val_loss"])
    assert right == pytest.approx(whole.curves["val_accuracy"][best], abs=1e-6)


@pytest.mark.parametrize(
    ("epoch", "moment"),
    [
        (0, "in the epoch"),
        (0, "before its backup"),
        (0, "after its backup"),
        (1, "after its backup"),
        (2, "in the epoch"),
        (2, "before its backup"),
    ],
)
def test_a_stopped_training_goes_on(
    gnn: Any,
    settings: Any,
    draw_faces: Draw,
    whole: Fitted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    epoch: int,
    moment: str,
) -> None:
    """Ctrl-C at any moment: the same command ends where it would have."""

    def stop(when: bool) -> None:
        if when:
            raise KeyboardInterrupt

    begun: list[int] = []
    begin, save = gnn._Faces.begin, gnn.keras.callbacks.BackupAndRestore.on_epoch_end

    def began(faces: Any, number: int) -> None:
        begun.append(number)
        begin(faces, number)

    def saved(backup: Any, number: int, logs: Any = None) -> None:
        stop(moment == "before its backup" and number == epoch)
        save(backup, number, logs)
        stop(moment == "after its backup" and number == epoch)

    def stepped(batch: int, logs: Any) -> None:
        stop(moment == "in the epoch" and (begun[-1], batch) == (epoch, 1))

    stepping = gnn.keras.callbacks.LambdaCallback(on_batch_end=stepped)
    with monkeypatch.context() as patch:
        patch.setattr(gnn._Faces, "begin", began)
        patch.setattr(gnn.keras.callbacks.BackupAndRestore, "on_epoch_end", saved)
        patch.setattr(gnn.keras.callbacks, "TensorBoard", lambda *_, **__: stepping)
        with pytest.raises(KeyboardInterrupt):
            gnn.fit(draw_faces(), tmp_path, settings)
    assert begun[-1] == epoch
    begun.clear()
    monkeypatch.setattr(gnn._Faces, "begin", began)
    again = gnn.fit(draw_faces(), tmp_path, settings)
    done = epoch + (moment == "after its backup")
    assert begun == [0, *range(done, 3)]  # the first is the making of it
    assert again.curves == whole.curves
    assert same(again, whole)
    assert not list(tmp_path.glob("gnn-*"))  # nothing to go on with is left


def test_other_data_does_not_go_on(
    gnn: Any, settings: Any, draw_faces: Draw, whole: Fitted, tmp_path: Path
) -> None:
    """What a training on other faces left in the same folder is not taken up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gnn.shutil, "rmtree", lambda path: None)
        gnn.fit(draw_faces(seed=5), tmp_path, settings)
    assert same(gnn.fit(draw_faces(), tmp_path, settings), whole)


STOPPED_BY_THE_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from edge.arrays import load
from train import command
from train.gnn import Settings, fit
from train.graph import Shape
from train.prepare import Data

limit, out = sys.argv[1:]
faces = np.random.default_rng(0).normal(0, 1, (70, 468, 3)).astype(np.float32)
label, source = np.arange(70) % 7, np.full(70, "drawn")
sure = np.ones(70)
data = Data(
    *(faces, {"mirrored": faces}, label, source, ()),
    *(faces, label, source, (), sure, sure, label, faces),
)
command.prepare = lambda *_, **__: (data, {})

def work(data, about, options):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit),) * 2)
    fit(data, options.out, Settings(Shape(4, 1, 8, 16), epochs=2))

sys.exit(command.run(command.parser("train", ""), ["data", "--out", out], work))
"""


@pytest.mark.parametrize("limit", [100, 20_000, 60_000])
def test_a_full_disk_is_one_line(tensorflow: Any, tmp_path: Path, limit: int) -> None:
    """A limit on the size of files stands for the disk; each stops another file."""
    line = [sys.executable, "-c", STOPPED_BY_THE_DISK, str(limit), str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=REPO, timeout=120)
    told = [row for row in done.stderr.splitlines() if row.startswith("train: ")]
    assert (done.returncode, len(told)) == (1, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert "too large" in told[0]
