"""What `python -m benchmarks.evaluate` and `….compare` share: arguments and data."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.evaluate import metrics, readings, survey
from benchmarks.evaluate.readings import Readings
from benchmarks.evaluate.survey import Survey
from benchmarks.machine import about
from edge.arguments import number
from edge.bundle import DEFAULT_DIR, Bundle
from edge.cameras.opencv import VIDEOS
from train import spread
from train.dataset import find_pictures

OUT = Path("build/evaluate")
"""Untracked; everything in it can be made again."""


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """What models of a bundle read in a data set."""

    bundle: Bundle
    """The bundle."""
    readings: Mapping[str, Readings]
    """Of each model."""
    about: dict[str, Any]
    """What it was made with."""
    notes: list[str]
    """What a person should be told."""
    warnings: list[str]
    """What makes the figures untrue."""


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Arguments about pictures and work; a command adds its own."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument(
        "--faces",
        choices=survey.FACES,
        default="auto",
        help="cropped: a picture is a face; photographs: it has one, which is searched; auto "
        f"(default): cropped for sources of small pictures (median below {survey.CROP_BELOW} px)",
    )
    parser.add_argument(
        "--split",
        choices=survey.SPLITS,
        default="unseen",
        help="unseen (default): of sources that trained the bundle (known by their names) the "
        "validation pictures, of others every picture; validation; test; all, also those that "
        "trained it",
    )
    spread.add_arguments(parser)
    parser.add_argument(
        "--samples",
        type=number(int, 1),
        default=metrics.SAMPLES,
        help="of the bootstrap (%(default)s)",
    )
    parser.add_argument("--out", type=Path, default=OUT, help=f"default: {OUT}")
    return parser


def gather(
    data: Sequence[Path], folder: Path, models: Sequence[str], options: argparse.Namespace
) -> Gathered:
    """What the models of the bundle in `folder` (all where empty) read in `data`."""
    bundle = Bundle.open(folder)
    for model in models:
        bundle.model(model)
    cache = options.out / "cache"
    pictures, notes = find_pictures(data)
    with spread.over(options.jobs, options.dask):
        found = survey.survey(pictures, bundle, cache)
        rows = survey.chosen(found, options.split, bundle)
        cropped = survey.reads_cropped(found, options.faces)
        read = {
            model: readings.read(found, rows, bundle, model, cropped, cache)
            for model in models or bundle.models
        }
    scored = next(iter(read.values()))
    told = about() | {
        "bundle": bundle.folder.name if bundle.folder.resolve() == DEFAULT_DIR else str(folder),
        "manifest": readings.digest(bundle),
        "trained on": bundle.manifest.get("dataset"),
        "split": options.split,
        "read as": {name: "crops" if crop else "photographs" for name, crop in cropped.items()},
        "pictures": {name: int((found.source == name).sum()) for name in cropped},
        "scored": {name: int((scored.source == name).sum()) for name in cropped},
        "bootstrap samples": options.samples,
    }
    notes += [*found.notes, *_how(found, bundle, told)]
    return Gathered(bundle, read, told, notes, _warnings(scored, bundle))


def _how(found: Survey, bundle: Bundle, told: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{name}: {told['scored'][name]:,} of {told['pictures'][name]:,} pictures scored, read as "
        f"{told['read as'][name]}"
        for name in told["read as"]
    ]
    trained = (bundle.manifest.get("dataset") or {}).get("train_on") or []
    known = [name for name in trained if name in told["read as"]]
    if found.certain:
        lines.append(
            "These are the very pictures that the bundle was made with (same fingerprint)."
        )
    elif known:
        lines.append(
            f"The bundle was made with other pictures besides or instead of these: which of "
            f"{', '.join(known)} trained it is told by the rules of the splits, not known."
        )
    strange = [name for name in told["read as"] if name not in trained]
    absent = [name for name in trained if name not in known]
    if strange and absent:
        lines.append(
            f"The bundle was trained on {', '.join(trained)}. A data set is known by its name: if "
            f"{', '.join(strange)} is {' or '.join(absent)} under another one, its pictures may "
            "have trained the bundle."
        )
    if known and told["split"] in ("unseen", "validation"):
        lines.append(
            f"The validation pictures of {', '.join(known)} trained nothing, but settings and "
            "calibration were chosen by them: expect a little less elsewhere."
        )
    return lines


def _warnings(scored: Readings, bundle: Bundle) -> list[str]:
    if not bundle.manifest.get("dataset"):
        return ["The manifest does not say what trained this bundle: these pictures may have."]
    seen = int(scored.seen.sum())
    if not seen:
        return []
    return [
        f"{seen:,} of the {len(scored.seen):,} scored pictures trained this bundle, or are like "
        "one that did: these figures are better than it is."
    ]


def videos(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Data sets, and clips among them."""
    clips = [path for path in paths if path.suffix.lower() in VIDEOS]
    return [path for path in paths if path not in clips], clips


def new_folder(out: Path, name: str) -> Path:
    """A folder for a result, named after the moment and what it is of."""
    folder = out / f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{name}"
    folder.mkdir(parents=True)
    return folder


def write_json(path: Path, result: Mapping[str, Any]) -> None:
    """A result as JSON; numbers that are none are not let through."""
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
