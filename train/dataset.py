"""Labelled pictures: `face_<class>/` folders under one or several roots, or zips of them."""

from __future__ import annotations

import hashlib
import io
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edge.arrays import BROKEN_ZIP
from edge.errors import SourceError
from edge.types import CLASSES

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""What counts as a picture (lower case)."""
_OFFICIAL = re.compile(r"_(Training|PublicTest|PrivateTest)_")
_PERSON = re.compile(r"^[^_]+_(?P<person>.+_\d{4}|[A-Z].*_\d{1,3})$")


@dataclass(frozen=True, slots=True)
class Picture:
    """One labelled picture, not yet read."""

    root: Path
    """The folder or zip that holds it."""
    name: str
    """Its path inside the root, with `/`: "face_happy/fer2013_Training_3.jpg"."""
    label: int
    """Index into CLASSES."""

    @property
    def id(self) -> str:
        """Unique over all roots that have different names: "fer2013/face_happy/….jpg"."""
        return f"{self.source}/{self.name}"

    @property
    def source(self) -> str:
        """The root's name without its ending: the data set it belongs to."""
        return self.root.stem if self.root.suffix == ".zip" else self.root.name

    @property
    def official_split(self) -> str | None:
        """FER-2013's own split where the file name tells it."""
        found = _OFFICIAL.search(Path(self.name).name)
        return found[1] if found else None

    @property
    def person(self) -> str | None:
        """Who it shows, where the name tells (source_First_Last_0001 as in LFW, source_Name_7)."""
        found = _PERSON.match(Path(self.name).stem)
        if not found or self.official_split:
            return None
        return f"{self.source}/{found['person'].rpartition('_')[0]}"

    def stamp(self) -> str:
        """What changes when the file does: size and checksum in a zip, size and time on disk."""
        if self.root.is_dir():
            status = (self.root / self.name).stat()
            return f"{status.st_size}-{status.st_mtime_ns}"
        info = _archive(self.root).getinfo(self.name)
        return f"{info.file_size}-{info.CRC:08x}"

    def read_bytes(self) -> bytes:
        """The file as it is stored. Raises SourceError when it cannot be read."""
        try:
            if self.root.is_dir():
                return (self.root / self.name).read_bytes()
            return _archive(self.root).read(self.name)
        except (OSError, KeyError, *BROKEN_ZIP) as error:
            raise SourceError(f"{self.id}: cannot be read: {error}") from None

    def data(self) -> bytes:
        """The same, but nothing where it cannot be read: so it is told like a broken picture."""
        try:
            return self.read_bytes()
        except SourceError:
            return b""


@lru_cache(maxsize=8)
def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def find_pictures(roots: Sequence[Path]) -> tuple[list[Picture], list[str]]:
    """All pictures under `roots`, sorted by id, and what a person should be told about them.

    Raises SourceError when a root does not exist, is no zip, or holds no `face_<class>/` folder
    at all, or when two roots have the same name.
    """
    if not roots:
        raise SourceError("no data set given: make train DATA='path/to/fer2013.zip …'")
    pictures: list[Picture] = []
    notes: list[str] = []
    roots = [Path(os.path.abspath(root)) for root in roots]  # noqa: PTH100  a link names it, too
    for root in roots:
        found, told = _find_in(root)
        pictures += found
        notes += told
    doubled = [name for name, count in Counter(_name(root) for root in roots).items() if count > 1]
    if doubled:
        raise SourceError(f"two data sets are named {doubled[0]!r}: rename one of them")
    return sorted(pictures, key=lambda picture: picture.id), notes


def _name(root: Path) -> str:
    return Picture(root, "", 0).source


def _find_in(root: Path) -> tuple[list[Picture], list[str]]:
    if root.is_dir():
        names: Iterable[str] = (
            path.relative_to(root).as_posix() for path in root.glob("*/*") if path.is_file()
        )
        folders = {path.name for path in root.iterdir() if path.is_dir()}
    else:
        try:
            listed = _archive(root).namelist()
        except FileNotFoundError:
            raise SourceError(f"{root}: no such folder or zip") from None
        except OSError as error:
            raise SourceError(f"{root}: cannot be read: {error.strerror}") from None
        except BROKEN_ZIP:
            raise SourceError(f"{root}: no zip, or only a part of one: fetch it again") from None
        names = [name for name in listed if not name.endswith("/")]
        folders = {name.split("/")[0] for name in listed if "/" in name}
    label_of = {f"face_{label}": index for index, label in enumerate(CLASSES)}
    pictures, other = [], 0
    for name in names:
        folder = name.split("/")[0]
        if folder not in label_of:
            continue
        if name.count("/") == 1 and name.lower().endswith(SUFFIXES):
            pictures.append(Picture(root, name, label_of[folder]))
        else:
            other += 1
    source = _name(root)
    if not folders & set(label_of):
        raise SourceError(
            f"{root}: no class folder; expected some of {', '.join(label_of)}, "
            f"found {', '.join(sorted(folders)) or 'nothing'}"
        )
    counts = Counter(picture.label for picture in pictures)
    notes = []
    for folder, label in label_of.items():
        if folder not in folders:
            notes.append(f"{source}: folder {folder}/ is missing")
        elif not counts[label]:
            notes.append(f"{source}: folder {folder}/ is empty")
    notes += [
        f"{source}: unknown class folder {folder}/ left out"
        for folder in sorted(folders - set(label_of))
    ]
    if other:
        notes.append(f"{source}: {other} files that are no pictures left out")
    return pictures, notes


def fingerprint(hashes: Iterable[tuple[str, str]]) -> str:
    """One sha256 for a data set, from each picture's id and content hash."""
    digest = hashlib.sha256()
    for picture_id, content in sorted(hashes):
        digest.update(f"{picture_id} {content}\n".encode())
    return digest.hexdigest()


def describe(pictures: Sequence[Picture]) -> str:
    """Pictures per source and class, as lines of a table."""
    counts = Counter((picture.source, picture.label) for picture in pictures)
    sources = sorted({picture.source for picture in pictures})
    width = max((len(source) for source in sources), default=0)
    out = io.StringIO()
    out.write(" " * width + "".join(f"{label:>11}" for label in CLASSES) + "\n")
    for source in sources:
        row = "".join(f"{counts[source, label]:>11}" for label in range(len(CLASSES)))
        out.write(f"{source:<{width}}{row}\n")
    return out.getvalue().rstrip()
