"""Which camera `run` takes by itself, on a made-up /sys tree."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import edge.cameras
from edge.cameras import find_camera

USB = "platform/scb/fd500000.pcie/0000:01:00.0/usb1/1-1/1-1.3/1-1.3:1.0/video4linux"
CODEC = "platform/soc/fe00b840.mailbox/bcm2835-codec/video4linux"
VIRTUAL = "virtual/video4linux"


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/sys/class/video4linux of a machine without picamera2: links into /sys/devices."""
    folder = tmp_path / "class"
    folder.mkdir()
    monkeypatch.setattr(edge.cameras, "_V4L", folder)
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "picamera2" else found(name)
    )
    return folder


def add(nodes: Path, number: int, bus: str, index: int | None = 0) -> None:
    device = nodes.parent / "devices" / bus / f"video{number}"
    device.mkdir(parents=True)
    if index is not None:
        (device / "index").write_text(f"{index}\n")
    (nodes / f"video{number}").symlink_to(device)


def test_none(nodes: Path) -> None:
    assert find_camera() is None


def test_no_such_folder(nodes: Path) -> None:
    nodes.rmdir()
    assert find_camera() is None


def test_a_pi_without_a_camera_has_only_codecs(nodes: Path) -> None:
    for number in (10, 11, 12, 13, 18, 31):
        add(nodes, number, CODEC)
    assert find_camera() is None


def test_a_usb_camera_beside_codecs(nodes: Path) -> None:
    add(nodes, 10, CODEC)
    add(nodes, 0, USB)
    assert find_camera() == "v4l2:0"


def test_the_node_with_metadata_is_passed_over(nodes: Path) -> None:
    """A UVC camera has two nodes; only the first delivers pictures."""
    add(nodes, 0, USB, index=1)
    add(nodes, 1, USB)
    assert find_camera() == "v4l2:1"


def test_lowest_number_first_by_value(nodes: Path) -> None:
    """By name video10 would come before video2."""
    add(nodes, 10, USB)
    add(nodes, 2, USB)
    assert find_camera() == "v4l2:2"


def test_a_virtual_camera_and_one_without_index(nodes: Path) -> None:
    add(nodes, 4, VIRTUAL, index=None)
    assert find_camera() == "v4l2:4"
