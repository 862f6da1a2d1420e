"""A bundle that does not fit is refused in one line that names the part."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge.bundle
from edge import Recognizer
from edge.bundle import DEFAULT_DIR, FORMAT, Bundle
from edge.errors import SetupError

Edit = Callable[..., Path]
DETECTOR = "face_detection_short_range.tflite"


def refusal(folder: Path, model: str = "svm") -> str:
    with pytest.raises(SetupError) as error:
        Recognizer(folder, model)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    return message


def entry(folder: Path) -> dict[str, Any]:
    """The manifest's entry of the SVM."""
    return json.loads((folder / "manifest.json").read_text())["models"]["svm"]


def test_the_copy_opens_while_nothing_is_changed(bundle_copy: Path) -> None:
    """Without this, the other tests could all be refused for another reason."""
    Recognizer(bundle_copy)
    assert Bundle.open(bundle_copy).models == ("svm", "gnn", "both")


def test_missing_manifest(tmp_path: Path) -> None:
    message = refusal(tmp_path)
    assert str(tmp_path / "manifest.json") in message
    assert "make convert" in message


@pytest.mark.parametrize("text", ["", "{", "hello", '{"format": 3,}'])
def test_broken_manifest(bundle_copy: Path, text: str) -> None:
    (bundle_copy / "manifest.json").write_text(text)
    assert "manifest.json" in refusal(bundle_copy)


def test_manifest_in_another_encoding(bundle_copy: Path) -> None:
    (bundle_copy / "manifest.json").write_bytes(b"\xff\xfe{}")
    assert "manifest.json" in refusal(bundle_copy)


@pytest.mark.parametrize("value", ["[]", "null", "{}", '{"format": 2}', '{"format": "3"}'])
def test_other_format(bundle_copy: Path, value: str) -> None:
    (bundle_copy / "manifest.json").write_text(value)
    assert f"format {FORMAT}: run" in refusal(bundle_copy)


@pytest.mark.parametrize(
    "classes",
    [
        ["happy", "angry", "disgusted", "fear", "neutral", "sad", "surprised"],
        ["angry", "disgusted", "fear", "happy", "neutral", "sad"],
        None,
    ],
)
def test_other_classes(edit_manifest: Edit, classes: object) -> None:
    """In another order every label would be wrong, and nothing else would tell."""
    message = refusal(edit_manifest(classes=classes))
    assert "classes" in message
    assert "surprised" in message


def test_unknown_model(bundle_copy: Path) -> None:
    message = refusal(bundle_copy, "cnn")
    assert "'cnn'" in message
    assert "svm, gnn, both" in message


@pytest.mark.parametrize("name", ["svm.npz", DETECTOR, "face_landmark.tflite"])
def test_changed_file(bundle_copy: Path, name: str) -> None:
    data = bytearray((bundle_copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle_copy / name).unlink()
    (bundle_copy / name).write_bytes(data)
    message = refusal(bundle_copy)
    assert str(bundle_copy / name) in message
    assert "does not match its manifest" in message
    assert "run `make" in message


@pytest.mark.parametrize("name", ["svm.npz", DETECTOR, "face_landmark.tflite"])
def test_missing_file(bundle_copy: Path, name: str) -> None:
    (bundle_copy / name).unlink()
    message = refusal(bundle_copy)
    assert str(bundle_copy / name) in message
    assert "missing" in message
    # What makes the checkout's models/ whole does not help another folder.
    helps = f"--models {bundle_copy}" if name == "svm.npz" else f"copy {DEFAULT_DIR / name} there"
    assert helps in message


@pytest.mark.parametrize(
    ("name", "helps"), [("svm.npz", "run `git checkout models`"), (DETECTOR, "run `make models`")]
)
def test_missing_file_of_the_checkout(
    bundle_copy: Path, monkeypatch: pytest.MonkeyPatch, name: str, helps: str
) -> None:
    monkeypatch.setattr(edge.bundle, "DEFAULT_DIR", bundle_copy.resolve())
    (bundle_copy / name).unlink()
    message = refusal(bundle_copy)
    assert message.startswith(f"{bundle_copy / name} is missing: {helps}")
    assert "copy" not in message


@pytest.mark.parametrize("networks", [None, {}, [], {DETECTOR: "0"}])
def test_unnamed_network(edit_manifest: Edit, networks: object) -> None:
    assert "network" in refusal(edit_manifest(networks=networks))


@pytest.mark.parametrize("key", ["kind", "file", "sha256", "feature"])
def test_incomplete_model(bundle_copy: Path, edit_manifest: Edit, key: str) -> None:
    rest = {name: value for name, value in entry(bundle_copy).items() if name != key}
    message = refusal(edit_manifest(models={"svm": rest}))
    assert "'svm'" in message
    assert key in message


@pytest.mark.parametrize(
    "feature", [{"name": "distances", "version": 99}, {"name": "future", "version": 1}]
)
def test_feature_of_another_version(
    bundle_copy: Path, edit_manifest: Edit, feature: dict[str, object]
) -> None:
    folder = edit_manifest(models={"svm": {**entry(bundle_copy), "feature": feature}})
    message = refusal(folder)
    assert repr(feature["name"]) in message
    assert f"version {feature['version']}" in message


def test_a_bundle_may_hold_several_models(bundle_copy: Path, edit_manifest: Edit) -> None:
    one = entry(bundle_copy)
    folder = edit_manifest(models={"svm": one, "other": one})
    assert Bundle.open(folder).models == ("svm", "other")
    Recognizer(folder, "other")


@pytest.mark.parametrize(
    "change",
    [
        {"models": None},
        {"models": ["svm"]},
        {"models": {"svm": {"feature": {"name": ["distances"], "version": 1}}}},
        {"models": {"svm": {"file": "\0"}}},
    ],
    ids=["no table", "a list", "a list for a feature", "a NUL in a path"],
)
def test_odd_types(bundle_copy: Path, edit_manifest: Edit, change: dict[str, Any]) -> None:
    models = change["models"]
    if isinstance(models, dict):
        models = {"svm": {**entry(bundle_copy), **models["svm"]}}
    assert "manifest.json" in refusal(edit_manifest(models=models))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=30)
@given(
    st.sampled_from(["format", "classes", "networks", "plausible"]),
    JSON.filter(lambda value: value != FORMAT),
)
def test_any_value_of_an_entry_is_refused_in_one_line(
    models_dir: Path, tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    manifest = json.loads((models_dir / "manifest.json").read_text())
    folder = tmp_path_factory.getbasetemp() / "odd"
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({**manifest, key: value}))
    svm = folder / "svm.npz"
    if not svm.exists():
        svm.symlink_to(models_dir / "svm.npz")
    refusal(folder)
