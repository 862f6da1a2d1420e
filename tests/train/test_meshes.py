"""Extraction can be stopped, goes on where it was, and repeats nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge import Recognizer
from edge.cameras.opencv import read_picture
from edge.errors import SetupError, SourceError
from train import meshes, spread
from train.dataset import find_pictures


@pytest.fixture
def root(tmp_path: Path, portrait: np.ndarray) -> Path:
    """Ten pictures of 48×48."""
    folder = tmp_path / "data/face_happy"
    folder.mkdir(parents=True)
    for i in range(10):
        crop = cv2.resize(portrait[30 + i : 200 + i, 140:310], (48, 48))
        cv2.imwrite(str(folder / f"{i}.png"), np.ascontiguousarray(crop[..., ::-1]))
    return tmp_path / "data"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the pictures that were looked at, in small parts so that there are several."""
    seen: list[str] = []
    original = meshes._row

    def row(name: str, *rest: Any) -> dict[str, Any]:
        seen.append(Path(name).stem)
        return original(name, *rest)

    monkeypatch.setattr(meshes, "_row", row)
    monkeypatch.setattr(spread, "BATCH", 2)
    monkeypatch.setattr(spread, "PART", 4)
    return seen


def extract(root: Path, **options: Any) -> meshes.Meshes:
    return meshes.extract(find_pictures([root])[0], root.parent / "out/m.npz", **options)


def interrupt_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at batch `count`."""
    original, calls = meshes.batch, []

    def batch(some: Sequence[meshes.Given]) -> spread.Columns:
        calls.append(1)
        if len(calls) > count:
            raise KeyboardInterrupt
        return original(some)

    monkeypatch.setattr(meshes, "batch", batch)


def same(one: meshes.Meshes, two: meshes.Meshes) -> None:
    for name in ("id", "stamp", "content", "fingerprint", "size", "presence", "landmarks"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_rows_are_those_of_the_device(root: Path, models_dir: Path) -> None:
    rows = extract(root)
    recognise = Recognizer(models_dir, cropped=True)
    assert rows.id.tolist() == [f"data/face_happy/{i}.png" for i in range(10)]
    assert rows.readable.all()
    assert (rows.size == 48).all()
    for i in range(10):
        path = root / f"face_happy/{i}.png"
        mesh = recognise(read_picture(path).image).mesh
        assert mesh is not None
        np.testing.assert_allclose(rows.landmarks[i], mesh.landmarks, atol=1e-4)
        assert rows.presence[i] == pytest.approx(mesh.presence, abs=1e-6)
        assert rows.content[i] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_mirrored_is_the_mesh_of_the_mirror_image(root: Path, models_dir: Path) -> None:
    rows = extract(root, view="mirrored")
    image = read_picture(root / "face_happy/3.png").image[:, ::-1]
    mesh = Recognizer(models_dir, cropped=True)(image).mesh
    assert mesh is not None
    np.testing.assert_allclose(rows.landmarks[3], mesh.landmarks, atol=1e-4)


def test_a_large_picture_is_asked_for_its_face(
    tmp_path: Path, models_dir: Path, portrait: np.ndarray
) -> None:
    """The face of the portrait takes a twentieth of it; the whole picture is no crop."""
    (tmp_path / "data/face_happy").mkdir(parents=True)
    bgr = np.ascontiguousarray(portrait[..., ::-1])
    cv2.imwrite(str(tmp_path / "data/face_happy/1.png"), bgr)
    mesh = Recognizer(models_dir)(portrait).mesh
    assert mesh is not None
    # A second look follows the first here, so the meshes are close, not equal.
    np.testing.assert_allclose(extract(tmp_path / "data").landmarks[0], mesh.landmarks, atol=8)


def test_a_second_run_does_nothing(root: Path, done: list[str]) -> None:
    first = extract(root)
    assert sorted(done) == [str(i) for i in range(10)]
    done.clear()
    same(extract(root), first)
    assert done == []
    assert [path.name for path in (root.parent / "out").iterdir()] == ["m.npz"]


@pytest.mark.parametrize("batches", [0, 1, 2, 3, 4])
def test_an_interrupted_run_goes_on(
    root: Path, done: list[str], monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    """All that was done is kept, whole part (here of four pictures) or not."""
    with monkeypatch.context() as patch:
        interrupt_after(batches, patch)
        with pytest.raises(KeyboardInterrupt):
            extract(root)
    kept = batches * 2
    assert len(done) == batches * 2
    done.clear()
    rows = extract(root)
    assert len(done) == 10 - kept
    assert rows.id.tolist() == [f"data/face_happy/{i}.png" for i in range(10)]
    assert [path.name for path in (root.parent / "out").iterdir()] == ["m.npz"]
    (root.parent / "out/m.npz").unlink()
    same(extract(root), rows)


def test_only_changed_and_new_pictures_are_done(root: Path, done: list[str]) -> None:
    before = extract(root)
    done.clear()
    (root / "face_happy/3.png").write_bytes((root / "face_happy/4.png").read_bytes())
    os.utime(root / "face_happy/3.png", ns=(1, 1))
    (root / "face_happy/new.png").write_bytes((root / "face_happy/5.png").read_bytes())
    (root / "face_happy/0.png").unlink()
    after = extract(root)
    assert sorted(done) == ["3", "new"]
    assert len(after) == 10
    np.testing.assert_array_equal(after.landmarks[2], before.landmarks[4])
    np.testing.assert_array_equal(after.landmarks[1], before.landmarks[2])


def test_a_look_at_other_pictures_loses_nothing(root: Path, done: list[str]) -> None:
    """Meshes of a large data set take long; a quick look at another one leaves them there."""
    before = extract(root)
    other = root.parent / "other"
    shutil.copytree(root, other)
    assert len(meshes.extract(find_pictures([other])[0], root.parent / "out/m.npz")) == len(before)
    done.clear()
    same(extract(root), before)
    assert done == []


@pytest.mark.parametrize("what", ["VERSION", "DETECT_FROM"])
def test_other_code_or_settings_start_anew(
    root: Path, done: list[str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Meshes made in two ways must not stand in one file."""
    extract(root)
    done.clear()
    monkeypatch.setattr(meshes, what, 40)
    extract(root)
    assert len(done) == 10


