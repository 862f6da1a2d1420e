"""What the doctor says of the machine and its camera."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import edge.cameras
from edge.doctor import camera, machine
from edge.doctor.check import ok
from tests.tools.doctor import FIRMWARE, case, needs_remedy, put, systemd

# The machine


def test_a_machine_that_tells_nothing_is_no_failure(tmp_path: Path) -> None:
    for look in (machine.board, machine.memory, machine.temperature, machine.power):
        assert look(case(tmp_path)).state == "ok"


@pytest.mark.parametrize(
    ("told", "state", "says", "remedy"),
    [
        ("0", "ok", "", ""),
        ("50005", "bad", "under voltage, throttled", "power supply"),
        ("80008", "warn", "soft temperature limit", "heat sink"),
        ("50000", "warn", "earlier: under voltage, throttled", "power supply"),
        ("40000", "warn", "earlier: throttled", "heat sink"),
    ],
)
def test_power(tmp_path: Path, told: str, state: str, says: str, remedy: str) -> None:
    put(tmp_path / FIRMWARE, f"{told}\n")
    verdict = machine.power(case(tmp_path))
    assert verdict.state == state
    assert says in verdict.detail
    assert remedy in verdict.remedy
    assert needs_remedy(verdict)


def test_power_of_a_pi_5(tmp_path: Path) -> None:
    """Its kernel tells of under-voltage only; the firmware's own program tells all."""
    put(tmp_path / "sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    put(tmp_path / "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
    assert machine.power(case(tmp_path)).state == "ok"
    verdict = machine.power(case(tmp_path, lambda command: "throttled=0x80008\n"))
    assert "soft temperature limit" in verdict.detail


@pytest.mark.parametrize(("celsius", "state"), [(50, "ok"), (80, "warn")])
def test_temperature(tmp_path: Path, celsius: int, state: str) -> None:
    put(tmp_path / "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    put(tmp_path / "sys/class/thermal/thermal_zone0/temp", f"{celsius}000\n")
    verdict = machine.temperature(case(tmp_path))
    assert verdict.state == state
    assert f"{celsius} °C" in verdict.detail
    assert needs_remedy(verdict)


@pytest.mark.parametrize(("megabytes", "state"), [(50, "bad"), (120, "warn"), (300, "ok")])
def test_memory(tmp_path: Path, megabytes: int, state: str) -> None:
    text = f"MemTotal: 512000 kB\nMemFree: 9 kB\nMemAvailable: {megabytes * 1024} kB\n"
    put(tmp_path / "proc/meminfo", text)
    verdict = machine.memory(case(tmp_path))
    assert verdict.state == state
    assert f"{megabytes} MB" in verdict.detail
    assert needs_remedy(verdict)


@pytest.mark.parametrize(("controllers", "state"), [("cpu memory pids", "ok"), ("cpu", "warn")])
def test_a_pi_without_memory_limits(tmp_path: Path, controllers: str, state: str) -> None:
    put(tmp_path / "proc/meminfo", "MemTotal: 900000 kB\nMemFree: 9 kB\nMemAvailable: 600000 kB\n")
    put(tmp_path / "proc/device-tree/model", "Raspberry Pi 3 Model B\0")
    put(tmp_path / "sys/fs/cgroup/cgroup.controllers", controllers)
    verdict = machine.memory(case(tmp_path))
    assert verdict.state == state
    assert ("cgroup_enable=memory" in verdict.remedy) == (state == "warn")


@pytest.mark.parametrize(("megabytes", "state"), [(20, "bad"), (200, "warn"), (5000, "ok")])
def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, megabytes: int, state: str) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=megabytes << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    verdict = machine.disk(case(tmp_path))
    assert verdict.state == state
    assert needs_remedy(verdict)


def test_clock_and_groups_of_this_machine() -> None:
    assert needs_remedy(machine.clock(case()))
    assert needs_remedy(machine.groups(case()))


@pytest.mark.parametrize(("source", "state"), [("auto", "warn"), ("http://x/", "ok")])
def test_a_user_who_may_not_open_cameras(
    monkeypatch: pytest.MonkeyPatch, source: str, state: str
) -> None:
    pytest.importorskip("grp").getgrnam("video")
    monkeypatch.setattr("os.geteuid", lambda: 54321)
    monkeypatch.setattr("os.getegid", lambda: 54321)
    monkeypatch.setattr("os.getgroups", lambda: [54321])
    verdict = machine.groups(case(camera__source=source))
    assert verdict.state == state
    assert ("usermod -aG video 54321" in verdict.remedy) == (state == "warn")


# The camera


@pytest.fixture
def no_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.cameras, "_V4L", tmp_path / "none")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(camera, "find_spec", lambda name: None)


@pytest.mark.usefixtures("no_cameras")
def test_no_camera(tmp_path: Path) -> None:
    assert "plug one in" in camera.camera(case(tmp_path)).remedy
    put(tmp_path / "proc/device-tree/model", "Raspberry Pi 4 Model B\0")
    verdict = camera.camera(case(tmp_path))
    assert verdict.state == "bad"
    assert "apt install python3-picamera2" in verdict.remedy


def test_a_camera_that_works(models_dir: Path) -> None:
    verdict = camera.camera(case(camera__source=models_dir / "sample.y4m"))
    assert verdict.state == "ok"
    assert "400×300, first frame after" in verdict.detail


@pytest.mark.parametrize("source", ["v4l2:99", "http://127.0.0.1:9/", "nowhere/", "picamera2:"])
def test_a_camera_that_does_not(tmp_path: Path, source: str) -> None:
    verdict = camera.camera(case(tmp_path, camera__source=source))
    assert verdict.state == "bad"
    assert verdict.detail.startswith(source.rstrip("/:"))
    assert needs_remedy(verdict)


def holds_a_camera(root: Path, process: int, command: str) -> None:
    """A process with /dev/video0 open, in a made-up /proc."""
    put(root / f"proc/{process}/cmdline", command.replace(" ", "\0") + "\0")
    (root / f"proc/{process}/fd").mkdir()
    (root / f"proc/{process}/fd/0").symlink_to("/dev/null")
    (root / f"proc/{process}/fd/7").symlink_to("/dev/video0")


def test_in_use_by_our_daemon(tmp_path: Path) -> None:
    """As it should be: it can be told by systemd alone, or by who has the device open."""
    told = case(tmp_path, systemd(), camera__source="v4l2:99")
    verdict = camera.camera(told)
    assert verdict == ok(
        "v4l2:99 is in use by our own fer-edge.service (process 77), as it should be"
    )
    holds_a_camera(tmp_path, 77, "python -m edge daemon")
    assert camera.camera(told) == verdict


def test_in_use_by_hand(tmp_path: Path) -> None:
    holds_a_camera(tmp_path, 5, "python -m edge run")
    verdict = camera.camera(case(tmp_path, camera__source="v4l2:99"))
    assert verdict.state == "ok"
    assert "python -m edge run" in verdict.detail


def test_in_use_by_others(tmp_path: Path) -> None:
    holds_a_camera(tmp_path, 5, "/usr/bin/motion -n")
    verdict = camera.camera(case(tmp_path, systemd(), camera__source="v4l2:99"))
    assert verdict.state == "bad"
    assert "`/usr/bin/motion -n` (process 5)" in verdict.detail
    assert needs_remedy(verdict)
