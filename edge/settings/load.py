"""Where settings come from: defaults < file < environment < command line.

The file is /etc/fer-edge/config.toml where there is one, or what --config names. A variable
FER_EDGE_MQTT_HOST, or a flag `--set mqtt.host=…`, stands for `host` in table `[mqtt]`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

from edge.errors import SettingsError
from edge.settings import Settings
from edge.settings.fields import fits

SYSTEM_FILE = Path("/etc/fer-edge/config.toml")
PREFIX = "FER_EDGE_"

TABLES: dict[str, dict[str, Field[Any]]] = {
    table.name: {entry.name: entry for entry in fields(type(table.default))}  # type: ignore[arg-type]
    for table in fields(Settings)
}
"""Table → key → field."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings and where each came from."""

    settings: Settings
    """The effective ones."""
    origins: Mapping[tuple[str, str], str]
    """(table, key) → file, variable or flag, for what is not the default."""


def load(
    path: Path | None = None,
    flags: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> Loaded:
    """The effective settings.

    `path`: a TOML file that has to exist; None for the system's, where there is one. `flags`:
    "table.key=value" each. What none of the three sets keeps its default. Raises SettingsError
    naming file (or variable, or flag), key, value and what is allowed.
    """
    values: dict[tuple[str, str], Any] = {}
    origins: dict[tuple[str, str], str] = {}
    if path is None and _is_there(SYSTEM_FILE):
        path = SYSTEM_FILE
    if path is not None:
        for place, value in _read(path).items():
            values[place], origins[place] = value, str(path)
    variables = {
        f"{PREFIX}{table}_{key}".upper(): (table, key) for table in TABLES for key in TABLES[table]
    }
    for name in sorted(environment):
        if name.startswith(PREFIX):
            if name not in variables:
                allowed = "FER_EDGE_TABLE_KEY, as in FER_EDGE_MQTT_HOST"
                raise SettingsError(
                    f"environment: {_shown(name)}: unknown variable; allowed: {allowed}"
                )
            place = variables[name]
            values[place] = _parsed(f"environment: {name}", place, environment[name])
            origins[place] = f"environment: {name}"
    for flag in flags:
        name, equals, written = flag.partition("=")
        home, dot, key = name.strip().partition(".")
        where = f"--set {_shown(flag)}"
        if not equals or not dot:
            raise SettingsError(f"{where}: allowed is TABLE.KEY=VALUE, as in mqtt.host=broker")
        _known(where, home, key)
        values[home, key] = _parsed(where, (home, key), written)
        origins[home, key] = where
    made: dict[str, Any] = {}
    for table in fields(Settings):
        kind: Any = type(table.default)
        given = {key: value for (home, key), value in values.items() if home == table.name}
        made[table.name] = kind(**given)
    return Loaded(Settings(**made), origins)


def as_toml(loaded: Loaded) -> str:
    """The effective settings as a file; behind each value where it came from."""
    lines = []
    for table, keys in TABLES.items():
        lines.append(f"[{table}]")
        for key in keys:
            value = getattr(getattr(loaded.settings, table), key)
            origin = loaded.origins.get((table, key), "default")
            lines.append(f"{key} = {_as_toml(value)}  # {origin}")
        lines.append("")
    return "\n".join(lines)


def _is_there(path: Path) -> bool:
    """Also what is there but cannot be read, which has to be told."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _read(path: Path) -> dict[tuple[str, str], Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    values = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            for home, keys in TABLES.items():
                if name in keys:
                    raise SettingsError(f"{path}: {name} is in no table: put it under [{home}]")
        if name not in TABLES or not isinstance(table, dict):
            raise SettingsError(f"{path}: unknown table {name!r}; allowed: {', '.join(TABLES)}")
        for key, value in table.items():
            told = "…" if "password" in key.lower() and key not in TABLES[name] else repr(value)
            where = f"{path}: {name}.{_shown(key)} = {told}"
            _known(where, name, key)
            values[name, key] = _checked(where, (name, key), value)
    return values


def _known(where: str, table: str, key: str) -> None:
    if table not in TABLES:
        raise SettingsError(f"{where}: unknown table; allowed: {', '.join(TABLES)}")
    if key not in TABLES[table]:
        raise SettingsError(f"{where}: unknown key; allowed: {', '.join(TABLES[table])}")


def _parsed(where: str, place: tuple[str, str], written: str) -> Any:
    """A value out of a variable or flag: text as it stands, all else as TOML writes it."""
    value: Any = written
    if not isinstance(TABLES[place[0]][place[1]].default, str):
        with suppress(ValueError, RecursionError):  # then it is told as text, not allowed
            value = tomllib.loads(f"value = {written}")["value"]
    return _checked(f"{where} = {written!r}" if where.startswith("env") else where, place, value)


def _checked(where: str, place: tuple[str, str], value: object) -> Any:
    entry = TABLES[place[0]][place[1]]
    if not fits(entry, value):
        raise SettingsError(f"{where}: allowed is {entry.type} {entry.metadata['allowed']}")
    return value


def _shown(text: str) -> str:
    return text if text.isprintable() else repr(text)


def _as_toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):  # printable, so these are all that TOML wants escaped
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
