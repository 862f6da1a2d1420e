"""Modules that wait until they are used, and packages that do nothing of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType


@contextmanager
def later(*names: str) -> Iterator[None]:
    """Modules `names`, where they are imported within, load when they are first used."""
    finder = _Finder(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def bare(name: str) -> None:
    """Package `name`, where it is installed, only as the place where its modules are."""
    spec = find_spec(name)
    if spec and name not in sys.modules:
        sys.modules[name] = module_from_spec(spec)


class _Finder:
    """Finds only `names`, and makes them wait: https://docs.python.org/3/library/importlib.html"""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in self._names else None
        if spec and spec.loader:
            spec.loader = LazyLoader(spec.loader)
        return spec