def test_mirrored_rows_are_not_taken_for_plain_ones(root: Path, done: list[str]) -> None:
    plain = extract(root)
    done.clear()
    assert (extract(root, view="mirrored").landmarks != plain.landmarks).any()
    assert len(done) == 10


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04 cut"])
def test_a_broken_file_of_meshes_is_made_again(root: Path, done: list[str], data: bytes) -> None:
    first = extract(root)
    (root.parent / "out/m.npz").write_bytes(data)
    same(extract(root), first)
    assert len(done) == 20


def test_an_unreadable_picture_is_a_row(root: Path) -> None:
    (root / "face_happy/3.png").write_text("hello")
    rows = extract(root)
    assert rows.readable.tolist() == [i != 3 for i in range(10)]
    assert rows.size[3].tolist() == [0, 0]
    assert (rows.content[3], rows.presence[3]) == ("", 0)
    assert not rows.landmarks[3].any()
    kept = rows.take(rows.readable)
    assert len(kept) == 9
    assert kept.id[3] == "data/face_happy/4.png"


def test_several_processes_make_the_same(root: Path) -> None:
    alone = extract(root)
    pictures = find_pictures([root])[0]
    with spread.over(2):
        same(meshes.extract(pictures, root.parent / "two/m.npz"), alone)


def test_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no pictures"):
        meshes.extract([], tmp_path / "m.npz")


def test_a_place_that_cannot_be_written(root: Path) -> None:
    (root.parent / "out").write_text("a file")
    with pytest.raises(SetupError, match="cannot be written") as error:
        extract(root)
    assert len(str(error.value).splitlines()) == 1
