"""From the risk that is borne to the confidence that it takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge import CLASSES, Recognizer
from edge.bundle import Bundle
from edge.errors import SettingsError, SetupError
from edge.risk import least_confidence

ROWS = [{"risk": 0.4, "confidence": 0.3}, {"risk": 0.2, "confidence": 0.7}]


def bundle(rows: object) -> Bundle:
    return Bundle(Path("models"), {"models": {"svm": {"risks": rows}}})


@pytest.mark.parametrize(
    ("risk", "confidence"),
    [(1.0, 0.0), (0.9, 0.3), (0.4, 0.3), (0.39, 0.7), (0.2, 0.7)],
)
def test_the_next_lower_risk_is_kept(risk: float, confidence: float) -> None:
    assert least_confidence(bundle(ROWS), "svm", risk) == confidence


@pytest.mark.parametrize("rows", [ROWS, []])
def test_what_cannot_be_kept_is_told(rows: list[Any]) -> None:
    with pytest.raises(SettingsError) as error:
        least_confidence(bundle(rows), "svm", 0.19)
    assert ("can keep 0.2, 0.4, or 1" if rows else "can keep none, or 1") in str(error.value)
    assert least_confidence(bundle(rows), "svm", 1.0) == 0


@pytest.mark.parametrize("rows", [None, 5, [5], [{"risk": 0.1}], [{"risk": "a", "confidence": 1}]])
def test_odd_tables(rows: object) -> None:
    with pytest.raises(SetupError, match="risks of model 'svm' are not whole"):
        least_confidence(bundle(rows), "svm", 0.3)


@pytest.mark.parametrize("model", ["svm", "gnn", "both"])
def test_the_shipped_tables(models_dir: Path, model: str) -> None:
    """Less risk takes more confidence and tells fewer; what was observed is below."""
    rows = Bundle.open(models_dir).model(model)["risks"]
    risks, confidences, coverages, observed = (
        [row[key] for row in rows] for key in ("risk", "confidence", "coverage", "observed")
    )
    assert risks == sorted(risks, reverse=True)
    assert confidences == sorted(confidences)
    assert coverages == sorted(coverages, reverse=True)
    assert all(seen <= risk for seen, risk in zip(observed, risks, strict=True))
    assert {0.4, 0.3, 0.2, 0.1} <= set(risks)


def test_less_sure_readings_are_unknown(models_dir: Path, portrait: np.ndarray) -> None:
    """The portrait is read with 0.99; seen through a veil, with less."""
    least = Recognizer(models_dir).least_confidence(0.1)
    assert 0.5 < least < 0.99
    recognise = Recognizer(models_dir, tracking=False, max_risk=0.1)
    assert recognise(portrait).label == "happy"
    told = set()
    for strength in np.linspace(0, 0.97, 12):
        veiled = (portrait * (1 - strength) + 128 * strength).astype(np.uint8)
        reading = recognise(veiled)
        if reading.confidence is None:
            continue
        assert reading.probabilities is not None
        unsure = reading.confidence < least
        assert reading.reason == ("not sure" if unsure else None)
        told.add(reading.label)
        assert reading.label == (
            "unknown" if unsure else CLASSES[int(reading.probabilities.argmax())]
        )
    assert told


def test_the_command_line(
    command: Callable[..., Any], tmp_path: Path, save: Callable[..., Path], small: np.ndarray
) -> None:
    save(tmp_path / "a.jpg", small)
    (plain,) = command("classify", "a.jpg").readings
    (strict,) = command("classify", "--max-risk", "0.1", "a.jpg").readings
    assert plain["label"] == strict["label"] == "happy"
    result = command("classify", "--max-risk", "0.01", "a.jpg")
    assert result.returncode == 78
    assert result.complaints[0].startswith("classify.max_risk = 0.01: model 'svm' can keep 0.1")
    assert command("classify", "--max-risk", "lots", "a.jpg").returncode == 78


@pytest.fixture
def careless(bundle_copy: Path) -> Path:
    """A bundle whose SVM keeps none of the usual risks."""
    path = bundle_copy / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["models"]["svm"]["risks"] = [{"risk": 0.5, "confidence": 0.4}]
    path.write_text(json.dumps(manifest))
    return bundle_copy


@pytest.mark.parametrize("name", ["run", "daemon"])
def test_the_setting_is_named_that_nobody_set(
    command: Callable[..., Any], careless: Path, name: str
) -> None:
    """The default of `smooth.max_risk` may be one that a bundle cannot keep."""
    result = command(name, "--source", "nowhere", "--models", careless)
    assert result.returncode == 78
    assert result.complaints == [
        "smooth.max_risk = 0.4: model 'svm' can keep 0.5, or 1 for every label"
    ]


def test_a_model_that_keeps_little_still_tells_all(careless: Path) -> None:
    Recognizer(careless)
    with pytest.raises(SettingsError, match=r"^max_risk = 0\.4: "):
        Recognizer(careless, max_risk=0.4)
