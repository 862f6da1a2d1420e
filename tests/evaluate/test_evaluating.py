"""Whole evaluations: what is scored, what is told, what is written."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.evaluate import metrics, readings, survey
from benchmarks.evaluate.__main__ import main
from benchmarks.evaluate.command import _how
from benchmarks.evaluate.figures import by_size, flips
from benchmarks.evaluate.readings import Readings
from edge import Recognizer
from edge.bundle import Bundle
from edge.cameras.opencv import read_picture
from edge.types import CLASSES
from tests.tools.evaluation import Markup, result
from train import splits, spread
from train.dataset import find_pictures, fingerprint

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def trained_on(edit_manifest: Callable[..., Path]) -> Callable[..., Path]:
    """The shipped bundle, saying that it was trained on these sources."""

    def edit(*sources: str, fingerprint: str = "0") -> Path:
        return edit_manifest(
            dataset={"fingerprint": fingerprint, "near": splits.NEAR, "train_on": sources}
        )

    return edit


def test_an_evaluation(
    tiny_dataset: Path, trained_on: Callable[..., Path], tmp_path: Path, capsys: Captured
) -> None:
    """Pictures that trained the bundle are not scored; the figures are those of its readings."""
    bundle, out = trained_on("tiny"), tmp_path / "out"
    line = [str(tiny_dataset), "--models", str(bundle), "--out", str(out), "--samples", "50"]
    assert main([*line, "--model", "svm", "gnn"]) == 0
    told = capsys.readouterr()
    folder, found = result(out)
    assert list(found["models"]) == ["svm", "gnn"]
    assert found["warnings"] == [] and "WARNING" not in told.out
    assert found["about"]["scored"] == {"tiny": 42}
    assert found["about"]["pictures"] == {"tiny": 154}
    assert found["about"]["read as"] == {"tiny": "crops"}
    assert "tiny: 42 of 154 pictures scored, read as crops" in told.out
    assert any("trained nothing" in note for note in found["notes"])

    rows = Readings.open(folder / "readings-svm.npz")
    assert not rows.seen.any() and all("PublicTest" in name for name in rows.id)
    recognise = Recognizer(bundle, "svm", cropped=True, tracking=False)
    for i in (0, 20, 41):
        reading = recognise(read_picture(tiny_dataset.parent / rows.id[i]).image)
        assert rows.label[i] == reading.label
        assert reading.probabilities is not None and reading.mesh is not None
        np.testing.assert_array_equal(rows.probabilities[i], reading.probabilities)
        assert rows.face[i] == pytest.approx(np.ptp(reading.mesh.landmarks[:, :2], axis=0).max())
    of = found["models"]["svm"]["all"]
    expected = metrics.scorer(rows.truth, rows.probabilities, rows.told)(np.ones(42))
    for name, value in expected.items():
        assert of["figures"][name]["value"] == (None if np.isnan(value) else value)
    assert of["figures"]["accuracy"]["low"] <= of["figures"]["accuracy"]["value"]
    assert np.sum(of["confusion"]) == 42 == np.sum(of["reliability"]["weight"])
    shown = [line for line in told.out.splitlines() if line.startswith("| svm   | tiny")]
    assert f"{expected['accuracy']:.3f} (" in shown[0]
    clip = found["models"]["svm"]["clips"][0]
    assert (clip["clip"], clip["frames"]) == ("sample.y4m", 120)


def test_the_page_needs_nothing_beside_it(
    tiny_dataset: Path, trained_on: Callable[..., Path], tmp_path: Path
) -> None:
    """Pictures are in it, and of these none is of the data set; what failed is escaped."""
    nasty = tiny_dataset.rename(tmp_path / "<b>ti&ny")
    line = [str(nasty), "--models", str(trained_on()), "--out", str(tmp_path / "out")]
    assert main([*line, "--split", "validation", "--model", "svm", "--samples", "20"]) == 0
    folder, _ = result(tmp_path / "out")
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Markup()
    page.feed(text)
    assert page.open == [] and len(page.asked) == 6
    assert all(address.startswith("data:image/png;base64,") for address in page.asked)
    assert "<b>" not in text and "&lt;b&gt;ti&amp;ny" in text
    drawn = sorted(path.name for path in folder.glob("*.png"))
    assert drawn == [
        "confusion.png", "face_size.png", "overview.png", "per_class.png", "reliability.png",
        "risk_coverage.png",
    ]  # fmt: skip
    for name in drawn:
        image = cv2.imread(str(folder / name))
        assert image is not None and image.std() > 5


def test_scoring_what_trained_it_is_told(
    tiny_dataset: Path, trained_on: Callable[..., Path], tmp_path: Path, capsys: Captured
) -> None:
    line = [str(tiny_dataset), "--models", str(trained_on("tiny")), "--out", str(tmp_path / "out")]
    assert main([*line, "--split", "all", "--model", "svm", "--samples", "20"]) == 0
    folder, found = result(tmp_path / "out")
    (warning,) = found["warnings"]
    assert warning.startswith("112 of the 154 scored pictures trained this bundle")
    assert f"WARNING: {warning}" in capsys.readouterr().out
    assert warning in (folder / "index.html").read_text(encoding="utf-8")
    assert found["models"]["svm"]["all"]["trained the bundle"] == 112


def survey_of(roots: list[Path], bundle: Path, out: Path) -> tuple[Any, Bundle]:
    opened = Bundle.open(bundle)
    return survey.survey(find_pictures(roots)[0], opened, out), opened


def test_what_is_unseen(
    tiny_dataset: Path, trained_on: Callable[..., Path], tmp_path: Path
) -> None:
    """Of another source all pictures are, but for copies of those that trained the bundle."""
    other = tmp_path / "other/face_happy"
    other.mkdir(parents=True)
    for i, source in enumerate(sorted((tiny_dataset / "face_happy").glob("*Training*"))[:3]):
        shutil.copy(source, other / f"{i}.jpg")
    shutil.copy(next((tiny_dataset / "face_sad").glob("*PublicTest*")), other / "4.jpg")
    image = np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8)
    cv2.imwrite(str(other / "5.jpg"), image)
    roots = [tiny_dataset, other.parent]
    found, bundle = survey_of(roots, trained_on("tiny"), tmp_path / "cache")
    rows = survey.chosen(found, "unseen", bundle)
    names = np.array([picture.id for picture in found.pictures])
    # 4.jpg is labelled happy, its copy sad: as in training, neither can be right.
    assert sorted(names[rows & (found.source == "other")]) == [
        "other/face_happy/4.jpg",
        "other/face_happy/5.jpg",
    ]
    assert (rows & (found.source == "tiny")).sum() == 41
    assert found.seen[names == "other/face_happy/0.jpg"].all()
    everything = survey.chosen(found, "all", bundle)
    assert everything.all()
    # Trained on the other source only, all of the first but copies is unseen.
    found, bundle = survey_of(roots, trained_on("other"), tmp_path / "cache")
    assert survey.chosen(found, "unseen", bundle)[found.source == "tiny"].sum() > 145


def test_a_renamed_training_set_is_known_by_its_file_names(
    tiny_dataset: Path, trained_on: Callable[..., Path], tmp_path: Path
) -> None:
    found, _ = survey_of([tiny_dataset], trained_on("fer2013"), tmp_path / "cache")
    assert found.seen.sum() == 112


@pytest.mark.parametrize(
    ("given", "warned"),
    [(("tiny", "other"), True), (("other",), True), (("tiny", "big"), False), (("tiny",), False)],
)
def test_a_training_set_under_another_name_is_asked_for(
    trained_on: Callable[..., Path], tmp_path: Path, given: tuple[str, ...], warned: bool
) -> None:
    """Wherever one of the bundle's own is missing, also beside one that is there."""
    bundle = Bundle.open(trained_on("tiny", "big"))
    told = {"scored": dict.fromkeys(given, 1), "pictures": dict.fromkeys(given, 1), "split": "all"}
    lines = _how(
        SimpleNamespace(certain=False),  # type: ignore[arg-type]
        bundle,
        {**told, "read as": dict.fromkeys(given, "crops")},
    )
    assert any("is known by its name: if other is " in line for line in lines) == warned


