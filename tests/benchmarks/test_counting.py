"""Marks → stages → what got slower."""

from __future__ import annotations

import json

import pytest

from benchmarks.arm64.__main__ import BASELINE, CASES, differences, regressions
from benchmarks.arm64.counter import stages
from benchmarks.arm64.guest import END, FRAMES, SCENES, TAGS


def log(frames: list[tuple[str, ...]]) -> str:
    """What the plugin writes: every mark takes 10 instructions, every stage 1000 of its own."""
    count, lines = 0, []

    def run(stage: str, *inner: str) -> None:
        nonlocal count
        for edge, work in ((0, 1000), (1, 0)):
            count += 5
            lines.append(f"{2 * TAGS.index(stage) + edge} {count}")
            count += 5 + work * (stage not in ("nothing", "nested"))
            if edge == 0:
                for part in inner:
                    run(part)

    for counted in frames:
        lines.append(f"-1 {count}")
        for _ in range(FRAMES[SCENES[0]][1]):
            run("nothing")
            run("nested", "nothing")
            run(*counted)
        lines.append(f"{END} {count}")
    return "\n".join(lines)


def test_marks_cost_nothing_and_inner_stages_are_apart() -> None:
    found = stages(log([("whole",), ("geometry", "crop", "mesh network")]))[SCENES[0]]
    assert found == {
        "whole": 1010,
        "geometry": 1000,
        "crop": 1000,
        "mesh network": 1000,
        "between": 1010 - 3000,
    }


@pytest.mark.parametrize(("grown", "told"), [(0, 0), (90_000, 0), (110_000, 2), (-500_000, 0)])
def test_half_a_per_cent_is_told_and_named(grown: int, told: int) -> None:
    before = {"a72 svm": {"tracked": {"whole": 20_000_000, "crop": 1_000_000, "features": 200_000}}}
    now = {"a72 svm": {"tracked": dict(before["a72 svm"]["tracked"])}}
    for stage in ("whole", "crop"):
        now["a72 svm"]["tracked"][stage] += grown
    lines = regressions(before, now)
    assert len(lines) == told
    assert all("a72 svm, tracked" in line for line in lines)
    assert not told or "crop takes 1.110 M instructions, 0.110 M more" in lines[1]


def test_what_the_baseline_lacks_is_told() -> None:
    (line,) = regressions({}, {"a76 gnn": {"empty": {"whole": 1}}})
    assert "a76 gnn, empty: not in the baseline" in line


def test_other_readings_are_found() -> None:
    face = {"label": "happy", "landmarks": [[1.0, 2.0, 3.0]]}
    moved = {"label": "happy", "landmarks": [[1.0, 2.5, 3.0]]}
    other = {"label": "sad", "landmarks": [[1.0, 2.0, 3.0]]}
    none = {"label": "happy", "landmarks": None}
    assert differences([face, none], [moved, none]) == (0, 0.5)
    assert differences([face, face], [other, none]) == (2, 0.0)


def test_baseline_keeps_the_goals() -> None:
    """Of `make benchmark-arm64` on an A72, in millions: network 22.9, detector 19.8."""
    baseline = json.loads(BASELINE.read_text())
    assert set(baseline) == {str(case) for case in CASES}
    for model, goal in (("svm", 26.3), ("gnn", 28), ("both", 29)):
        counts = baseline[f"cortex-a72 ai-edge-litert {model} compiled"]
        assert counts["tracked"]["whole"] <= goal * 1e6
        assert counts["empty"]["whole"] <= 1.1 * counts["empty"]["detector network"]
        assert counts["still"]["whole"] <= 0.3 * counts["tracked"]["whole"]
        assert counts["vacant"]["whole"] <= 0.3 * counts["empty"]["whole"]
