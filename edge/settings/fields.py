"""Fields of settings: a default, what is allowed in words (for the error message), a check."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import Field, field
from typing import Any

_LONGEST = 1000
"""Characters of a text."""


def between(default: float, low: float, high: float) -> Any:
    """A number from `low` to `high`, both allowed; an int where `default` is one."""
    return _allowed(default, f"{low} to {high}", lambda value: low <= value <= high)


def one_of(default: str, *choices: str) -> Any:
    """One of some words."""
    return _allowed(default, ", ".join(map(repr, choices)), lambda value: value in choices)


def switch(default: bool) -> Any:
    """On or off."""
    return _allowed(default, "true or false", lambda value: True)


def text(default: str = "", words: str = "one line") -> Any:
    """One printable line."""
    return _allowed(default, words, lambda value: value.isprintable() and len(value) <= _LONGEST)


def names(default: str = "", words: str = "", *, empty: bool = True, slash: bool = True) -> Any:
    """A part of an MQTT topic: ASCII letters, digits, - and _, and perhaps inner slashes."""
    pattern = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*" if slash else r"[A-Za-z0-9_-]+")

    def fitting(value: str) -> bool:
        return len(value) <= _LONGEST and bool(pattern.fullmatch(value))

    return _allowed(default, words, lambda value: fitting(value) or (empty and not value))


def fits(entry: Field[Any], value: object) -> bool:
    """Whether a value that was read is of the field's type and allowed."""
    expected = type(entry.default)
    if isinstance(value, bool) != (expected is bool):
        return False
    if not isinstance(value, (int, float) if expected is float else expected):
        return False
    return bool(entry.metadata["check"](value))


def _allowed(default: Any, words: str, check: Callable[[Any], bool]) -> Any:
    return field(default=default, metadata={"allowed": words, "check": check})
