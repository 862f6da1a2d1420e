"""The two that are compared: what their names stand for, and what they read."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.evaluate import command
from benchmarks.evaluate.readings import Readings
from edge.bundle import DEFAULT_DIR, MANIFEST, Bundle
from edge.errors import SetupError

RESULT = "evaluation.json"
"""In the folder of a result."""


@dataclass(frozen=True, slots=True)
class Named:
    """What one of the two that are compared is called for."""

    name: str
    """As it was given."""
    folder: Path
    """A bundle, or a result."""
    models: Sequence[str]
    """Those of it that are asked for; there is one at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two that are compared."""

    name: str
    """As it was given."""
    readings: Mapping[str, Readings]
    """Of each model."""
    about: Mapping[str, Any]
    """What they were made with."""
    warnings: Sequence[str]
    """What makes its figures untrue."""


def named(name: str, options: argparse.Namespace) -> Named:
    """What a side's name stands for. Raises SetupError where it is nothing of the kind."""
    given, _, model = name.partition(":")
    path = Path(given)
    if not path.exists() and not model and given in Bundle.open().models:
        path, model = DEFAULT_DIR, given
    if path.name.startswith("readings-") and path.suffix == ".npz":
        path, model = path.parent, path.stem.removeprefix("readings-")
    if path.name == RESULT:
        path = path.parent
    if (path / RESULT).is_file():
        has = list(_result(path)["models"])
    elif (path / MANIFEST).is_file():
        has = list(Bundle.open(path).models)
        if not options.data:
            raise SetupError(f"{name}: say what to read with it: make compare A=… B=… DATA='….zip'")
    else:
        raise SetupError(
            f"{name}: neither a bundle ({MANIFEST}), nor a result of `make evaluate` ({RESULT}), "
            f"nor a model of the bundle ({', '.join(Bundle.open().models)})"
        )
    wanted = [model] if model else list(options.model)
    missing = [model for model in wanted if model not in has]
    if missing:
        raise SetupError(f"{name}: no model {missing[0]!r} in it; it has: {', '.join(has)}")
    return Named(name, path, wanted or has)


def opened(side: Named, options: argparse.Namespace) -> Side:
    """A side with its readings: those that were kept, or those of DATA."""
    if (side.folder / RESULT).is_file():
        kept, folder = _result(side.folder), side.folder
        read = {model: Readings.open(folder / f"readings-{model}.npz") for model in side.models}
        return Side(side.name, read, kept["about"], kept["warnings"])
    data, _ = command.videos(options.data)
    new = command.gather(data, side.folder, side.models, options)
    return Side(side.name, new.readings, new.about, new.warnings)


def _result(folder: Path) -> dict[str, Any]:
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        return {key: result[key] for key in ("models", "about", "warnings")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(f"{folder / RESULT}: cannot be read ({error}): evaluate again") from None


def matched(one: Named, other: Named) -> list[tuple[str, str]]:
    """Pairs of models to compare: the two, where each side has one; else those of one name.

    Raises SetupError where there are none, or where a model would be compared with itself.
    """
    common = [name for name in one.models if name in other.models]
    if len(one.models) == len(other.models) == 1:
        pairs = [(one.models[0], other.models[0])]
    elif common:
        pairs = [(name, name) for name in common]
    else:
        raise SetupError(
            f"{one.name} has {', '.join(one.models)}, {other.name} has "
            f"{', '.join(other.models)}: name a model of each, as in {one.name}:svm"
        )
    if one.folder.resolve() == other.folder.resolve() and any(a == b for a, b in pairs):
        raise SetupError(f"A={one.name} and B={other.name} are the same: name two that may differ")
    return pairs
