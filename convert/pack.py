"""`make bundle`: all that a device needs to install fer-edge without internet, in one folder.

Our wheel and those it needs, the model bundle, the unit, the installer. pip would resolve for the
machine that it runs on, so what a wheel needs is worked out here for the machines that are asked
for, and pinned by constraints.txt.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from email import message_from_bytes
from pathlib import Path

from pip._vendor.packaging.markers import default_environment
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import canonicalize_name, parse_wheel_filename

from convert.wheels import fetch, table
from edge.arrays import BROKEN_ZIP
from edge.bundle import DEFAULT_DIR, MANIFEST, Bundle
from edge.errors import EdgeError, SetupError

REPO = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.13")
"""Of Raspberry Pi OS Bookworm and Trixie."""
_PIP = "pip==25.1.1"
"""What installs it all: run out of its wheel, so that the device needs none. As in Trixie."""
_OLDEST_GLIBC, _GLIBC = 17, 36
"""Wheels may ask for glibc 2.17 to 2.36; the latter is Bookworm's."""
_PARTS = (
    "systemd/install.sh",
    "systemd/fer-edge.service",
    "systemd/config.toml",
    "systemd/README.md",
    "constraints.txt",
)


def pack(folder: Path, machine: str, pythons: Iterable[str]) -> None:
    """Fill `folder` anew for `machine`, as `uname -m` has it.

    Raises SetupError with one line where something cannot be had; then the folder stays as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        new = Path(temporary) / "new"
        wheels = new / "wheels"
        wheels.mkdir(parents=True)
        build_wheels(wheels, machine)
        for python in pythons:
            collect(wheels, machine, python)
        copy_models(new / "models")
        for part in _PARTS:
            shutil.copy2(REPO / part, new)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)


def build_wheels(folder: Path, machine: str) -> None:
    """Our own wheel, of `edge` alone, and pip's. setuptools writes beside sources: of a copy.

    The kernels for `machine` come with it where there is a compiler; `build.sh` says if not.
    """
    subprocess.run([REPO / "edge/native/build.sh", machine], check=False)
    with tempfile.TemporaryDirectory() as temporary:
        for name in ("pyproject.toml", "README.md"):
            shutil.copy2(REPO / name, temporary)
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(REPO / "edge", Path(temporary) / "edge", ignore=ignored)
        kernels = REPO / f"edge/native/kernels-{machine}.so"
        if kernels.is_file():
            shutil.copy2(kernels, Path(temporary) / "edge/native")
        _pip("our own wheel", "wheel", "--no-deps", f"--wheel-dir={folder}", temporary, _PIP)


def collect(folder: Path, machine: str, python: str) -> None:
    """The wheels of the extras of a device, and of all that these need, into `folder`."""
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC, _OLDEST_GLIBC - 1, -1)]
    chosen = [f"--platform={name}" for name in (*platforms, f"manylinux2014_{machine}")]
    environment = {
        **default_environment(),
        "platform_machine": machine,
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
        "python_version": python,
        "python_full_version": f"{python}.0",
        "extra": "",
    }
    pins = _pins(environment)
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    missing = set(_names(extras["edge"] + extras["opencv"], environment))
    done: set[str] = set()
    while missing:
        with tempfile.TemporaryDirectory() as temporary:
            wanted = [pins.get(name, name) for name in sorted(missing)]
            _pip(
                f"{', '.join(wanted)} for Python {python} on {machine}",
                "download",
                "--no-deps",
                "--only-binary=:all:",
                "--implementation=cp",
                f"--python-version={python}",
                *chosen,
                f"--dest={temporary}",
                *wanted,
            )
            done |= missing
            missing = set()
            for wheel in Path(temporary).glob("*.whl"):
                missing |= set(_names(_needs(wheel), environment)) - done
                shutil.move(wheel, folder / wheel.name)


def copy_models(folder: Path) -> None:
    """The checkout's model bundle, complete: nothing on the device has to fetch anything."""
    fetch(table(), DEFAULT_DIR)
    bundle = Bundle.open()
    folder.mkdir()
    names = {MANIFEST, "README.md", *bundle.manifest["networks"]}
    if "neutral" in bundle.manifest:
        names.add(bundle.manifest["neutral"]["file"])
    for entry in map(bundle.model, bundle.models):
        names |= {part["file"] for part in (entry, entry.get("normaliser", {})) if "file" in part}
    for name in sorted(names):
        shutil.copy2(DEFAULT_DIR / name, folder)


def _pins(environment: dict[str, str]) -> dict[str, str]:
    """Name → "name==version", as constraints.txt has it for this environment."""
    pins = {}
    for line in (REPO / "constraints.txt").read_text(encoding="utf-8").splitlines():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # a comment
            continue
        if requirement.marker is None or requirement.marker.evaluate(environment):
            pins[canonicalize_name(requirement.name)] = f"{requirement.name}{requirement.specifier}"
    return pins


def _names(requirements: Iterable[str], environment: dict[str, str]) -> Iterator[str]:
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield canonicalize_name(requirement.name)


def _needs(wheel: Path) -> list[str]:
    """What the wheel's metadata says that it needs."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
            metadata = message_from_bytes(archive.read(name))
    except (StopIteration, *BROKEN_ZIP) as error:
        raise SetupError(f"{wheel.name}: no readable wheel: {error}") from None
    return metadata.get_all("Requires-Dist", [])


def _pip(what: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = [line.strip() for line in result.stderr.splitlines() if "ERROR:" in line]
        reason = lines[-1] if lines else f"pip exited with {result.returncode}"
        raise SetupError(f"{what}: cannot be had; is there a network? {reason}")


def _anyones(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Readable by all, and root's, whoever packed it."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode |= 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m convert.pack", description=__doc__)
    parser.add_argument("folder", type=Path, help="filled anew")
    parser.add_argument("--machine", default=platform.machine(), help="as `uname -m` says")
    parser.add_argument("--python", action="append", help=f"version; default: {PYTHONS}")
    parser.add_argument("--archive", action="store_true", help="also write FOLDER-VERSION.tar.gz")
    options = parser.parse_args(arguments)
    try:
        pack(options.folder, options.machine, options.python or PYTHONS)
    except EdgeError as error:
        print(f"pack: {error}", file=sys.stderr)
        return 1
    if options.archive:
        own = next((options.folder / "wheels").glob("fer_edge-*.whl"))
        version = parse_wheel_filename(own.name)[1]
        name = f"fer-edge-{version}-{options.machine}"
        path = options.folder.parent / f"{name}.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=1) as archive:  # wheels are compressed
            archive.add(options.folder, name, filter=_anyones)
        print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
