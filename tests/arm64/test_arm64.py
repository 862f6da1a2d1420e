"""Debian's arm64 Pythons, emulated, with the wheels a Pi would install: they read as we do.

`make test-arm64` makes what these need; `make test` leaves them out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.arm64

REPO = Path(__file__).resolve().parents[2]
Command = Callable[..., Any]
Save = Callable[[Path, np.ndarray], Path]

FRAMES = 20
"""Of the sample clip's 120: emulated, a frame takes about 0.3 s."""
LINES = {
    "classify sample.png --model svm": 1,
    "classify sample.png --model gnn": 1,
    "classify sample.png --model both": 1,
    "classify --cropped crops --model both": 2,
    "run --source clip.y4m": FRAMES,
    # A frame in three seconds: emulated, the newest would overtake others at more.
    "daemon --source slow.y4m --set output.stdout=frames --set smooth.time_constant_seconds=0": 3,
}
"""Arguments, and how many readings have to come."""
LANDMARK, PROBABILITY = 0.02, 0.003
"""What may differ, pixels and 0 to 1. Places in a crop are rounded to 1/256 pixel: where the last
bits of a network, which depend on the x86 processor, too, round one another way, landmarks of the
next look moved by 0.01 pixels, and a probability by 0.0011."""


@pytest.fixture(params=["3.11", "3.13"])
def version(request: pytest.FixtureRequest) -> str:
    """Bookworm's Python, trixie's Python."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def emulated(version: str) -> Path:
    """That Python for aarch64, under qemu."""
    python = REPO / "build/arm64" / version / "python"
    if not python.is_file():
        pytest.fail(f"{python} is missing: run `make test-arm64`", pytrace=False)
    return python


@pytest.fixture
def inputs(tmp_path: Path, models_dir: Path, portrait: np.ndarray, save: Save) -> None:
    """The files that LINES name, in the folder where the commands run."""
    (tmp_path / "sample.png").symlink_to(models_dir / "sample.png")
    face = portrait[40:200, 140:300]
    save(tmp_path / "crops/48.png", cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA))
    save(tmp_path / "crops/mirrored.png", face[:, ::-1])
    header, frames = (models_dir / "sample.y4m").read_bytes().split(b"\n", 1)
    short = frames[: len(frames) // 120 * FRAMES]
    (tmp_path / "clip.y4m").write_bytes(header + b"\n" + short)
    slow = frames[: len(frames) // 120 * 3]
    (tmp_path / "slow.y4m").write_bytes(re.sub(rb"F\d+:\d+", b"F1:3", header) + b"\n" + slow)


@pytest.mark.parametrize("line", LINES)
def test_same_readings(command: Command, inputs: None, emulated: Path, line: str) -> None:
    expected = command(*line.split())
    got = command(*line.split(), python=emulated)
    assert (got.returncode, got.complaints) == (0, expected.complaints)
    assert len(got.readings) == LINES[line]
    for ours, theirs in zip(expected.readings, got.readings, strict=True):
        exact = ("source", "frame", "time_s", "face", "label")
        assert [theirs[key] for key in exact] == [ours[key] for key in exact]
        assert theirs["probabilities"] == pytest.approx(ours["probabilities"], abs=PROBABILITY)
        assert theirs["presence"] == pytest.approx(ours["presence"], abs=PROBABILITY)


def test_same_mesh_with_the_pinned_wheels(
    command: Command, inputs: None, version: str, emulated: Path
) -> None:
    (here,) = command("sample.png", module="tests.arm64.probe").readings
    (there,) = command("sample.png", module="tests.arm64.probe", python=emulated).readings
    assert (there["machine"], there["version"]) == ("aarch64", version)
    assert np.abs(np.subtract(there["landmarks"], here["landmarks"])).max() < LANDMARK

    machine = {"python_full_version": f"{version}.0", "platform_machine": "aarch64"}
    lines = (REPO / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    pinned = {
        (pin.name, str(pin.specifier))
        for pin in pins
        if not pin.marker or pin.marker.evaluate(machine)
    }
    wheels = {(canonicalize_name(name), f"=={release}") for name, release in there["wheels"]}
    assert {"ai-edge-litert", "numpy", "opencv-python-headless"} <= {name for name, _ in wheels}
    assert wheels <= pinned


def test_it_is_small(version: str) -> None:
    """Of a device's disk, MiB: with OpenCV, and without, as on a Pi with a camera on its ribbon."""
    site = REPO / f"build/arm64/{version}/site"
    sizes = {
        part: sum(path.stat().st_blocks for path in part.rglob("*") if path.is_file()) / 2048
        for part in site.iterdir()
    }
    opencv = [size for part, size in sizes.items() if part.name.startswith(("cv2", "opencv"))]
    assert sum(sizes.values()) <= 180
    assert sum(sizes.values()) - sum(opencv) <= 110
