"""Which classifier a manifest names: one, or the mean of two; odd entries are one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from edge import Recognizer
from edge.bundle import Bundle
from edge.classify import open_classifier
from edge.errors import SetupError
from edge.settings import MeshSettings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["svm", "gnn", "both", "file", "sha256", "name"]), inner)
    ),
    max_leaves=6,
)


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def refusal(models_dir: Path, name: str, **changed: object) -> str:
    """What is said of the shipped bundle where entries of a model are others."""
    content = manifest(models_dir)
    content["models"][name] |= changed
    with pytest.raises(SetupError) as error:
        open_classifier(Bundle(models_dir, content), name)
    (line,) = str(error.value).splitlines()
    return line


@pytest.mark.parametrize("weights", [None, {"svm": 0.25, "gnn": 0.75}, {"gnn": 1}, {"svm": 1.0}])
def test_both_is_the_weighted_mean(
    models_dir: Path,
    edit_manifest: Callable[..., Path],
    portrait: np.ndarray,
    weights: dict[str, float] | None,
) -> None:
    """With the manifest's weights; one of the two alone is that one."""
    models = manifest(models_dir)["models"]
    weights = weights or models["both"]["weights"]
    folder = edit_manifest(models={**models, "both": {**models["both"], "weights": weights}})
    once = MeshSettings(crop_mirrored=False)
    reading = Recognizer(folder, "both", tracking=False, mesh=once)(portrait)
    single = {
        n: Recognizer(models_dir, n, tracking=False, mesh=once)(portrait) for n in ("svm", "gnn")
    }
    expected = sum(weight * single[name].probabilities for name, weight in weights.items())
    expected = expected ** (1 / models["both"]["temperature"])
    expected /= expected.sum()
    np.testing.assert_allclose(reading.probabilities, expected, atol=1e-6)
    assert np.abs(single["svm"].probabilities - single["gnn"].probabilities).max() > 1e-3


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"svm": 0.5},
        {"svm": 0.7, "gnn": 0.7},
        {"svm": 1.5, "gnn": -0.5},
        {"svm": float("nan"), "gnn": 1},
        {"svm": float("inf"), "gnn": 0},
        {"svm": 10**400, "gnn": 0},
        {"svm": "a", "gnn": 1},
        {"svm": None, "gnn": 1},
        ["svm", "gnn"],
        None,
    ],
    ids=str,
)
def test_odd_weights(models_dir: Path, weights: object) -> None:
    assert "'both'" in refusal(models_dir, "both", weights=weights)


@pytest.mark.parametrize("value", [None, 0, -1, "a", float("nan"), float("inf"), []], ids=str)
def test_odd_temperatures(models_dir: Path, value: object) -> None:
    assert "'both'" in refusal(models_dir, "both", temperature=value)
    for name in ("svm", "gnn", "both"):
        assert f"'{name}'" in refusal(models_dir, name, sharpness=value)


@pytest.mark.parametrize("name", ["svm", "gnn", "both"])
def test_a_picture_alone_is_read_with_its_mirror_image(
    models_dir: Path, portrait: np.ndarray, name: str
) -> None:
    """So that both give nearly the same answer; a camera's frame is read once."""
    recognise = Recognizer(models_dir, name, tracking=False)
    reading = recognise(portrait)
    classifier = open_classifier(Bundle.open(models_dir), name)
    seen = (reading.mesh.landmarks, reading.mesh.mirrored)
    one, other = (classifier.predict(classifier.features(mesh)) for mesh in seen)
    logs = (np.log(one) * 2 + np.log(other)) / 3 * classifier.sharpness
    expected = np.exp(logs) / np.exp(logs).sum()
    np.testing.assert_allclose(reading.probabilities, expected, atol=1e-5)
    assert np.abs(np.log(one / other)).max() > 0.05  # else this test could not see it
    away = np.abs(recognise(np.ascontiguousarray(portrait[:, ::-1])).probabilities - expected)
    assert away.max() < 0.05
    assert Recognizer(models_dir, name)(portrait).mesh.mirrored is None


def test_both_of_what_is_not_there(models_dir: Path) -> None:
    assert "no model 'cnn'" in refusal(models_dir, "both", weights={"svm": 0.5, "cnn": 0.5})


def test_both_of_itself(models_dir: Path) -> None:
    """It must not go round in circles."""
    assert "'both'" in refusal(models_dir, "both", weights={"svm": 0.5, "both": 0.5})


@pytest.mark.parametrize("kind", ["forest", "", None, 5, ["svm"], {"svm": 1}], ids=str)
@pytest.mark.parametrize("name", ["svm", "gnn", "both"])
def test_unknown_kinds(models_dir: Path, name: str, kind: object) -> None:
    assert "manifest.json" in refusal(models_dir, name, kind=kind)


@settings(max_examples=100)
@given(
    st.sampled_from(
        [
            ("both", "weights"),
            ("both", "temperature"),
            ("both", "kind"),
            ("gnn", "kind"),
            ("gnn", "file"),
            ("gnn", "sha256"),
            ("gnn", "feature"),
            ("gnn", "normaliser"),
            ("svm", "feature"),
        ]
    ),
    JSON,
)
@example(("gnn", "file"), "..")
@example(("gnn", "normaliser"), {"file": 5, "sha256": 5})
def test_any_value_is_refused_in_one_line(
    models_dir: Path, where: tuple[str, str], value: object
) -> None:
    name, key = where
    number = isinstance(value, int | float) and not isinstance(value, bool)
    assume(not (key == "temperature" and number and 0 < value < float("inf")))  # one that fits
    refusal(models_dir, name, **{key: value})


@pytest.mark.parametrize("name", ["gnn.tflite", "gnn.npz"])
def test_a_changed_file_of_the_network(bundle_copy: Path, name: str) -> None:
    """It is the manifest's, or none: also the normaliser."""
    data = bytearray((bundle_copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle_copy / name).unlink()
    (bundle_copy / name).write_bytes(data)
    for model in ("gnn", "both"):
        with pytest.raises(SetupError, match="does not match its manifest"):
            Recognizer(bundle_copy, model)
    Recognizer(bundle_copy, "svm")
