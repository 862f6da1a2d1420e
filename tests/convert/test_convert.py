"""Nothing that differs from scikit-learn's answers is shipped; the old bundle stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert import __main__ as conversion
from convert import svm
from convert.__main__ import convert, main
from edge import CLASSES, Recognizer
from edge.classify.svm import SupportVectorMachine
from edge.errors import SetupError
from edge.features import FEATURES
from train.plausible import stamp

Change = Callable[..., Path]


def plausible_of(tmp_path: Path) -> Path:
    """Where training leaves what limits are fitted on."""
    path = tmp_path / "trained" / "plausible.npz"
    path.parent.mkdir(exist_ok=True)
    return path


@pytest.fixture
def trained(models_dir: Path, tmp_path: Path, portrait: np.ndarray) -> Change:
    """Writes what training would leave: the shipped arrays, and right answers on 20 meshes.

    The answers are worked out here in float64, from the formula in `edge.classify.svm`.
    """
    with np.load(models_dir / "svm.npz") as file:
        arrays = {name: file[name].astype(np.float64) for name in file.files}
    name = json.loads((models_dir / "manifest.json").read_text())["models"]["svm"]["feature"][
        "name"
    ]
    rng = np.random.default_rng(0)
    mesh = Recognizer(models_dir)(portrait).mesh
    assert mesh is not None
    # Near real faces: far from them the kernel is nought, and any arrays would agree.
    landmarks = mesh.landmarks + rng.normal(0, 0.02, (20, 468, 3)).astype(np.float32)
    points = np.stack([FEATURES[name].compute(mesh) for mesh in landmarks]).astype(float)
    z = (points - arrays["mean"]) @ arrays["projection"]
    square = ((z[:, None] - arrays["support_vectors"]) ** 2).sum(axis=2)
    decision = np.exp(-arrays["gamma"] * square) @ arrays["dual_coef"] + arrays["intercept"]
    logits = decision @ arrays["calibration"] + arrays["calibration_bias"]
    answers = np.exp(logits - logits.max(axis=1, keepdims=True))
    answers /= answers.sum(axis=1, keepdims=True)
    description = {
        "recipe": "svm",
        "feature": name,
        "classes": list(CLASSES),
        "dataset": {"fingerprint": "0", "train_on": ["drawn"]},
        "meshes": {"version": 1},
        "training": {"sources": {"drawn": {"pictures": 20, "accuracy": 0.51239}}},
    }
    plain = {
        "validation_landmarks": landmarks,
        "validation_label": answers.argmax(axis=1),
        "validation_source": np.full(20, "drawn"),
        "validation_probabilities": answers,
        **{f"array_{key}": value for key, value in arrays.items()},
    }

    def write(described: dict[str, Any] | None = None, **changed: np.ndarray | None) -> Path:
        content = {**plain, **changed}
        folder = tmp_path / "trained"
        folder.mkdir(exist_ok=True)
        np.savez(
            folder / "svm.npz",
            description=np.array(json.dumps({**description, **(described or {})})),
            **{key: value for key, value in content.items() if value is not None},
        )
        return folder

    np.savez(
        plausible_of(tmp_path),
        stamp=np.array(stamp(description)),
        neutral=mesh.landmarks,
        neutral_pictures=np.array(3),
        source=np.full(20, "drawn"),
        pose=rng.normal(0, 10, (20, 3)),
        support=np.full(20, np.inf),
        validation_pose=np.tile([0.0, 0.0, 100.0], (20, 1)),
        validation_support=np.full(20, np.inf),
        validation_group=np.arange(20),
        validation_mirrored=landmarks,
    )
    write.answers = answers  # type: ignore[attr-defined]
    write.gamma = arrays["gamma"]  # type: ignore[attr-defined]
    return write


@pytest.fixture
def bundle(bundle_copy: Path) -> Path:
    """A bundle in use: its `svm.npz` is a file of its own."""
    data = (bundle_copy / "svm.npz").read_bytes()
    (bundle_copy / "svm.npz").unlink()
    (bundle_copy / "svm.npz").write_bytes(data)
    return bundle_copy


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refusal(folder: Path, bundle: Path) -> str:
    before = content(bundle)
    with pytest.raises(SetupError) as error:
        convert(folder, bundle)
    assert len(str(error.value).splitlines()) == 1
    assert content(bundle) == before
    Recognizer(bundle)
    return str(error.value)


def test_what_agrees_is_written(trained: Change, bundle: Path, portrait: np.ndarray) -> None:
    convert(trained(), bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    entry = manifest["models"]["svm"]
    assert entry["parity"]["meshes"] == 20
    assert entry["parity"]["different_labels"] == 0
    assert 0 <= entry["parity"]["largest_difference"] <= 1e-5
    # Measured on the device's answers, which are the labels here; not what training says.
    assert entry["metrics"]["drawn"]["pictures"] == 20
    assert entry["metrics"]["drawn"]["accuracy"] == entry["once"]["drawn"] == 1
    assert entry["bytes"] == (bundle / "svm.npz").stat().st_size
    with np.load(bundle / "svm.npz") as file:
        assert set(file.files) == set(entry["arrays"])
        for name, about in entry["arrays"].items():
            assert list(file[name].shape) == about["shape"]
            assert str(file[name].dtype) == about["dtype"]
    assert Recognizer(bundle)(portrait).label == "happy"
    SupportVectorMachine(bundle / "svm.npz", entry["feature"]["shape"][0])


MADE = {"svm.npz", "neutral.npz", "manifest.json", "README.md"}
NETWORKS = {"face_detection_short_range.tflite", "face_landmark.tflite"}


def test_a_new_folder_is_a_whole_bundle(
    trained: Change, tmp_path: Path, portrait: np.ndarray
) -> None:
    convert(trained(), tmp_path / "new/models")
    assert set(content(tmp_path / "new/models")) == MADE | NETWORKS
    assert Recognizer(tmp_path / "new/models")(portrait).label == "happy"


def test_a_checkout_without_networks_is_told(
    trained: Change,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(conversion, "DEFAULT_DIR", tmp_path / "bare")
    convert(trained(), tmp_path / "new")
    assert set(content(tmp_path / "new")) == MADE
    (told,) = capsys.readouterr().err.splitlines()
    assert "make models" in told
    assert all(name in told for name in NETWORKS)


def test_other_arrays_are_refused(trained: Change, bundle: Path) -> None:
    path = trained(array_gamma=trained.gamma * 1.1)  # type: ignore[attr-defined]
    assert "differ from scikit-learn's" in refusal(path, bundle)


def test_one_probability_a_little_off_is_refused(trained: Change, bundle: Path) -> None:
    answers = trained.answers.copy()  # type: ignore[attr-defined]
    answers[7, answers[7].argmin()] += 3e-5
    message = refusal(trained(validation_probabilities=answers), bundle)
    assert message.startswith("0 of 20 labels")


def test_an_answer_that_is_no_number_is_refused(trained: Change, bundle: Path) -> None:
    answers = trained.answers.copy()  # type: ignore[attr-defined]
    row = int(np.flatnonzero(answers.argmax(axis=1) == answers.argmax(axis=1)[0])[0])
    answers[row, answers[row].argmax()] = np.nan  # numpy takes NaN for the largest
    refusal(trained(validation_probabilities=answers), bundle)


def test_a_file_that_is_too_large(
    trained: Change, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(svm, "LIMIT", 100_000)
    assert "100,000" in refusal(trained(), bundle)


def test_another_recipe_is_not_shipped_by_its_name(trained: Change, bundle: Path) -> None:
    assert "this is the baseline, not the svm" in refusal(trained({"recipe": "baseline"}), bundle)


@pytest.mark.parametrize("key", ["recipe", "feature", "classes", "dataset", "training"])
@pytest.mark.parametrize("value", [None, {}, 5, "a"])
def test_odd_descriptions(trained: Change, bundle: Path, key: str, value: object) -> None:
    refusal(trained({key: value}), bundle)


def test_nothing_to_judge_by(trained: Change, bundle: Path) -> None:
    told = refusal(trained(validation_source=np.full(20, "other")), bundle)
    assert "no validation mesh" in told


def test_other_classes(trained: Change, bundle: Path) -> None:
    path = trained({"classes": list(CLASSES[::-1])})
    assert "other classes" in refusal(path, bundle)


@pytest.mark.parametrize("name", ["array_mean", "validation_probabilities"])
def test_incomplete_files(trained: Change, bundle: Path, name: str) -> None:
    assert f"array '{name}' is missing" in refusal(trained(**{name: None}), bundle)


def test_facts_of_other_pictures(trained: Change, bundle: Path, tmp_path: Path) -> None:
    folder, path = trained(), plausible_of(tmp_path)
    facts = dict(np.load(path))
    np.savez(path, **facts | {"validation_group": np.arange(19)})
    assert f"{path}: of other pictures" in refusal(folder, bundle)
    described = json.loads(str(np.load(folder / "svm.npz")["description"]))
    for part, change in (("dataset", {"near": 0.5}), ("meshes", {"version": 0})):
        other = described | {part: described[part] | change}
        np.savez(path, **facts | {"stamp": np.array(stamp(other))})
        assert f"{path}: of other pictures" in refusal(folder, bundle)
    np.savez(path, **{name: fact for name, fact in facts.items() if name != "neutral"})
    earlier = f"{path}: array 'neutral' is missing: run `.venv-train/bin/python -m train.plausible"
    assert earlier in refusal(folder, bundle)
    path.unlink()
    assert f"{path} is missing: run `.venv-train/bin/python -m train.plausible" in refusal(
        folder, bundle
    )


@pytest.mark.parametrize("text", [None, "hello"])
def test_no_training(
    bundle: Path, tmp_path: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if text:
        (tmp_path / "svm.npz").write_text(text)
    refusal(tmp_path, bundle)
    assert main(["--trained", str(tmp_path), "--models", str(bundle)]) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"convert: {tmp_path}")


def test_a_stop_is_quiet_and_leaves_nothing(
    trained: Change,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(conversion.CONVERTERS, "svm", stop)
    models = tmp_path / "new"
    assert main(["--trained", str(trained()), "--models", str(models)]) == 130
    assert capsys.readouterr().err == "convert: stopped\n"
    assert not models.exists()


@pytest.mark.parametrize("what", ["feature", "shape"])
def test_what_does_not_fit_otherwise(trained: Change, bundle: Path, what: str) -> None:
    changed = {"feature": ({"feature": "future"}, {}), "shape": ({}, {"array_mean": np.ones(3)})}
    described, arrays = changed[what]
    refusal(trained(described, **arrays, array_intercept=np.ones(3)), bundle)


def test_a_full_disk_leaves_the_old_bundle(
    trained: Change, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def full(path: Path, *arguments: Any, **options: Any) -> int:
        if "manifest" in path.name:
            raise OSError(28, "No space left on device")
        return write(path, *arguments, **options)

    path = trained()
    monkeypatch.setattr(Path, "write_text", full)
    refusal(path, bundle)
