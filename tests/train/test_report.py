"""The training report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path


def test_one_model_trained_again_leaves_the_others_in_the_report(
    teach: Callable[..., Path], tmp_path: Path
) -> None:
    """As long as the pictures are the same: figures of others cannot be compared."""
    report, page = tmp_path / "report/report.json", tmp_path / "report/index.html"
    teach(tmp_path, "baseline")
    before = json.loads(report.read_text())
    teach(tmp_path, "svm")
    after = json.loads(report.read_text())
    assert list(after["models"]) == list(after["curves"]) == ["baseline", "svm"]
    assert after["models"]["baseline"] == before["models"]["baseline"]
    for name in ("confusion_baseline.png", "explained_variance_baseline.png", "confusion_svm.png"):
        assert page.read_text().count(name) == 1
    teach(tmp_path, "svm", fingerprint="1")
    assert list(json.loads(report.read_text())["models"]) == ["svm"]
    assert "baseline" not in page.read_text()
    report.write_text("{}")  # of another version
    teach(tmp_path, "svm", fingerprint="1")
    assert list(json.loads(report.read_text())["models"]) == ["svm"]
