"""`make evaluate DATA=…`: how well a bundle reads pictures that it has not seen, and how surely.

The device's own program reads every picture. A table on the terminal; a page, its pictures, the
figures as JSON and every reading as .npz in build/evaluate/DATE-….
"""

from __future__ import annotations

import os

# As `python -m edge` does, and for the same reason: before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.evaluate import command, draw, figures, page
from benchmarks.report import table
from edge.bundle import DEFAULT_DIR
from edge.cli import SAMPLE
from train.command import finish


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate; the exit status."""
    parser = command.parser("benchmarks.evaluate", __doc__)
    parser.add_argument(
        "data", nargs="+", type=Path, help="folders or zips with face_<class>/ in; videos are clips"
    )
    parser.add_argument("--model", nargs="+", default=[], help="default: every one of the bundle")
    parser.add_argument("--models", type=Path, default=DEFAULT_DIR, help="the bundle's folder")
    parser.add_argument(
        "--clip",
        type=Path,
        nargs="+",
        default=[],
        help="videos on which changes of the label are counted (default: the sample)",
    )
    return finish(parser, arguments, evaluate)


def evaluate(options: argparse.Namespace) -> None:
    """Read, judge, write."""
    data, clips = command.videos(options.data)
    gathered = command.gather(data, options.models, options.model, options)
    clips += options.clip
    sample = DEFAULT_DIR / SAMPLE
    if not clips and sample.is_file():
        clips = [sample]
    models = {}
    for name, readings in gathered.readings.items():
        models[name] = figures.judge(readings, options.samples)
        models[name]["clips"] = [figures.flips(clip, options.models, name) for clip in clips]
    sources = list(next(iter(models.values()))["sources"])
    result = {
        "kind": "evaluation",
        "subject": f"{', '.join(models)} of {_named(gathered)} on {', '.join(sources)}",
        "warnings": gathered.warnings,
        "notes": gathered.notes,
        "about": gathered.about,
        "models": models,
    }
    folder = command.new_folder(options.out, "-".join([*models, "on", *sources[:4]]))
    command.write_json(folder / "evaluation.json", result)
    for name, readings in gathered.readings.items():
        readings.save(folder / f"readings-{name}.npz")
    pictures = draw.draw(folder, models)
    (folder / "index.html").write_text(page.evaluation(result, folder, pictures), encoding="utf-8")
    for line in gathered.notes:
        print(line)
    print("\n".join(["", *table(page.HEAD, page.rows(models))]))
    if clips:
        print("\n".join(["", *table(page.FLIPS, page.flip_rows(models))]))
    for line in gathered.warnings:
        print(f"\nWARNING: {line}")
    print(f"\npage: {folder / 'index.html'}")


def _named(gathered: command.Gathered) -> str:
    return f"the bundle {gathered.about['bundle']} (manifest {gathered.about['manifest'][:8]})"


if __name__ == "__main__":
    sys.exit(main())
