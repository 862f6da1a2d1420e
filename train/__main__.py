"""`make train DATA=…`: pictures → meshes → splits → SVMs → report."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from train import command, evaluate, report, svm
from train.prepare import Data


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the training; its exit status."""
    parser = command.parser("train", __doc__)
    parser.add_argument(
        "--recipes",
        nargs="+",
        choices=tuple(svm.RECIPES),
        default=list(svm.RECIPES),
        help="default: all",
    )
    return command.run(parser, arguments, fit)


def fit(data: Data, about: dict[str, Any], options: argparse.Namespace) -> None:
    """Fit the recipes, judge them on validation, and write models and report."""
    for name in options.recipes:
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
        svm.save(options.out / f"{name}.npz", fitted, data, about)
        for where, figures in sources.items():
            print(
                f"  {where}: accuracy {figures['accuracy']:.4f}, macro-F1 {figures['macro_f1']:.4f}"
                f" on {figures['pictures']} pictures"
            )
        print(f"  {about['models'][name]['seconds']:.0f} s", flush=True)
    page = report.write(options.out / "report", about, fitted.explained_variance)
    print(f"report: {page}")


if __name__ == "__main__":
    sys.exit(main())