def test_a_linked_data_set_has_the_links_name(tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "named").symlink_to(tiny_dataset)
    assert {picture.source for picture in find_pictures([tmp_path / "named"])[0]} == {"named"}


def test_the_fingerprint_makes_certain(
    tiny_dataset: Path, trained_on: Callable[..., Path], tmp_path: Path
) -> None:
    found, _ = survey_of([tiny_dataset], trained_on("tiny"), tmp_path / "cache")
    assert not found.certain
    names = [picture.id for picture in found.pictures]
    made = fingerprint(zip(names, found.content, strict=True))
    again, _ = survey_of([tiny_dataset], trained_on("tiny", fingerprint=made), tmp_path / "cache")
    assert again.certain


def test_readings_are_kept(
    tiny_dataset: Path,
    trained_on: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For a second run, and for another choice of the same pictures; not for another bundle."""
    out, done = tmp_path / "cache", []
    original = readings.answer

    def answer(some: Any) -> spread.Columns:
        done.extend(some)
        return original(some)

    monkeypatch.setattr(readings, "answer", answer)

    def read(bundle: Path, split: str, faces: str = "auto") -> Readings:
        found, opened = survey_of([tiny_dataset], bundle, out)
        rows = survey.chosen(found, split, opened)
        return readings.read(found, rows, opened, "svm", survey.reads_cropped(found, faces), out)

    bundle = trained_on("tiny")
    first = read(bundle, "validation")
    assert len(done) == 42
    assert len(read(bundle, "all").id) == 154
    assert len(done) == 154
    again = read(bundle, "validation")
    assert len(done) == 154
    np.testing.assert_array_equal(again.probabilities, first.probabilities)
    read(bundle, "validation", "photographs")
    assert len(done) == 196
    read(trained_on("another"), "validation")
    assert len(done) == 238


def test_photographs_and_crops(
    portrait: np.ndarray, save: Callable[..., Path], models_dir: Path, tmp_path: Path
) -> None:
    """Large pictures are searched for a face; where none is found, the answer is wrong."""
    for i in range(3):
        save(tmp_path / f"photos/face_happy/{i}.png", portrait[: 500 - i])
        empty = np.full((300, 300 + i, 3), 90, np.uint8)
        save(tmp_path / f"photos/face_sad/{i}.png", empty)
    found, bundle = survey_of([tmp_path / "photos"], models_dir, tmp_path / "cache")
    assert survey.reads_cropped(found, "auto") == {"photos": False}
    assert survey.reads_cropped(found, "cropped") == {"photos": True}
    everything = np.full(6, True)
    rows = readings.read(found, everything, bundle, "svm", {"photos": False}, tmp_path / "cache")
    assert rows.reason.tolist() == [""] * 3 + ["no face"] * 3
    assert rows.label.tolist() == ["happy"] * 3 + ["unknown"] * 3
    assert np.isnan(rows.probabilities[3:]).all() and not rows.face[3:].any()
    score = metrics.scorer(rows.truth, rows.probabilities, rows.told)(np.ones(6))
    assert (score["accuracy"], score["mesh"], score["accuracy_told"]) == (0.5, 0.5, 1.0)


def test_sizes_of_faces() -> None:
    found = by_size(np.array([0, 23.9, 24, 47, 191.9, 192, 900]))
    told = {name: np.flatnonzero(rows).tolist() for name, rows in found.items() if rows.any()}
    assert told == {
        "no mesh": [0],
        "under 24": [1],
        "24 to 32": [2],
        "40 to 48": [3],
        "128 to 192": [4],
        "192 and more": [5, 6],
    }


def test_flips_are_counted_by_the_minute(
    models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample with every second frame's answer turned round: smoothing hides that."""
    steady = flips(models_dir / "sample.y4m", models_dir, "svm")
    assert steady["single frames"]["changes"] == 0
    original, calls = Recognizer.__call__, []

    def nervous(self: Recognizer, image: np.ndarray) -> Any:
        reading = original(self, image)
        calls.append(1)
        told = "happy" if len(calls) % 2 else "sad"
        sure = np.full(7, 0.02, np.float32)
        sure[CLASSES.index(told)] += 0.86
        return replace(reading, label=told, probabilities=sure)

    monkeypatch.setattr(Recognizer, "__call__", nervous)
    found = flips(models_dir / "sample.y4m", models_dir, "svm")
    assert found["single frames"]["changes"] == 119
    assert found["single frames"]["per_minute"] == pytest.approx(119 / (119 / 15 / 60), rel=1e-3)
    assert found["smoothed"]["changes"] <= 2


def test_a_video_among_the_data_is_a_clip(
    tiny_dataset: Path, trained_on: Callable[..., Path], models_dir: Path, tmp_path: Path
) -> None:
    clip = shutil.copy(models_dir / "sample.y4m", tmp_path / "mine.y4m")
    line = [str(tiny_dataset), str(clip), "--models", str(trained_on("tiny"))]
    assert main([*line, "--model", "svm", "--samples", "20", "--out", str(tmp_path / "out")]) == 0
    _, found = result(tmp_path / "out")
    assert [clip["clip"] for clip in found["models"]["svm"]["clips"]] == ["mine.y4m"]


def test_an_unreadable_picture_is_told(
    tiny_dataset: Path, trained_on: Callable[..., Path], tmp_path: Path
) -> None:
    (tiny_dataset / "face_happy/fer2013_PublicTest_3016.jpg").write_text("hello")
    line = [str(tiny_dataset), "--models", str(trained_on("tiny")), "--out", str(tmp_path / "out")]
    assert main([*line, "--model", "svm", "--samples", "20"]) == 0
    _, found = result(tmp_path / "out")
    assert found["about"]["scored"] == {"tiny": 41}
    assert any("1 unreadable pictures left out" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.zip"], "no such folder or zip"),
        (["{data}", "--model", "cnn"], "no model 'cnn'"),
        (["{data}", "--models", "nowhere"], "manifest.json is missing"),
        (["{data}", "--split", "test"], "no picture to score"),
        (["{data}", "--dask", "tcp://127.0.0.1:9"], "--dask tcp://127.0.0.1:9: "),
        (["{data}", "--clip", "nowhere.mp4"], "nowhere.mp4"),
    ],
)
def test_mistakes_are_one_line(
    tiny_dataset: Path,
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    told: str,
) -> None:
    monkeypatch.setattr("train.cluster.WAIT_S", 1)
    line = [one.format(data=tiny_dataset) for one in arguments]
    assert main([*line, "--out", str(tmp_path / "out"), "--samples", "20"]) == 1
    said = [
        one for one in re.split(r"[\r\n]+", capsys.readouterr().err) if one.startswith("evaluate:")
    ]
    assert len(said) == 1 and told in said[0]


def test_the_file_of_a_zip_is_read(
    tiny_dataset: Path, trained_on: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "zipped.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(tiny_dataset.rglob("*.jpg")):
            archive.write(file, file.relative_to(tiny_dataset))
    line = [str(path), "--models", str(trained_on("zipped")), "--out", str(tmp_path / "out")]
    assert main([*line, "--model", "svm", "--samples", "20"]) == 0
    assert result(tmp_path / "out")[1]["about"]["scored"] == {"zipped": 42}
