"""The search: what it tries, what it remembers, and that we ship its default."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from train import search
from train.machine import LeastSquaresSvm, PartlyWhitenedPca


def test_every_candidate_is_tried_once_and_can_be_built() -> None:
    rows = [json.dumps(c, sort_keys=True) for c in search.candidates()]
    assert len(rows) == len(set(rows)) > 10
    for candidate in search.candidates():
        search.pipeline(candidate)


def test_its_default_is_what_make_train_ships() -> None:
    pca, machine = (step for _, step in search.pipeline(search.DEFAULT).steps)
    assert pca.get_params() == PartlyWhitenedPca().get_params()
    assert machine.get_params() == LeastSquaresSvm().get_params()


def test_a_stopped_search_goes_on(
    build_dataset: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = build_dataset(tmp_path / "fer2013", 3, 2)
    monkeypatch.setattr(search, "GRID", [{"vectors": [5]}, {"feature": ["distances"]}])
    arguments = [str(data), "--out", str(tmp_path / "out")]
    assert search.main(arguments) == 0
    log = tmp_path / "out" / "search.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(rows) == 2
    assert all(0 <= row["accuracy"] <= 1 for row in rows)
    monkeypatch.setattr(search, "score", lambda *_: pytest.fail("computed again"))
    capsys.readouterr()
    assert search.main(arguments) == 0
    assert len(log.read_text().splitlines()) == 2
    assert len(capsys.readouterr().out.partition("the best:\n")[2].splitlines()) == 2
    # A line that a full disk cut is computed again, and no other.
    log.write_text(log.read_text()[:-40])
    asked: list[dict[str, Any]] = []

    def score(candidate: dict[str, Any], *_: object) -> dict[str, Any]:
        asked.append(candidate)
        return {"candidate": candidate, "accuracy": 0.5}

    monkeypatch.setattr(search, "score", score)
    assert search.main([*arguments, "--jobs", "1"]) == 0
    assert len(asked) == 1
    assert len([json.loads(line) for line in log.read_text().splitlines()]) == 2
