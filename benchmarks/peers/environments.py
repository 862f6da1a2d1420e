"""A virtual environment for each peer, in build/peers, made once."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable
from pathlib import Path

from benchmarks.peers.listing import CACHE, REPO
from edge.errors import SetupError

PINS = Path(__file__).parent
NAMES = ("ours", "mediapipe", "precursor", "fer")
"""`ours` is what `make edge` installs; of each other, NAME.txt here says what and how large."""
_BUNDLE = (".tflite", ".npz", ".json")
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GLOG_minloglevel": "3",
}


def python(name: str, cache: Path = CACHE) -> Path:
    """The environment's interpreter; it is made where it is not there. Raises SetupError."""
    folder = cache / name
    requirements = _requirements(name)
    stamp, wanted = folder / ".ready", hashlib.sha256(requirements.encode()).hexdigest()
    interpreter = folder / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == wanted:
        return interpreter
    size = re.search(r"download: (.*)", requirements)
    told = f" ({size[1]})" if size else ""
    print(f"installing {name} into {_shown(folder)}{told} …", file=sys.stderr, flush=True)
    # Without pip in it, so that its size is that of what runs.
    venv.create(folder, clear=True, with_pip=False)
    given = folder / "requirements.txt"
    given.write_text(requirements)
    log = folder / "pip.log"
    command = [sys.executable, "-m", "pip", "--python", str(interpreter), "install"]
    command += ["--disable-pip-version-check", "--requirement", str(given)]
    if name != "ours":
        command.append("--no-deps")  # the pins are all that there is to be
    with log.open("w") as file:
        status = subprocess.run(command, cwd=REPO, stdout=file, stderr=file).returncode
    if status:
        errors = [line for line in log.read_text().splitlines() if line.startswith("ERROR")]
        reason = (errors or ["pip failed"])[0].removeprefix("ERROR: ")
        raise SetupError(f"{name} cannot be installed: {reason} (all of it: {_shown(log)})")
    stamp.write_text(wanted)
    return interpreter


def variables(environ: dict[str, str] | None = None) -> dict[str, str]:
    """Of a peer's process: one thread, and nothing of this one's Python or settings."""
    environ = dict(os.environ) if environ is None else environ
    ours = ("FER_EDGE_", "PYTHON", "TF_")
    kept = {name: value for name, value in environ.items() if not name.startswith(ours)}
    return kept | ONE_THREAD | {"PYTHONNOUSERSITE": "1", "PYTHONPATH": str(REPO)}


def size_mb(name: str, cache: Path = CACHE) -> float:
    """Megabytes of installed packages; ours with the program and its models."""
    folders = list((cache / name).glob("lib/python*/site-packages"))
    files = [path for folder in folders for path in folder.rglob("*")]
    if name == "ours":
        files += (REPO / "edge").rglob("*")
        files += [path for path in (REPO / "models").iterdir() if path.suffix in _BUNDLE]
    return sum(path.lstat().st_size for path in files if path.is_file()) / 1e6


def versions(names: Iterable[str]) -> dict[str, str]:
    """Of what gives the peers in these environments their names."""
    pins = "".join(_requirements(name) for name in names if name != "ours")
    return dict(re.findall(r"^(mediapipe|scikit-learn|fer|tensorflow)==(.*)$", pins, re.MULTILINE))


def _requirements(name: str) -> str:
    """The lines for pip. `ours` is what pyproject.toml asks of a device."""
    if name != "ours":
        return (PINS / f"{name}.txt").read_text()
    with (REPO / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    return "\n".join([*extras["edge"], f"--constraint {REPO / 'constraints.txt'}", ""])


def _shown(path: Path) -> str:
    return str(path.relative_to(REPO)) if path.is_relative_to(REPO) else str(path)
