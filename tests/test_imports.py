"""What the small program does not load, and who may know whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import edge

ROOM = Path(edge.__file__).parent
HEAVY = (
    "cv2",
    "mediapipe",
    "sklearn",
    "scipy",
    "matplotlib",
    "tqdm",
    "picamera2",
    "tensorflow",
    "spektral",
    "joblib",
    "paho",
    "prometheus_client",
)
COMMON = {"edge.types", "edge.errors", "edge.settings", "edge.quiet", "edge.stopwatch"}
ALLOWED = {
    "edge.types": set(),
    "edge.errors": set(),
    "edge.quiet": set(),
    "edge.stopwatch": set(),
    "edge.settings": {"edge.errors"},
    "edge.arrays": {"edge.disk", "edge.errors"},
    "edge.disk": set(),
    "edge.bundle": {"edge.errors", "edge.types"},
    "edge.cameras": COMMON | {"edge.native"},
    "edge.interpreter": {"edge.errors", "edge.quiet"},
    "edge.mesh": COMMON | {"edge.bundle", "edge.interpreter", "edge.native"},
    # The eye corners by which a face is levelled are the mesh's.
    "edge.features": COMMON | {"edge.mesh"},
    "edge.classify": COMMON
    | {"edge.arrays", "edge.bundle", "edge.features", "edge.interpreter", "edge.native"},
    "edge.aim": COMMON,
    "edge.baseline": COMMON
    | {"edge.arrays", "edge.bundle", "edge.disk", "edge.features", "edge.mesh"},
    # The detector gives a second opinion.
    "edge.plausible": COMMON | {"edge.bundle", "edge.mesh"},
    "edge.risk": {"edge.bundle", "edge.errors"},
    "edge.publish": COMMON | {"edge.aim"},
    "edge.smooth": COMMON,
    "edge.pace": COMMON,
    "edge.notify": set(),
    "edge.host": set(),
    "edge.native": set(),
    "edge.lean": set(),
}
"""Room → other rooms that it may import. Who is not named here may import all of them."""


def modules() -> dict[str, Path]:
    """Every module of `edge` by its name."""
    found = {}
    for path in sorted(ROOM.rglob("*.py")):
        parts = ["edge", *path.relative_to(ROOM).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> set[str]:
    """Modules that a file imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports would slip through"
            found.add(str(node.module))
            if node.module == "edge":
                found |= {f"edge.{alias.name}" for alias in node.names}
    return found


def room(module: str) -> str:
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("what", ["pass", "edge.Recognizer()", "edge.Recognizer(model='both')"])
def test_the_library_is_light(models_dir: Path, what: str) -> None:
    """On a device these cost seconds and tens of megabytes."""
    code = f"import edge, sys; {what}; print(*(n for n in {HEAVY} if n in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_playing_the_sample_needs_no_opencv(models_dir: Path) -> None:
    """The y4m reader is numpy alone for this very reason."""
    code = (
        "import sys\nfrom edge.cameras import open_camera\nfrom edge.settings import Settings\n"
        f"next(iter(open_camera({str(models_dir / 'sample.y4m')!r}, Settings().camera)))\n"
        "print('cv2' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("False", "")


def test_the_program_loads_nothing_for_others(models_dir: Path, tmp_path: Path) -> None:
    """numpy 1 imports its random numbers, and with them OpenSSL, for whoever may want them."""
    clip = tmp_path / "clip.y4m"
    with (models_dir / "sample.y4m").open("rb") as sample:
        clip.write_bytes(sample.read(1_000_000))
    command = [sys.executable, "-X", "importtime", "-m", "edge", "run", "--source", str(clip)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert '"face": true' in result.stdout
    loaded = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert {"numpy", "edge.pipeline"} <= loaded
    assert not loaded & {"_hashlib", "numpy.random.mtrand", "numpy.ma.core", "_pickle", "fractions"}


def test_no_opencv_is_one_line(models_dir: Path) -> None:
    picture = models_dir / "sample.png"
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "from edge.cli import main\n"
        f"sys.exit(main(['classify', {str(picture)!r}]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert "OPENCV=1" in line


@pytest.mark.parametrize("module", modules())
def test_the_device_does_not_know_how_it_was_trained(module: str) -> None:
    tops = {name.split(".")[0] for name in imports(modules()[module])}
    assert not tops & {"train", "convert", "sklearn", "scipy", "tests"}


@pytest.mark.parametrize("module", [name for name in modules() if room(name) in ALLOWED])
def test_arrows_between_rooms(module: str) -> None:
    known = {room(name) for name in imports(modules()[module]) if name.startswith("edge.")}
    assert known - {room(module)} <= ALLOWED[room(module)]


def test_every_room_of_the_loop_has_its_arrows() -> None:
    """A new room is not watched before it is named above."""
    unnamed = {room(name) for name in modules()} - set(ALLOWED)
    whole = {
        "edge.annotate",
        "edge.arguments",
        "edge.calibrate",
        "edge.cli",
        "edge.daemon",
        "edge.doctor",
        "edge.pipeline",
    }
    assert unnamed == {"edge", "edge.__main__", *whole}
