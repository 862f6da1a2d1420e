"""`make robustness DATA=…`: what light, noise, movement and covered faces cost, in points.

Every picture is changed in some twenty ways, five severities each; our models, a pixel network
trained by us, and with --peers the fer package read it. JSON, Markdown and a picture for each
source go to benchmarks/results. A run that was stopped goes on; another classifier is judged in a
few minutes.
"""

from __future__ import annotations

import os

# As `python -m edge` does, and for the same reason: before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.__main__ import RESULTS
from benchmarks.machine import about
from benchmarks.report import table
from benchmarks.robustness import peer, report
from benchmarks.robustness.conditions import CLEAN, CONDITIONS, FOLLOWED
from benchmarks.robustness.judge import Figures, judge
from benchmarks.robustness.look import Cell, cells, is_of, keep, look
from benchmarks.robustness.read import LABELS, Said, read, said_by
from benchmarks.robustness.sample import Sample, draw
from edge.arguments import number
from edge.arrays import load
from edge.bundle import DEFAULT_DIR, Bundle
from edge.errors import SetupError
from edge.types import CLASSES, UNKNOWN
from train import splits, spread
from train.command import finish
from train.prepare import prepare

OUT = Path("build/robustness")
"""Untracked; everything in it can be made again."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    return finish(_parser(), arguments, _measure)


def _measure(options: argparse.Namespace) -> None:
    started = time.monotonic()
    bundle = Bundle.open(options.models)
    with spread.over(options.jobs):
        near = splits.near_of(bundle.manifest)
        data, said_of_data = prepare(options.data, options.train, near=near, views=())
    options.out.mkdir(parents=True, exist_ok=True)
    net, made_by = _nobody, "nobody"
    if not options.ours:
        # TensorFlow only from here on: a mistake in the arguments should not wait for it.
        from benchmarks.robustness import control

        fingerprint = said_of_data["dataset"]["fingerprint"]
        net = control.trained(data, options.out, fingerprint, options.epochs)
        made_by = net.made_by
    count, most = (80, 80) if options.quick else (options.pictures, options.most)
    samples = draw(data, max(count, most))
    todo = cells(samples, count)
    looks = look(todo, options.out / "looks", net, made_by, options.jobs)
    said: dict[str, list[Said | None]] = {}
    for model in report.OURS:
        said[model] = [
            *read(todo, looks, model, bundle.folder, options.out / "readings", options.jobs)
        ]
    if not options.ours:
        said["pixels"] = [said_by(some.control, some) for some in looks]
        said["pixels, level"] = [said_by(some.control_level, some) for some in looks]
    if options.peers:
        few = 20 if options.quick else options.peer_pictures
        asked = options.peer_sources or [sample.source for sample in samples]
        try:
            said["fer"] = _peer(todo, few, asked, options.out)
        except peer.PeerError as error:  # it runs where nothing of ours can be imported
            raise SetupError(str(error)) from None
    found = judged(todo, said)
    _write(options, samples, todo, found, time.monotonic() - started)


def _nobody(faces: np.ndarray) -> np.ndarray:
    """In place of the control: it says nothing of any of N faces, (N, 7)."""
    return np.zeros((len(faces), len(CLASSES)), np.float32)


def judged(todo: Sequence[Cell], said: dict[str, list[Said | None]]) -> dict[report.Key, Figures]:
    """The figures of every system in every cell in which it said something."""
    found = {}
    for system, answers in said.items():
        clean = {
            (cell.sample.source, cell.condition.followed): (cell, answer)
            for cell, answer in zip(todo, answers, strict=True)
            if cell.condition in (CLEAN, FOLLOWED) and answer is not None
        }
        for cell, answer in zip(todo, answers, strict=True):
            if answer is None:
                continue
            whole, before = clean[cell.sample.source, cell.condition.followed]
            rows = min(len(answer.best), len(before.best))
            answer = Said(answer.best[:rows], answer.label[:rows], answer.face[:rows])
            key = (cell.sample.source, cell.condition.name, cell.level, system)
            found[key] = judge(whole.sample.label, answer, before, whole.sample.group)
    return found


def _peer(todo: Sequence[Cell], count: int, sources: Sequence[str], out: Path) -> list[Said | None]:
    """What the fer package says of the first pictures of each cell; None where it is not asked."""
    python = peer.environment(out / "fer-venv")
    folder = out / "fer"
    folder.mkdir(exist_ok=True)
    program = peer.Peer(python)
    answers: list[Said | None] = []
    for cell in tqdm(todo, desc="readings of fer", unit="cell", disable=None):
        if cell.condition.followed or cell.sample.source not in sources:  # it does not track
            answers.append(None)
            continue
        some = Cell(cell.sample.first(count), cell.condition, cell.level)
        path, stamp = folder / f"{cell.name}.npz", some.stamp(peer.VERSION)
        if not is_of(path, stamp):
            frames = [some.frames(row)[-1] for row in range(len(some.sample))]
            keep(path, stamp, {"scores": program(frames, some.sample.kind == "crop")})
        scores = load(path, ["scores"])["scores"]
        face = scores.any(axis=1)
        best = np.where(face, scores.argmax(axis=1), -1)
        answers.append(Said(best, np.where(face, best, LABELS.index(UNKNOWN)), face))
    program.close()
    return answers


def _write(
    options: argparse.Namespace,
    samples: Sequence[Sample],
    todo: Sequence[Cell],
    found: dict[report.Key, Figures],
    seconds: float,
) -> None:
    """On the terminal, and into the files of a result."""
    now = datetime.now(UTC)
    stem = options.results / f"{now:%Y-%m-%d-%H%M%S}-robustness"
    options.results.mkdir(parents=True, exist_ok=True)
    sources = {sample.source: sample.kind for sample in samples}
    faces = []
    for cell in todo:
        if cell.condition is CLEAN:
            boxes = np.ptp(cell.sample.meshes[..., :2], axis=1)
            across = np.median(boxes[:, 0])
            fewest = min(len(c.sample) for c in todo if c.sample.source == cell.sample.source)
            faces.append(
                f"{cell.sample.source}'s faces are {across:.0f} pixels wide in the median: "
                f"{len(cell.sample)} of them clean and where our goal is judged, the first "
                f"{fewest} of these in every other change"
            )
    told = report.summary(found, sources, f"{'; '.join(faces)}.")
    print("\n".join(told))
    machine = about() | {"models": _models(options.models)}
    result = {
        "kind": "robustness",
        "about": machine,
        "options": {
            key: str(value)
            for key, value in vars(options).items()
            if key not in ("data", "models", "train", "out", "results")  # where things lie here
        },
        "seconds": round(seconds),
        "sources": sources,
        "conditions": [
            {"name": c.name, "family": c.family, "unit": c.unit, "levels": c.levels}
            for c in CONDITIONS
        ],
        "figures": {
            "/".join((source, condition, f"{level:g}", system)): {
                key: round(value, 4) if isinstance(value, float) else value
                for key, value in asdict(figures).items()
            }
            for (source, condition, level, system), figures in found.items()
        },
    }
    stem.with_suffix(".json").write_text(json.dumps(result, ensure_ascii=False) + "\n")
    body = [f"# Robustness, {now:%Y-%m-%d %H:%M} UTC", ""]
    for source in sources:
        name = f"{stem.name}-{source}.png"
        report.picture(found, source, options.results / name)
        body += [f"![Points of accuracy lost, {source}]({name})", ""]
    body += [*told, "", "## Every severity"]
    for source in sources:
        body += report.every(found, source)
    body += ["", "## Machine", "", *table(["what", "is"], [[k, v] for k, v in machine.items()])]
    body += ["", f"This run took {seconds / 60:.0f} minutes with what was kept of earlier ones."]
    stem.with_suffix(".md").write_text("\n".join(body) + "\n")
    print(f"\nwritten: {stem}.json, .md, .png")


def _models(folder: Path | None) -> str:
    """Which bundle: the start of its classifiers' checksums."""
    bundle = Bundle.open(folder)
    parts = [(name, bundle.model(name).get("sha256")) for name in bundle.models]
    return ", ".join(f"{name} {sha[:8]}" for name, sha in parts if sha)


def _parser() -> argparse.ArgumentParser:
    some = number(int, 1)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description=__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="folders or zips with face_<class>/ in")
    parser.add_argument("--models", type=Path, default=DEFAULT_DIR, help="the bundle's folder")
    parser.add_argument("--pictures", type=some, default=400, help="of a source, a severity")
    parser.add_argument(
        "--most", type=some, default=1200, help="where our goal is judged, and clean (default 1200)"
    )
    parser.add_argument("--quick", action="store_true", help="80 pictures: whether it runs")
    parser.add_argument("--ours", action="store_true", help="without the control: 15 minutes")
    parser.add_argument("--peers", action="store_true", help="the fer package, too")
    parser.add_argument("--peer-pictures", type=some, default=120, help="that it reads")
    parser.add_argument(
        "--peer-sources", nargs="+", metavar="SOURCE", help="of which it reads any (default: all)"
    )
    parser.add_argument("--epochs", type=some, default=14, help="of the control's training")
    parser.add_argument("--jobs", type=some, default=None, help="processes (default: every core)")
    parser.add_argument(
        "--train", type=Path, default=Path("build/train"), help="where training keeps its meshes"
    )
    parser.add_argument("--out", type=Path, default=OUT, help=f"what is kept (default: {OUT})")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
