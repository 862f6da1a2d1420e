"""`make train DATA=…`: pictures → meshes → splits → SVMs, graph network → report."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge.errors import SetupError
from train import command, evaluate, fitted, leave_out, plausible, report, svm
from train.prepare import Data

RECIPES = (*svm.RECIPES, "gnn")
"""What is fitted, in this order. `svm` and `gnn` are shipped."""
LEFT_OUT = ("svm", "gnn")
"""What `--leave-out` fits."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the training; its exit status."""
    parser = command.parser("train", __doc__)
    parser.add_argument("--model", nargs="+", choices=RECIPES, dest="recipes", help="default: all")
    parser.add_argument(
        "--leave-out",
        action="store_true",
        help="train svm and gnn on all sources but one, too, for each (as long again; goes on)",
    )
    return command.run(parser, arguments, fit, record=True)


def fit(data: Data, about: dict[str, Any], options: argparse.Namespace) -> None:
    """Fit the recipes, judge them on validation, and write models and report."""
    if options.leave_out:
        leave_out.sources(data)  # refused now, not after everything has trained
    plausible.save(options.out, data, about)
    curves = {}
    for name in options.recipes or _possible():
        recipe = _recipe(name, options.out)
        print(f"{name}: {(recipe.__doc__ or '').splitlines()[0]}", flush=True)
        start = time.perf_counter()
        made = recipe(data)
        truth = data.validation_label
        sources = evaluate.by_source(truth, made.predicted, data.validation_source)
        about["models"][name] = {
            "seconds": round(time.perf_counter() - start, 1),
            **made.figures,
            "validation": evaluate.metrics(truth, made.predicted),
            "sources": sources,
        }
        curves[name] = made.curves
        fitted.save(options.out / f"{name}.npz", made, data, about)
        for where, figures in sources.items():
            print(
                f"  {where}: accuracy {figures['accuracy']:.4f}, macro-F1 {figures['macro_f1']:.4f}"
                f" on {figures['pictures']} pictures"
            )
        print(f"  {about['models'][name]['seconds']:.0f} s", flush=True)
    if options.leave_out:
        chosen = [name for name in options.recipes or _possible() if name in LEFT_OUT]
        recipes = {name: _recipe(name, options.out / "leave-out") for name in chosen}
        about["left_out"] = leave_out.judge(data, recipes, options.out, about["dataset"])
    page = report.write(options.out / "report", about, curves)
    print(f"report: {page}")


def _possible() -> tuple[str, ...]:
    """All recipes, or those that need no TensorFlow where it is not installed."""
    if find_spec("tensorflow") and find_spec("spektral"):
        return RECIPES
    print("TensorFlow and Spektral are not installed (they need Python 3.11 or 3.12): no gnn")
    return tuple(svm.RECIPES)


def _recipe(name: str, out: Path) -> Callable[[Data], fitted.Fitted]:
    if name in svm.RECIPES:
        return svm.RECIPES[name]
    try:
        from train import gnn  # TensorFlow takes seconds to import
    except ImportError as error:
        raise SetupError(
            f"the graph network cannot be trained here ({error}): it needs TensorFlow and "
            "Spektral, which `make train` installs where Python is 3.11 or 3.12"
        ) from None
    return gnn.recipe(out)


if __name__ == "__main__":
    sys.exit(main())
