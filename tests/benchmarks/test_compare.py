"""Two results: what counts as a difference, and what is noise."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, mannwhitneyu

from benchmarks.compare import KINDS, compare, different, load, main, rank_test

few = st.lists(st.floats(0.1, 100), min_size=1, max_size=7)


def result(scale: float = 1.0, *, machine: float = 1.0, seed: int = 0, **more: Any) -> dict:
    """A benchmark whose svm takes `scale` times as long, on a machine that does, too."""
    chance = np.random.default_rng(seed)

    def rounds(value: float, noise: float = 0.1) -> list[float]:
        return (value * chance.lognormal(0, noise, 16)).tolist()

    figures = {f"time/gnn/1/tracked/{stage}/p50": rounds(machine) for stage in ("crop", "mesh")}
    figures |= {
        "time/svm/1/tracked/end to end/p50": rounds(4 * scale * machine),
        "start/svm": rounds(0.3 * machine),
        "rss/svm": rounds(80, 0.001),
        "yardstick/time/warm": rounds(0.3, 0.01),
        "yardstick/time/cold": rounds(0.3 * machine, 0.01),
        "yardstick/start/cold": rounds(0.3 * machine, 0.01),
    }
    return {"kind": "benchmark", "about": {"machine": "x"}, "figures": figures | more}


@given(few, few)
def test_the_test_is_exact(a: list[float], b: list[float]) -> None:
    """Against SciPy, where no two values are alike."""
    if len({*a, *b}) == len(a) + len(b):
        assert rank_test(a, b) == pytest.approx(mannwhitneyu(a, b, method="exact").pvalue)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=4), st.integers(1, 3))
def test_ties_never_claim_too_much(values: list[int], count: int) -> None:
    """Among all ways to deal values out, at most a share p is called so different."""
    count = min(count, len(values) - 1)
    found = []
    for chosen in combinations(range(len(values)), count):
        a = [values[i] for i in chosen]
        b = [values[i] for i in range(len(values)) if i not in chosen]
        found.append(rank_test(a, b))
    for p in found:
        assert np.mean(np.array(found) <= p + 1e-12) <= p + 1e-9


@given(few, few)
def test_order_and_unit_do_not_matter(a: list[float], b: list[float]) -> None:
    p = rank_test(a, b)
    assert 0 < p <= 1
    assert rank_test(b, a) == p
    assert rank_test([8 * x for x in reversed(a)], [8 * x for x in b]) == p


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_many_figures_ask_for_more(p: list[float]) -> None:
    found = different(p, 0.05)
    expected = false_discovery_control(p) <= 0.05
    near = np.isclose(false_discovery_control(p), 0.05)
    assert all((found == expected) | near)
    assert different([0.04, 0.06], 0.05) == [False, False]


def test_the_same_is_the_same_hundred_times() -> None:
    """5 % of pairs may be called different: of a hundred, more than twelve are next to never."""
    pairs = (compare(result(seed=i), result(seed=1000 + i)) for i in range(100))
    assert sum(any(one.verdict != "same" for one in found) for found in pairs) <= 12


@pytest.mark.parametrize(
    ("scale", "machine", "verdict"),
    [
        (1.5, 1.0, "worse"),
        (0.6, 1.0, "better"),
        (1.0, 1.0, "same"),
        (1.5, 1.7, "worse"),
        (0.4, 1.7, "better"),
        (1.0, 1.7, "same"),
        (1.0, 0.6, "same"),
        (0.7, 1.7, "same"),  # it may be the program or the machine: not told
    ],
)
def test_a_slower_program_is_told_from_a_slower_machine(
    scale: float, machine: float, verdict: str
) -> None:
    found = {one.name: one for one in compare(result(), result(scale, machine=machine, seed=1))}
    assert found["time/svm/1/tracked/end to end/p50"].verdict == verdict
    assert {one.verdict for name, one in found.items() if "end to end" not in name} == {"same"}


def test_a_difference_that_matters_to_nobody_is_none() -> None:
    """Every round is higher, but by one per cent."""
    more = {"rss/svm": [81.0 + i / 1000 for i in range(16)]}
    less = {"rss/svm": [80.0 + i / 1000 for i in range(16)]}
    (one,) = (d for d in compare(result(**less), result(**more)) if d.name == "rss/svm")
    assert (one.verdict, one.p < 1e-6) == ("same", True)


def whole(rounds: int, seed: int, **factor: float) -> dict:
    """A result of the program's size: 3 models, 4 numbers of threads, 4 scenes, 8 stages."""
    chance = np.random.default_rng(seed)
    names = [f"{kind}/{model}" for kind in ("start", "rss", "pss") for model in "abc"]
    names += [f"cpu/{model}/{rate}" for model in "abc" for rate in (5, 15, 30)]
    stages = ("end to end", "capture", "crop", "mesh", "features", "classify", "smooth", "publish")
    names += [
        f"time/{model}/{threads}/{scene}/{stage}/p{q}"
        for model in "abc"
        for threads in range(1, 5)
        for scene in ("tracked", "detected", "empty", "still")
        for stage in stages
        for q in (5, 50, 95)
    ]
    figures = {
        name: (factor.get(name.split("/")[0], 1) * chance.lognormal(0, 0.05, rounds)).tolist()
        for name in names
    }
    return {"kind": "benchmark", "about": {"machine": "x"}, "figures": figures}


