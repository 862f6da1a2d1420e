"""The model bundle: the folder `models/` and the manifest that says what is in it.

A bundle that does not match its manifest is refused with one line that says which part.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from edge.errors import SetupError
from edge.types import CLASSES

MANIFEST = "manifest.json"
FORMAT = 3
"""Version of the manifest's layout."""
_CHECKOUT = Path(__file__).resolve().parent.parent
INSTALLED = not (_CHECKOUT / "pyproject.toml").is_file()
"""Whether this is a wheel in an environment, and not a checkout."""
DEFAULT_DIR = (Path(sys.prefix).resolve().parent if INSTALLED else _CHECKOUT) / "models"
"""The bundle that came with the program: the checkout's, or the one that was installed beside the
environment."""
_PIECE = 1 << 16
"""Bytes that are hashed at a time."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle, checked against its manifest."""

    folder: Path
    """Where the files are."""
    manifest: dict[str, Any]
    """The parsed manifest."""

    @classmethod
    def open(cls, folder: Path | None = None) -> Bundle:
        """Read and check the manifest. Raises SetupError where it does not fit this runtime."""
        folder = DEFAULT_DIR if folder is None else folder
        path = folder / MANIFEST
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SetupError(f"{path} is missing: run `make convert`, or give --models") from None
        except OSError as error:
            raise SetupError(f"{path}: cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise SetupError(
                f"{path}: cannot be read ({error}): run `git checkout models`, or `make convert`"
            ) from None
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise SetupError(
                f"{path}: not a manifest of format {FORMAT}: run `git checkout models`, or "
                "`make convert`"
            )
        if manifest.get("classes") != list(CLASSES):
            raise SetupError(
                f"{path}: classes are {manifest.get('classes')}, this runtime has {list(CLASSES)}"
            )
        tables = ("networks", "models")
        if not all(isinstance(manifest.get(table), dict) for table in tables):
            raise SetupError(f"{path}: no table of {' or '.join(tables)}")
        return cls(folder, manifest)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the classifiers in the bundle."""
        return tuple(self.manifest["models"])

    def model(self, name: str) -> dict[str, Any]:
        """The manifest's entry of classifier `name`."""
        if name not in self.models:
            raise SetupError(
                f"no model {name!r} in {self.folder}; it has: {', '.join(self.models)}"
            )
        entry: dict[str, Any] = self.manifest["models"][name]
        return entry

    def file(self, name: str, sha256: str) -> Path:
        """Path of a file of the bundle. Raises SetupError when it is missing or another one."""
        path = self.folder / name
        try:
            with path.open("rb") as file:
                found = _sha256(file)
        except ValueError:
            raise SetupError(f"{self.folder / MANIFEST}: no file can be named {name!r}") from None
        except OSError:
            raise SetupError(f"{path} is missing: {self._remedy(name)}") from None
        if found != sha256:
            raise SetupError(
                f"{path} does not match its manifest (sha256 {found[:12]}…): {self._remedy(name)}"
            )
        return path

    def _remedy(self, name: str) -> str:
        here = self.folder.resolve() == DEFAULT_DIR
        if here and INSTALLED:
            return "install fer-edge again"
        if name in self.manifest["networks"]:
            return "run `make models`" + ("" if here else f" and copy {DEFAULT_DIR / name} there")
        if here:
            return "run `git checkout models`, or `make convert` after a training"
        return f"run `make convert ARGS='--models {self.folder}'` after a training"

    def network(self, name: str) -> Path:
        """Path of a face network, checked."""
        try:
            return self.file(name, self.manifest["networks"][name])
        except (KeyError, TypeError):
            raise SetupError(f"{self.folder / MANIFEST} names no network {name}") from None


def _sha256(file: BinaryIO) -> str:
    """SHA-256 of a file, in pieces: it may be the largest thing that the program holds."""
    digest = _new_sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    found: str = digest.hexdigest()
    return found


def _new_sha256() -> Any:
    """Python's own, which `random` uses, too; `hashlib` would load OpenSSL for it, 3 MB."""
    for module in ("_sha2", "_sha256"):  # from Python 3.12 on, and before
        with suppress(ImportError, AttributeError):
            return import_module(module).sha256()
    return import_module("hashlib").sha256()
