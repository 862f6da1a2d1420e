"""`make train DATA=…`: pictures → meshes → splits → SVMs → report."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import EdgeError
from edge.types import CLASSES
from train import evaluate, meshes, report, splits, svm
from train.dataset import Picture, describe, find_pictures, fingerprint

OUT = Path("build/train")
"""Untracked; everything in it can be made again."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the training; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="folders or zips with face_<class>/ in")
    parser.add_argument("--out", type=Path, default=OUT, help=f"default: {OUT}")
    parser.add_argument("--jobs", type=int, default=None, help="processes (default: every core)")
    parser.add_argument(
        "--recipes",
        nargs="+",
        choices=tuple(svm.RECIPES),
        default=list(svm.RECIPES),
        help="default: all",
    )
    options = parser.parse_args(arguments)
    try:
        train(options.data, options.out, options.jobs, options.recipes)
    except EdgeError as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("train: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def train(roots: Sequence[Path], out: Path, jobs: int | None, recipes: Sequence[str]) -> None:
    """The whole training; everything it makes goes into `out`."""
    pictures, notes = find_pictures(roots)
    print(describe(pictures), flush=True)
    rows = meshes.extract(pictures, out / "meshes.npz", jobs=jobs)
    broken = [p.id for p, good in zip(pictures, rows.readable, strict=True) if not good]
    if broken:
        notes.append(f"{len(broken)} unreadable pictures left out: {', '.join(broken[:20])}")
    pictures = [p for p, good in zip(pictures, rows.readable, strict=True) if good]
    rows = rows.take(rows.readable)

    verdicts = splits.decide(pictures, rows.content.tolist(), rows.fingerprint)
    splits.write(out / "splits.csv", pictures, verdicts)
    notes += splits.summary(pictures, verdicts)
    print("\n".join(notes), flush=True)

    label = np.array([picture.label for picture in pictures])
    source = np.array([picture.source for picture in pictures])
    split = np.array([verdict.split for verdict in verdicts])
    chosen = {name: np.flatnonzero(split == name) for name in ("train", "validation")}
    _enough(label, chosen)
    # Mirrored pictures come after the split, and only of the pictures that train.
    mirrored = meshes.extract(
        [pictures[i] for i in chosen["train"]],
        out / "meshes-mirrored.npz",
        mirrored=True,
        jobs=jobs,
    )
    data = svm.Data(
        landmarks=rows.landmarks[chosen["train"]],
        mirrored=mirrored.landmarks,
        label=label[chosen["train"]],
        source=source[chosen["train"]],
        validation_landmarks=rows.landmarks[chosen["validation"]],
        validation_label=label[chosen["validation"]],
        validation_source=source[chosen["validation"]],
    )
    about: dict[str, Any] = {
        "dataset": {
            "fingerprint": fingerprint(zip(rows.id, rows.content, strict=True)),
            "pictures": _counts(pictures),
            "train": len(chosen["train"]),
            "validation": len(chosen["validation"]),
        },
        "meshes": meshes.provenance(mirrored=False),
        "notes": notes,
        "coverage": evaluate.coverage(rows.presence, label, source),
        "models": {},
    }
    for name in recipes:
        start = time.perf_counter()
        print(f"{name}: {svm.RECIPES[name].__doc__.splitlines()[0]}", flush=True)
        fitted = svm.RECIPES[name](data)
        truth, predicted = data.validation_label, fitted.probabilities.argmax(axis=1)
        about["models"][name] = {
            "seconds": round(time.perf_counter() - start, 1),
            "support_vectors": len(fitted.arrays["support_vectors"]),
            "validation": evaluate.metrics(truth, predicted),
            "sources": evaluate.by_source(truth, predicted, data.validation_source),
        }
        svm.save(out / f"{name}.npz", fitted, data, about)
        for where, figures in about["models"][name]["sources"].items():
            print(
                f"  {where}: accuracy {figures['accuracy']:.4f}, macro-F1 {figures['macro_f1']:.4f}"
                f" on {figures['pictures']} pictures"
            )
        print(f"  {about['models'][name]['seconds']:.0f} s", flush=True)
    page = report.write(out / "report", about, fitted.explained_variance)
    print(f"report: {page}")


def _enough(label: np.ndarray, chosen: dict[str, np.ndarray]) -> None:
    for name, rows in chosen.items():
        missing = [CLASSES[i] for i in range(len(CLASSES)) if not (label[rows] == i).any()]
        if missing:
            raise EdgeError(f"the {name} set has no picture of: {', '.join(missing)}; add some")


def _counts(pictures: Sequence[Picture]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for picture in pictures:
        counts[picture.source] = counts.get(picture.source, 0) + 1
    return counts


if __name__ == "__main__":
    sys.exit(main())
