"""Calibration figures, guaranteed thresholds, limits of plausible meshes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert import calibration, plausible, risk, twice
from edge.classify import Classifier
from edge.errors import SetupError
from edge.plausible import pose
from train.plausible import poses, save
from train.prepare import Data


def drawn(count: int, seed: int, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, and whether the label is wrong: right as often as `slope` × confidence says."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.2, 1.0, count)
    return confidence, rng.random(count) > slope * confidence


def test_a_threshold_keeps_its_risk_in_19_of_20_validation_sets() -> None:
    """The true risk above a confidence c is 1 - (c + 1) / 2 here."""
    broken, given_ = 0, 0
    for seed in range(400):
        confidence, wrong = drawn(1000, seed)
        least = risk.threshold(confidence, wrong, 0.3)
        if least is not None:
            given_ += 1
            broken += 1 - (max(least, 0.2) + 1) / 2 > 0.3
    assert given_ > 380
    assert broken / 400 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)
    # And it is not merely timid: with endless data 0.4 would do.
    assert risk.threshold(*drawn(200_000, 0), 0.3) == pytest.approx(0.4, abs=0.02)


def test_what_cannot_be_kept_is_not_offered() -> None:
    confidence, wrong = drawn(1000, 0, slope=0.5)
    assert risk.threshold(confidence, wrong, 0.3) is None
    rows = risk.table(confidence, wrong, np.arange(1000))
    assert rows == [row for row in rows if row["risk"] >= 0.5]
    assert risk.table(np.zeros(0), np.zeros(0, bool), np.zeros(0)) == []


def test_every_label_is_told_where_all_of_them_keep_the_risk() -> None:
    confidence, _ = drawn(500, 0)
    assert risk.threshold(confidence, np.zeros(500, bool), 0.05) == 0.0


def test_members_of_a_group_are_one_witness() -> None:
    """Twenty pictures of one person prove no more than one does."""
    group = np.repeat(np.arange(40), 20)
    assert len(risk.one_of_each(group)) == 40
    assert len(set(group[risk.one_of_each(group)].tolist())) == 40
    wrong = np.zeros(800, bool)
    confidence = np.linspace(0.5, 1, 800)
    alone = risk.table(confidence, wrong, np.arange(800))
    together = risk.table(confidence, wrong, group)
    assert min(row["risk"] for row in alone) < min(row["risk"] for row in together)


@given(st.integers(0, 1000))
def test_rows_are_in_order(seed: int) -> None:
    confidence, wrong = drawn(600, seed)
    rows = risk.table(confidence, wrong, np.arange(600))
    for a, b in pairwise(rows):
        assert (a["risk"], -a["confidence"], a["coverage"]) >= (
            b["risk"],
            -b["confidence"],
            b["coverage"],
        )


def test_calibration_error_is_the_gap() -> None:
    """Two bins: 0.9 sure and right in half the cases, 0.5 sure and always right."""
    p = np.zeros((40, 7))
    p[:20, 0], p[:20, 1] = 0.9, 0.1
    p[20:, 0], p[20:, 1] = 0.52, 0.48
    label = np.zeros(40, int)
    label[:10] = 1
    assert calibration.expected_error(p, label) == pytest.approx((0.4 + 0.48) / 2)


def test_a_temperature_is_found_and_judged_on_other_groups() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 7))
    exact = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    label = (exact.cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    too_sure = calibration.scaled(exact, 2.0)
    assert calibration.sharpness(too_sure, label) == pytest.approx(0.5, abs=0.03)
    judged = np.arange(4000) % 5 > 0
    fit = twice.fitting(np.stack([too_sure, too_sure], axis=1), label)
    seen: list[set[int]] = []

    def spy(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        learnt = {int(group) for group in np.arange(4000)[rows] // 4}
        assert judged[rows].all()

        def ask(asked: np.ndarray) -> np.ndarray:
            assert not learnt & {int(group) for group in asked // 4}
            seen.append(set(asked.tolist()))
            return fit(rows)(asked)

        return ask

    crossed = calibration.crossed(spy, np.arange(4000) // 4, judged)
    assert set().union(*seen) == set(range(4000))
    np.testing.assert_allclose(crossed, exact, atol=0.03)
    told = calibration.figures(crossed, label, np.full(4000, "a"), judged)
    assert told["a"]["ece"] < 0.03 < calibration.expected_error(too_sure, label)
    assert told["a"]["accuracy_of_surest_70"] > (exact.argmax(axis=1) == label).mean()


def test_two_answers_together_are_the_devices_and_as_sure_as_they_may_be() -> None:
    """Two noisy looks at the same logits: their mean is too little sure, until it is sharpened."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 1, 7))
    exact = np.exp(logits[:, 0]) / np.exp(logits[:, 0]).sum(axis=1, keepdims=True)
    label = (exact.cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    noisy = 0.5 * (logits + rng.normal(0, 1, (4000, 2, 7)))
    pair = np.exp(noisy) / np.exp(noisy).sum(axis=2, keepdims=True)
    power = twice.fit(pair, label)
    assert power > 1
    got = twice.together(pair, power)
    assert calibration.expected_error(got, label) < 0.03
    assert calibration.expected_error(twice.together(pair), label) > 0.1
    assert (got.argmax(axis=1) == label).mean() > (pair[:, 0].argmax(axis=1) == label).mean()
    device = Classifier(lambda mesh: mesh, lambda feature: feature, 7, power)
    for two, expected in zip(pair[:50].astype(np.float32), got, strict=False):
        np.testing.assert_allclose(device.together(*two), expected, atol=1e-5)


def facts(count: int = 5000) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    source = np.where(np.arange(count) % 2, "a", "b")
    support = np.full(count, np.inf)
    support[source == "a"] = rng.normal(0, 5, count // 2)
    pose = np.stack([rng.normal(0, 15, count), rng.normal(5, 10, count), np.full(count, 40)], 1)
    validation = {"validation_pose": pose[:1000], "validation_support": support[:1000]}
    return {
        "source": source,
        "pose": pose,
        "support": support,
        **validation,
        "validation_group": np.arange(1000),
        "validation_mirrored": np.zeros((1000, 468, 3), np.float32),
    }


def test_limits_are_where_the_training_meshes_end() -> None:
    known = facts()
    limits = plausible.fit(known)
    believed = known["pose"][np.isinf(known["support"])]
    assert (np.abs(believed[:, 0]) > limits.yaw).mean() == pytest.approx(plausible.ASIDE, abs=2e-3)
    beyond = (believed[:, 1] > limits.pitch_down) | (believed[:, 1] < -limits.pitch_up)
    assert beyond.mean() == pytest.approx(plausible.NODDED, abs=1e-3)
    low = known["support"][known["source"] == "a"] < limits.support
    assert low.mean() == pytest.approx(plausible.DOUBTED, abs=2e-3)


def test_what_limits_cost_is_told() -> None:
    known, source = facts(), np.where(np.arange(1000) % 2, "a", "b")
    limits = plausible.fit(known)
    right = {"svm": np.ones(1000, bool), "gnn": np.zeros(1000, bool)}
    table = plausible.entry(limits, known, right, source)
    assert asdict(limits).items() <= table.items()
    assert set(table["validation"]) == {"a", "b"}
    assert table["validation"]["b"]["crops_unknown"] == 0
    a = table["validation"]["a"]
    assert a["crops_lost"] == a["crops_unknown"] == pytest.approx(plausible.DOUBTED, abs=0.01)
    assert table["validation"]["b"]["frames_unknown"] < 0.05


def test_no_doubtful_picture_at_all() -> None:
    known = facts() | {"support": np.full(5000, np.inf)}
    assert np.isfinite(plausible.fit(known).support)


def test_training_leaves_the_facts(draw_faces: Callable[..., Data], tmp_path: Path) -> None:
    data = draw_faces()
    about = {"dataset": {"near": 0.94}, "meshes": {"version": 1}, "notes": []}
    save(tmp_path, data, about)
    known = plausible.open_facts(tmp_path, about)
    with pytest.raises(SetupError, match="of other pictures, or of another split"):
        plausible.open_facts(tmp_path, about | {"dataset": {"near": 0.5}})
    np.testing.assert_allclose(known["pose"], poses(data.landmarks))
    assert tuple(known["pose"][3]) == pytest.approx(pose(data.landmarks[3]), abs=1e-3)
    assert np.isinf(known["support"]).all()
