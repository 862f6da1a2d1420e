"""What `python -m train`, its searches and the long benchmarks share: arguments, how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge import quiet
from edge.arguments import number
from edge.errors import EdgeError
from train import splits, spread
from train.prepare import Data, prepare

OUT = Path("build/train")
"""Untracked; everything in it can be made again."""


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Arguments about data; a command may add its own."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("data", nargs="+", type=Path, help="folders or zips with face_<class>/ in")
    parser.add_argument("--out", type=Path, default=OUT, help=f"default: {OUT}")
    spread.add_arguments(parser)
    parser.add_argument(
        "--near",
        type=number(float, 0),
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
    return parser


def run(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    work: Callable[[Data, dict[str, Any], argparse.Namespace], None],
    *,
    record: bool = False,
) -> int:
    """Prepare the data, then `work` with it; the exit status. `record`: see `prepare`."""

    def prepared(options: argparse.Namespace) -> None:
        with spread.over(options.jobs, options.dask):
            data, about = prepare(
                options.data,
                options.out,
                near=options.near,
                train_on=options.train_on,
                record=record,
            )
        work(data, about, options)

    return finish(parser, arguments, prepared)


def finish(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    work: Callable[[argparse.Namespace], None],
) -> int:
    """`work` that writes into `--out`, to its end; the exit status. A mistake is one line."""
    name = parser.prog.removeprefix("python -m ").removeprefix("benchmarks.")
    options = parser.parse_args(arguments)
    quiet.begun()
    try:
        work(options)
    except EdgeError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{name}: {error.filename or options.out}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0
