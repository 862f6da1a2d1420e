"""`make train DATA=…`: pictures → meshes → splits → SVMs → report."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from train import evaluate, report, splits, svm
from train.prepare import prepare

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
    parser.add_argument(
        "--near",
        type=float,
        default=splits.NEAR,
        help=f"likeness from which two pictures count as one (default: {splits.NEAR}); above 1 "
        "only identical files do",
    )
    parser.add_argument(
        "--train-on",
        nargs="+",
        default=[],
        metavar="SOURCE",
        help="train on these sources only and judge all of them (default: train on all)",
    )
    options = parser.parse_args(arguments)
    try:
        data, about = prepare(
            options.data,
            options.out,
            jobs=options.jobs,
            near=options.near,
            train_on=options.train_on,
        )
        fit(data, about, options.out, options.recipes)
    except EdgeError as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"train: {error.filename or options.out}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("train: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def fit(data: svm.Data, about: dict[str, Any], out: Path, recipes: Sequence[str]) -> None:
    """Fit the recipes, judge them on validation, and write models and report into `out`."""
    for name in recipes:
        print(f"{name}: {(svm.RECIPES[name].__doc__ or '').splitlines()[0]}", flush=True)
        start = time.perf_counter()
        fitted = svm.RECIPES[name](data)
        truth = data.validation_label
        sources = evaluate.by_source(truth, fitted.predicted, data.validation_source)
        about["models"][name] = {
            "seconds": round(time.perf_counter() - start, 1),
            "support_vectors": len(fitted.arrays["support_vectors"]),
            "validation": evaluate.metrics(truth, fitted.predicted),
            "sources": sources,
        }
        svm.save(out / f"{name}.npz", fitted, data, about)
        for where, figures in sources.items():
            print(
                f"  {where}: accuracy {figures['accuracy']:.4f}, macro-F1 {figures['macro_f1']:.4f}"
                f" on {figures['pictures']} pictures"
            )
        print(f"  {about['models'][name]['seconds']:.0f} s", flush=True)
    page = report.write(out / "report", about, fitted.explained_variance)
    print(f"report: {page}")


if __name__ == "__main__":
    sys.exit(main())
