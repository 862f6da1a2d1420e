"""Settings: frozen dataclasses, loaded from TOML.

Each field says its unit; its metadata says what is allowed, in words (for the error message) and
as a check. A file has one table per dataclass: `[mesh]`, `[camera]`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from edge.errors import SetupError


def _allowed(default: Any, words: str, check: Callable[[Any], bool]) -> Any:
    return field(default=default, metadata={"allowed": words, "check": check})


def _between(default: float, low: float, high: float) -> Any:
    return _allowed(default, f"{low} to {high}", lambda value: low <= value <= high)


def _one_of(default: str, *choices: str) -> Any:
    return _allowed(default, ", ".join(map(repr, choices)), lambda value: value in choices)


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """How a face is found."""

    backend: str = _one_of("tflite", "tflite", "mediapipe")
    """Whose mesh: "tflite" is ours; "mediapipe" is the mediapipe package, if it is installed."""
    min_detection: float = _between(0.5, 0.01, 0.99)
    """Score, 0 to 1, below which the detector's box is no face."""
    min_presence: float = _between(0.5, 0.0, 1.0)
    """Presence, 0 to 1, below which the mesh network's look is no face."""
    select: str = _one_of("largest", "largest", "surest")
    """Which face of several: "largest", or "surest" (the detector's best score)."""
    threads: int = _between(1, 1, 16)
    """CPU threads for each network."""
    crop_scale: float = _between(1.375, 0.5, 3.0)
    """First look at a picture that is a face crop: its longer side times this. The default, and
    that of the centre, is where looks at FER-2013 settle in the median."""
    crop_centre: float = _between(0.53, 0.0, 1.0)
    """Height of that look's centre, 0 (top) to 1 (bottom) of the picture."""
    crop_looks: int = _between(3, 1, 5)
    """Looks at such a picture; each but the first starts from the landmarks before. From three
    on, the mesh is the mean of the last two."""


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """What is asked of a camera. Files and streams come as they are."""

    width: int = _between(640, 64, 4096)
    """Pixels."""
    height: int = _between(480, 64, 4096)
    """Pixels."""
    frames_per_second: float = _between(15.0, 0.1, 120.0)
    """Frames a second."""
    timeout_seconds: float = _between(2.0, 0.1, 60.0)
    """Seconds without a frame after which a camera counts as lost."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them."""

    mesh: MeshSettings = MeshSettings()
    """Table `[mesh]`."""
    camera: CameraSettings = CameraSettings()
    """Table `[camera]`."""


def load(path: Path) -> Settings:
    """Settings from a TOML file; what it leaves out keeps its default.

    Raises SetupError naming file, key, value and what is allowed.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SetupError(f"{path}: cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise SetupError(f"{path}: not valid TOML: {error}") from None
    known: dict[str, Any] = {entry.name: type(entry.default) for entry in fields(Settings)}
    sections: dict[str, Any] = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            for home, kind in known.items():
                if name in {entry.name for entry in fields(kind)}:
                    raise SetupError(f"{path}: {name} is in no table: put it under [{home}]")
        if name not in known or not isinstance(table, dict):
            raise SetupError(f"{path}: unknown table {name!r}; allowed: {', '.join(known)}")
        sections[name] = _section(path, name, known[name], table)
    return Settings(**sections)


def _section(path: Path, name: str, kind: type[Any], table: dict[str, Any]) -> Any:
    known = {entry.name: entry for entry in fields(kind)}
    for key, value in table.items():
        where = f"{path}: {name}.{key if key.isprintable() else repr(key)} = {value!r}"
        if key not in known:
            raise SetupError(f"{where}: unknown key; allowed: {', '.join(known)}")
        if not _fits(known[key], value):
            raise SetupError(
                f"{where}: allowed is {known[key].type} {known[key].metadata['allowed']}"
            )
    return kind(**table)


def _fits(entry: Field[Any], value: object) -> bool:
    expected = type(entry.default)
    if isinstance(value, bool) or not isinstance(
        value, (int, float) if expected is float else expected
    ):
        return False
    return bool(entry.metadata["check"](value))
