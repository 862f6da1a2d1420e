"""Two results: what counts as a difference, and what is noise."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from benchmarks.compare import compare, different, main, rank_test

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
    found = different(p)
    assert all(value <= 0.05 for value, one in zip(p, found, strict=True) if one)
    assert all(one for value, one in zip(p, found, strict=True) if value <= 0.05 / len(p))
    assert not any(different([0.04, 0.04])[:1])


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
