"""`python -m benchmarks`: how fast and how small the device's program is here.

Stages of tracked, detected and empty frames for each model and number of threads, cold start,
memory, and load at several rates, in rounds; then a table, and JSON, Markdown and a picture in
benchmarks/results/. With --target, the same confined like a board, against the board's budget.
"""

from __future__ import annotations

import os

# As `python -m edge` does, and for the same reason: before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from tqdm import tqdm

from benchmarks import clips, place, program, report, stages, targets
from benchmarks.figures import Figures
from benchmarks.heat import Heat
from benchmarks.machine import about
from edge import host
from edge.arguments import number
from edge.errors import EdgeError

RESULTS = Path(__file__).resolve().parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 1 where something failed or a budget is broken."""
    try:
        boards = targets.load()
    except ValueError as error:
        raise SystemExit(f"benchmark: {error}") from None
    options = _options(arguments, sorted(boards))
    place.writable(options.out, "benchmark")
    if options.target and not options.confined:
        given = list(sys.argv[1:] if arguments is None else arguments)
        try:
            return _confined(options, boards, given)
        except KeyboardInterrupt:
            print("benchmark: stopped", file=sys.stderr)
            return 130
    board = next(
        (one for one in boards.values() if (host.model() or "").startswith(one.board)), None
    )
    target = boards[options.target[0]] if options.target else board
    figures, moments = Figures(), [Heat.now("before")]
    try:
        _measure(options, figures, moments)
    except EdgeError as error:
        raise SystemExit(f"benchmark: {error}") from None
    except KeyboardInterrupt:
        figures.fail("stopped before its end")
    moments.append(Heat.now("after"))
    if not figures.select("time"):
        figures.fail("no frames were measured")
    over = targets.broken(target.budget, figures, options.models) if target else []
    figures.failures += [f"over budget: {one}" for one in over]
    if options.confined:
        figures.notes += [f"Confined as {target.name}: {options.confined}", targets.NOT_SHOWN]
    _write(options, figures, moments)
    return 1 if figures.failures else 0


def _measure(options: argparse.Namespace, figures: Figures, moments: list[Heat]) -> None:
    """All parts, one after the other."""
    with TemporaryDirectory() as name, tqdm(total=100, unit="%", disable=None) as bar:
        shares = {"frames": 30, "starts": 20, "load": 50}

        def part(title: str):
            bar.set_description(title)
            before = bar.n
            return lambda done: bar.update(before + round(shares[title] * done) - bar.n)

        progress = part("frames")
        face, empty, still = clips.write(Path(name))
        played = stages.scenes(face, empty, still, options.frames)
        stages.measure(
            figures,
            options.models,
            options.threads,
            played,
            options.seconds,
            progress,
            lambda: moments.append(Heat.now("frames")),
        )
        program.starts(figures, options.models, options.starts, face, part("starts"))
        moments.append(Heat.now("starts"))
        program.load(figures, options.models, options.rates, options.windows, face, part("load"))
        moments.append(Heat.now("load"))
        if options.minutes:
            bar.reset(100)
            shares["steady"] = 100
            _steady(options, figures, moments, played[0], part("steady"))


def _steady(options, figures, moments, scene, progress) -> None:
    """Frame after frame for minutes: whether the last ones take longer than the first."""
    medians = []
    for took in stages.steady(options.models[0], scene, options.minutes, progress):
        figures.add("steady/p50", float(np.median(took)))
        figures.add("steady/p95", float(np.percentile(took, 95)))
        medians.append(figures.rounds["steady/p50"][-1])
        moments.append(Heat.now("steady"))
    shown = ", ".join(f"{value:.2f}" for value in medians)
    slower = np.median(medians[-3:]) / np.median(medians[:3])
    figures.notes.append(
        f"Steady state, {options.minutes:g} minutes of {options.models[0]} without a pause: "
        f"tracked frames took {shown} ms (p50 of each twelfth); the last quarter {slower:.2f} × "
        "the first"
    )


def _write(options: argparse.Namespace, figures: Figures, moments: list[Heat]) -> None:
    """On the terminal, and into three files."""
    machine = about() | ({"target": options.target[0]} if options.target else {})
    now = datetime.now(UTC)
    title = f"# Benchmark, {now:%Y-%m-%d %H:%M} UTC"
    print("\n".join(report.lines(figures, machine, moments, whole=False)))
    kind = "-".join(["benchmark", *(options.target or [])])
    stem = options.out / f"{now:%Y-%m-%d-%H%M%S}-{kind}"
    result = {
        "kind": "benchmark",
        "about": machine,
        "options": {k: v for k, v in vars(options).items() if k != "out"},
        "notes": figures.notes,
        "failures": figures.failures,
        "heat": [asdict(moment) for moment in moments],
        "figures": {
            name: [float(f"{value:.5g}") for value in values]
            for name, values in sorted(figures.rounds.items())
        },
    }
    body = report.lines(figures, machine, moments, whole=True, picture=f"{stem.name}.svg")
    with place.kept(stem, ".json, .md, .svg", "benchmark", figures):
        place.write(stem.with_suffix(".json"), json.dumps(result, ensure_ascii=False) + "\n")
        place.write(stem.with_suffix(".svg"), report.picture(figures))
        place.write(stem.with_suffix(".md"), "\n".join([title, "", *body]) + "\n")


def _confined(
    options: argparse.Namespace, boards: dict[str, targets.Target], given: list[str]
) -> int:
    """Once for each target, each in a process that is confined like it."""
    status = 0
    first = given.index("--target")
    rest = given[:first] + given[first + 1 + len(options.target) :]
    for name in options.target:
        print(f"\n# {boards[name].name}", flush=True)
        few = [
            "--threads",
            "1",
            "--frames",
            "20",
            "--seconds",
            "30",
            "--starts",
            "5",
            "--windows",
            "5",
        ]
        command = [sys.executable, "-m", "benchmarks", *few, *rest, "--target", name]
        done = targets.run(boards[name], command)
        if done < 0:
            print(f"ended by signal {-done}: most likely out of its {boards[name].memory_mb} MB")
        status = status or int(done != 0)
    return status


def _options(arguments: Sequence[str] | None, boards: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    some = number(int, 1)
    most = clips.FRAMES - 2
    models = ["svm", "gnn", "both"]
    parser.add_argument("--models", nargs="+", choices=models, default=models)
    parser.add_argument("--threads", nargs="+", type=some, default=[1, 2, 3, 4], help="of a model")
    parser.add_argument(
        "--seconds", type=number(float, 0), default=60, help="for the stages of frames"
    )
    parser.add_argument(
        "--frames", type=number(int, 2, most), default=50, help="tracked ones a round"
    )
    parser.add_argument("--starts", type=some, default=8, help="cold starts of each model")
    parser.add_argument(
        "--rates",
        nargs="+",
        type=number(float, 0.1, 1000),
        default=[5, 15, 30],
        help="of load",
    )
    parser.add_argument("--windows", type=some, default=8, help="of load at each rate")
    parser.add_argument(
        "--minutes", type=number(float, 0), default=0, help="of steady state, at the end"
    )
    parser.add_argument("--target", nargs="+", choices=boards, default=[], help="confined like it")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--confined", default="", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