@pytest.mark.parametrize("kind", ["time", "start", "rss", "pss", "cpu"])
@pytest.mark.parametrize("rounds", [5, 8])
def test_what_grows_by_half_is_told_whatever_else_was_measured(kind: str, rounds: int) -> None:
    found = compare(whole(rounds, 0), whole(rounds, 1, **{kind: 1.5}))
    verdicts = {name: {one.verdict for one in found if one.name.startswith(name)} for name in KINDS}
    assert verdicts.pop(kind) == {"worse"}
    verdicts.pop("stage")
    assert set().union(*verdicts.values()) == {"same"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda b: b["figures"].clear(), "A and B have no figure in common"),
        (lambda b: b["figures"].pop("rss/svm"), "B lacks 1 figures, such as rss/svm"),
        (lambda b: b.update(failures=["stopped before its end"]), "B failed: stopped before"),
        (lambda b: b["figures"]["start/svm"].__delitem__(slice(2, None)), "too few rounds"),
    ],
)
def test_what_cannot_be_told_is_not_called_the_same(
    change: Callable, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = result(), result()
    change(b)
    for name, one in (("a", a), ("b", b)):
        (tmp_path / name).write_text(json.dumps(one))
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    said = capsys.readouterr().out
    assert "cannot be told: " in said and told in said


@pytest.mark.parametrize(
    "figures", [None, [], {"rss/svm": []}, {"rss/svm": [1, None]}, {"rss/svm": "3"}]
)
def test_a_damaged_result_is_refused(figures: object, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(json.dumps(result() | {"figures": figures}))
    with pytest.raises(ValueError, match=r"b\.json: "):
        load(path)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, again, after, broken = (tmp_path / f"{name}.json" for name in "aobc")
    for path in (before, again):
        path.write_text(json.dumps(result()))
    after.write_text(json.dumps(result(1.5, seed=1)))
    broken.write_text('{"kind": "soak"}')
    assert main([str(before), str(before)]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"benchmark-compare: A and B are the same: {before}\n")
    assert main([str(before), str(again)]) == 0
    assert "0 worse, 0 better, 5 the same" in capsys.readouterr().out
    assert main([str(before), str(after)]) == 1
    assert "1 worse, 0 better, 4 the same" in capsys.readouterr().out
    assert main([str(after), str(before)]) == 0
    for path, said in ((broken, "not a benchmark's result"), (tmp_path / "d.json", "cannot be")):
        with pytest.raises(SystemExit) as caught:  # 1 would say that something got worse
            main([str(before), str(path)])
        assert caught.value.code == 2
        assert f"{path.name}: {said}" in capsys.readouterr().err
