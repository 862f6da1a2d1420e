"""What the machine tells, on made-up /sys and /proc trees."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from edge import host
from edge.host import Throttle

FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
STAT = (
    "42 (python -m) edge) S 1 42 42 0 -1 4194560 9000 0 12 0 310 45 0 0 20 0 7 0 5000 "
    "350000000 18000 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0 0 0"
)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def zone(root: Path, number: int, kind: str, millidegrees: str) -> None:
    folder = root / f"sys/class/thermal/thermal_zone{number}"
    put(folder / "type", f"{kind}\n")
    put(folder / "temp", f"{millidegrees}\n")


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    assert host.model(tmp_path) is None
    assert host.temperature(tmp_path) is None
    assert host.throttle(tmp_path) is None
    assert host.throttled(tmp_path) is False
    assert host.memory(tmp_path) is None
    assert host.clocks(tmp_path) == ()
    process = host.process(tmp_path)
    assert (process.resident, process.threads, process.descriptors) == (None, None, None)


def test_model(tmp_path: Path) -> None:
    put(tmp_path / "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    assert host.model(tmp_path) == "Raspberry Pi 4 Model B Rev 1.4"


def test_the_temperature_is_the_processors(tmp_path: Path) -> None:
    zone(tmp_path, 0, "rp1_adc", "71000")
    zone(tmp_path, 1, "cpu-thermal", "51234")
    assert host.temperature(tmp_path) == pytest.approx(51.234)


def test_else_the_hottest_that_can_be_true(tmp_path: Path) -> None:
    zone(tmp_path, 0, "acpitz", "27800")
    zone(tmp_path, 1, "x86_pkg_temp", "62000")
    zone(tmp_path, 2, "iwlwifi_1", "-274000")
    zone(tmp_path, 3, "broken", "65535000")
    zone(tmp_path, 4, "asleep", "")
    assert host.temperature(tmp_path) == 62.0


def test_a_sensor_whose_driver_loads_late(tmp_path: Path) -> None:
    """The daemon may be up before it."""
    assert host.temperature(tmp_path) is None
    zone(tmp_path, 0, "cpu-thermal", "40000")
    assert host.temperature(tmp_path) == 40.0
    zone(tmp_path, 0, "cpu-thermal", "45000")
    assert host.temperature(tmp_path) == 45.0


@pytest.mark.parametrize(
    ("told", "flags", "now"),
    [
        ("0", Throttle(0), False),
        ("1", Throttle.UNDER_VOLTAGE, True),
        ("2", Throttle.FREQUENCY_CAPPED, True),
        ("4", Throttle.THROTTLED, True),
        ("8", Throttle.SOFT_TEMPERATURE_LIMIT, True),
        ("0x50000", Throttle.UNDER_VOLTAGE_OCCURRED | Throttle.THROTTLED_OCCURRED, False),
        (
            "80008",
            Throttle.SOFT_TEMPERATURE_LIMIT | Throttle.SOFT_TEMPERATURE_LIMIT_OCCURRED,
            True,
        ),
    ],
)
def test_throttling(tmp_path: Path, told: str, flags: Throttle, now: bool) -> None:
    put(tmp_path / FIRMWARE, f"{told}\n")
    assert host.throttle(tmp_path) == flags
    assert host.throttled(tmp_path) is now


def test_throttling_in_words() -> None:
    flags = Throttle(0x50001)
    assert str(flags.now) == "under voltage"
    assert str(flags.occurred) == "under voltage, throttled"
    assert str(Throttle(0)) == ""


@pytest.mark.parametrize("told", ["", "hello", "throttled=0x0"])
def test_what_is_no_number_tells_nothing(tmp_path: Path, told: str) -> None:
    put(tmp_path / FIRMWARE, told)
    assert host.throttle(tmp_path) is None
    assert host.throttled(tmp_path) is False


def test_the_firmware_of_a_pi_5(tmp_path: Path) -> None:
    folder = tmp_path / "sys/devices/platform/soc@107c000000/soc@107c000000:firmware"
    put(folder / "get_throttled", "e0006\n")
    assert host.throttle(tmp_path) == Throttle(0xE0006)


@pytest.mark.parametrize("alarm", [True, False])
def test_a_kernel_that_tells_under_voltage_only(tmp_path: Path, alarm: bool) -> None:
    put(tmp_path / "sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    put(tmp_path / "sys/class/hwmon/hwmon2/name", "rpi_volt\n")
    put(tmp_path / "sys/class/hwmon/hwmon2/in0_lcrit_alarm", f"{alarm:d}\n")
    assert host.throttle(tmp_path) == Throttle(alarm)
    assert host.throttled(tmp_path) is alarm


def test_memory(tmp_path: Path) -> None:
    put(
        tmp_path / "proc/meminfo",
        "MemTotal:         945512 kB\nMemFree:           98304 kB\nMemAvailable:     512000 kB\n",
    )
    assert host.memory(tmp_path) == host.Memory(945512 * 1024, 512000 * 1024)


@pytest.mark.parametrize("text", ["", "MemTotal: 5 kB\n", "MemTotal: x kB\nMemAvailable: 1 kB\n"])
def test_memory_that_is_not_told_whole(tmp_path: Path, text: str) -> None:
    put(tmp_path / "proc/meminfo", text)
    assert host.memory(tmp_path) is None


def test_the_process_of_a_name_with_brackets(tmp_path: Path) -> None:
    put(tmp_path / "proc/self/stat", STAT)
    process = host.process(tmp_path)
    assert process.threads == 7
    assert process.resident == 18000 * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="/proc is Linux's")
def test_this_process() -> None:
    before = host.process()
    assert before.resident is not None and 5e6 < before.resident < 64e9
    assert before.threads is not None and before.descriptors is not None
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    with Path(__file__).open() as _:
        during = host.process()
    done.set()
    thread.join()
    assert during.threads == before.threads + 1
    assert during.descriptors == before.descriptors + 1
    end = time.thread_time() + 0.05
    while time.thread_time() < end:
        pass
    assert host.process().cpu_s - before.cpu_s >= 0.05


def test_clocks(tmp_path: Path) -> None:
    folder = tmp_path / "sys/devices/system/cpu/cpufreq/policy0"
    put(folder / "scaling_governor", "ondemand\n")
    for name, khz in (("cur", 1500000), ("min", 600000), ("max", 1800000)):
        put(folder / f"scaling_{name}_freq", f"{khz}\n")
    put(tmp_path / "sys/devices/system/cpu/cpufreq/policy4/scaling_governor", "powersave\n")
    assert host.clocks(tmp_path) == (
        host.Clock("policy0", "ondemand", 1500.0, 600.0, 1800.0),
        host.Clock("policy4", "powersave", None, None, None),
    )


def test_a_look_is_cheap(tmp_path: Path) -> None:
    """Once a second, on a core fifty times slower than this one: still under 5 % of it."""
    zone(tmp_path, 0, "cpu-thermal", "51234")
    put(tmp_path / FIRMWARE, "0\n")
    for other in range(60):
        (tmp_path / f"sys/devices/platform/soc/{other}.device").mkdir()
    start = time.thread_time()
    for _ in range(200):
        host.temperature(tmp_path), host.throttled(tmp_path), host.memory(), host.process()
    assert (time.thread_time() - start) / 200 < 1e-3
