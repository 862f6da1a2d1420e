"""`python -m edge doctor`: finds what is wrong, says what to do, and never breaks down itself."""

from __future__ import annotations

import io
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import edge.cameras
from edge import doctor
from edge.doctor import LOOKS, WAITING, camera, machine, program, service
from edge.doctor.check import Case, Check, Verdict, bad, ok
from edge.errors import SettingsError, SetupError
from edge.settings import Settings
from edge.settings.load import Loaded, load

Command = Callable[..., Any]
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
UNIT = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "Result": "success",
    "ExecMainStatus": "0",
    "NRestarts": "0",
    "MainPID": "77",
    "UnitFileState": "enabled",
    "StatusText": "happy for 3 s, 15.0 frames/s",
}
"""What `systemctl show` tells of a service in good health."""


def systemd(**changes: str) -> Callable[[Sequence[str]], str | None]:
    """A systemd that tells `UNIT`, with changes; other programs are not there."""

    def ask(command: Sequence[str]) -> str | None:
        if command[0] != "systemctl":
            return None
        return "".join(f"{key}={value}\n" for key, value in {**UNIT, **changes}.items())

    return ask


def nobody(command: Sequence[str]) -> None:
    """A machine without systemd and vcgencmd."""


def case(
    root: Path = Path("/"),
    ask: Callable[[Sequence[str]], str | None] = nobody,
    **flags: object,
) -> Case:
    """A case with some settings, named TABLE__KEY."""
    set_ = [f"{name.replace('__', '.')}={value}" for name, value in flags.items()]
    loaded = load(flags=set_, environment={})
    return Case(loaded.settings, loaded, root, ask)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def needs_remedy(verdict: Verdict | Check) -> bool:
    return (verdict.state != "ok") == bool(verdict.remedy)


# The command


def test_all_is_well(command: Command, models_dir: Path) -> None:
    """A checkout without a service, reading a file: nothing is bad."""
    flag = f"camera.source={models_dir / 'sample.y4m'}"
    result = command("doctor", "--set", flag)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    lines = result.stdout.splitlines()
    assert [line.split()[1] for line in lines] == [*LOOKS, *WAITING]
    assert {line.split()[0] for line in lines} <= {"ok", "warn"}


def test_json(command: Command, models_dir: Path) -> None:
    result = command("doctor", "--json", "--set", f"camera.source={models_dir / 'sample.y4m'}")
    found = json.loads(result.stdout)
    assert [list(check) for check in found] == [["name", "state", "detail", "remedy"]] * len(found)
    assert {type(value) for check in found for value in check.values()} == {str}
    assert [check["name"] for check in found] == [*LOOKS, *WAITING]
    for check in found:
        assert check["state"] in ("ok", "warn", "bad")
        assert (check["state"] != "ok") == bool(check["remedy"]), check
        assert check["detail"] and "\n" not in check["detail"]


def test_something_is_bad(command: Command, tmp_path: Path) -> None:
    result = command("doctor", "--set", "camera.source=nowhere.mp4", "--json")
    assert (result.returncode, result.stderr) == (1, "")
    wrong = {check["name"] for check in json.loads(result.stdout) if check["state"] == "bad"}
    assert wrong == {"camera"}


def test_wrong_settings_are_a_finding(command: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[mqtt]\nhots = 'broker'\n")
    result = command("doctor", "--config", "bad.toml", "--json")
    assert (result.returncode, result.stderr) == (1, "")
    found = {check["name"]: check for check in json.loads(result.stdout)}
    assert found["settings"]["state"] == "bad"
    assert found["settings"]["detail"].startswith("bad.toml: mqtt.hots = 'broker': unknown key")
    assert found["inference"]["state"] == "ok"  # the others go on


def test_a_broken_bundle(command: Command, bundle_copy: Path) -> None:
    data = (bundle_copy / "svm.npz").read_bytes()
    (bundle_copy / "svm.npz").unlink()
    (bundle_copy / "svm.npz").write_bytes(data[:-1])
    (bundle_copy / "face_landmark.tflite").unlink()
    result = command("doctor", "--models", bundle_copy, "--json")
    assert (result.returncode, result.stderr) == (1, "")
    found = {check["name"]: check for check in json.loads(result.stdout)}
    assert found["models"]["state"] == found["inference"]["state"] == "bad"
    assert "face_landmark.tflite is missing (and 1 more)" in found["models"]["detail"]
    assert found["models"]["remedy"].startswith("run `make models` and copy")


def test_a_terminal_without_arrows() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")

    def unset() -> Loaded:
        raise SettingsError("ü: unknown key")

    assert doctor.report(unset, out) == 1
    assert b"bad  settings     ?: unknown key ? mend it" in raw.getvalue()


# A check that misbehaves


def examine(total_s: float = 1.0, **looks: doctor.Look) -> dict[str, Check]:
    """Outcomes of some checks; those named `wait…` are done at the same time."""
    waiting = {name: look for name, look in looks.items() if name.startswith("wait")}
    first = {name: look for name, look in looks.items() if name not in waiting}
    checks = doctor.examine(case(), first, waiting, total_s, total_s / 2)
    return {check.name: check for check in checks}


def test_an_exception_is_one_bad_line() -> None:
    def fails(case: Case) -> Verdict:
        raise ValueError("numpy.dtype size changed,\n may indicate binary incompatibility")

    def refuses(case: Case) -> Verdict:
        raise SetupError("x is missing: run `make models`")

    found = examine(one=fails, two=refuses, three=lambda case: ok("fine"))
    assert found["one"].state == "bad"
    assert found["one"].detail == (
        "ValueError: numpy.dtype size changed, may indicate binary incompatibility"
    )
    assert (found["two"].detail, found["two"].remedy) == ("x is missing", "run `make models`")
    assert found["three"] == Check("three", "ok", "fine")


def test_what_hangs_is_left_behind() -> None:
    """The whole takes no longer than said, and who comes later still has a turn."""
    end = threading.Event()

    def hangs(case: Case) -> Verdict:
        end.wait(20)
        return ok("too late")

    def slow(case: Case) -> Verdict:
        time.sleep(0.1)
        return ok("fine")

    start = time.monotonic()
    found = examine(2.0, one=hangs, two=slow, wait1=hangs, wait2=hangs, wait3=slow)
    took = time.monotonic() - start
    end.set()
    assert took < 2.5
    states = {name: check.state for name, check in found.items()}
    assert states == {"one": "bad", "two": "ok", "wait1": "bad", "wait2": "bad", "wait3": "ok"}
    assert "no answer" in found["one"].detail
    assert needs_remedy(found["one"])


def test_an_address_is_told_without_its_password() -> None:
    """People show these lines around."""
    uri = "rtsp://user:secret@10.0.0.7/live"
    (check,) = examine(one=lambda case: bad(f"{uri}: gone", f"open {uri}")).values()
    assert "secret" not in check.detail + check.remedy
    assert "10.0.0.7/live" in check.detail


# The program


def test_settings_tell_where_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("[camera]\nwidth = 320\nheight = 240\n")
    loaded = load(tmp_path / "my.toml", ["mqtt.port=8883"], {"FER_EDGE_MQTT_TLS": "true"})
    verdict = program.settings(Case(loaded.settings, loaded))
    assert verdict == ok(f"valid; set: 2 by {tmp_path / 'my.toml'}, 1 by environment, 1 by --set")


def test_a_model_that_is_not_in_the_bundle(models_dir: Path) -> None:
    verdict = program.models(case(classify__model="cnn"))
    assert verdict.state == "bad"
    assert "'cnn'" in verdict.detail
    assert verdict.remedy == "set classify.model to one of svm, gnn, both"


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    verdict = program.models(case(classify__bundle=tmp_path))
    assert verdict.state == "bad"
    assert needs_remedy(verdict)


def test_every_model_of_the_bundle_is_run(models_dir: Path) -> None:
    verdict = program.inference(case())
    assert verdict.state == "ok"
    assert all(f"{name} " in verdict.detail for name in ("svm", "gnn", "both"))


def test_a_machine_too_slow_for_the_settings(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_milliseconds", lambda recognise, picture: 130.0)
    verdict = program.inference(case())
    assert verdict.state == "warn"
    assert verdict.remedy == "lower the setting camera.frames_per_second to 7"


@pytest.mark.parametrize(
    ("source", "state"), [("auto", "warn"), ("v4l2:0", "bad"), ("picamera2:", "ok")]
)
def test_opencv_is_missed_where_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, source: str, state: str
) -> None:
    def absent(name: str) -> None:
        raise ImportError("No module named 'cv2'")

    monkeypatch.setattr(program, "import_module", absent)
    monkeypatch.setattr(program, "find_spec", lambda name: None)
    assert program.opencv(case(camera__source=source)).state == state
    monkeypatch.setattr(program, "find_spec", lambda name: name == "picamera2")
    assert program.opencv(case(camera__source="auto")).state == "ok"


@pytest.mark.parametrize("compiled", [True, False])
def test_kernels_are_told(monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    monkeypatch.setattr(program.native, "load", lambda: object() if compiled else None)
    assert program.kernels(case()).state == ("ok" if compiled else "warn")


def test_a_newer_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_NEWEST", (3, 10))
    assert program.python(case()).state == "warn"


def test_no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.interpreter.RUNTIMES", ("no_such_runtime",))
    verdict = program.tflite(case())
    assert (verdict.state, verdict.remedy) == ("bad", "run `make edge` to install one")


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


# The unit


@pytest.mark.parametrize(
    ("changes", "state", "says", "remedy"),
    [
        ({}, "ok", "active: happy for 3 s", ""),
        ({"LoadState": "not-found", "ActiveState": "inactive"}, "ok", "not installed", ""),
        ({"ActiveState": "inactive"}, "warn", "stopped", "enable --now"),
        ({"ActiveState": "activating"}, "warn", "activating", "journalctl"),
        ({"NRestarts": "3"}, "warn", "restarts so far: 3", "journalctl"),
        ({"UnitFileState": "disabled"}, "warn", "next boot", "enable"),
        (
            {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "78"},
            "bad",
            "exit status 78",
            "mend the settings",
        ),
        ({"ActiveState": "failed", "Result": "watchdog"}, "bad", "watchdog", "journalctl"),
    ],
)
def test_unit(changes: dict[str, str], state: str, says: str, remedy: str) -> None:
    verdict = service.unit(case(ask=systemd(**changes)))
    assert verdict.state == state
    assert says in verdict.detail
    assert remedy in verdict.remedy
    assert needs_remedy(verdict)


def test_no_systemd() -> None:
    assert service.unit(case()).state == "ok"


# The broker


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[int]:
    """A real broker that wants user `pi` with the password `secret`; its port."""
    if not (program := shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")):
        pytest.skip("mosquitto is not installed")
    subprocess.run(["mosquitto_passwd", "-b", "-c", tmp_path / "users", "pi", "secret"], check=True)
    (tmp_path / "users").chmod(0o644)
    tmp_path.chmod(0o755)
    port = free_port()
    (tmp_path / "broker.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {tmp_path}/users\n"
        "user root\n"
    )
    broker = subprocess.Popen([program, "-c", tmp_path / "broker.conf"], stderr=subprocess.PIPE)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield port
    broker.terminate()
    broker.communicate(timeout=10)


def test_no_broker_is_asked_for() -> None:
    assert service.broker(case()).state == "ok"


def test_broker_absent(command: Command) -> None:
    flags = ["--set", "mqtt.host=127.0.0.1", "--set", f"mqtt.port={free_port()}"]
    result = command("doctor", *flags)
    assert (result.returncode, result.stderr) == (1, "")
    (line,) = (line for line in result.stdout.splitlines() if "broker" in line.split()[1])
    assert line.startswith("bad  broker")
    assert "connection refused → start the broker" in line


def test_broker_login(mosquitto: int, tmp_path: Path) -> None:
    flags = {"mqtt__host": "127.0.0.1", "mqtt__port": mosquitto, "mqtt__username": "pi"}
    # As systemd has it: where the unit takes its credential from.
    put(tmp_path / "etc/fer-edge/mqtt-password", "secret\n")
    verdict = service.broker(case(tmp_path, **flags))
    assert verdict.state == "ok", verdict
    assert f"127.0.0.1:{mosquitto}: connected as pi in" in verdict.detail
    assert "secret" not in verdict.detail
    put(tmp_path / "wrong", "sekret\n")
    for kind in (
        case(tmp_path, **flags, mqtt__password_file=tmp_path / "wrong"),
        case(tmp_path / "none", **flags),
    ):
        verdict = service.broker(kind)
        assert verdict.state == "bad"
        assert "uthori" in verdict.detail
        assert "mqtt.username" in verdict.remedy


def test_broker_without_tls(mosquitto: int) -> None:
    verdict = service.broker(case(mqtt__host="127.0.0.1", mqtt__port=mosquitto, mqtt__tls="true"))
    assert verdict.state == "bad"
    assert needs_remedy(verdict)


def test_no_password(tmp_path: Path) -> None:
    file = tmp_path / "none"
    verdict = service.broker(case(mqtt__host="127.0.0.1", mqtt__password_file=file))
    assert verdict.state == "warn"
    assert f"{file} is missing" in verdict.detail


def test_a_broker_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_PATIENCE_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        start = time.monotonic()
        verdict = service.broker(case(mqtt__host="127.0.0.1", mqtt__port=port))
    assert time.monotonic() - start < 3
    assert verdict.state == "bad"
    assert "no answer" in verdict.detail


# The metrics


class Metrics(BaseHTTPRequestHandler):
    """Tells what its server has in `says`."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.says)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        """Not on stderr."""


@pytest.mark.parametrize(("says", "state"), [(b"fer_edge_frames_total 3\n", "ok"), (b"", "bad")])
def test_metrics_port_in_use(says: bytes, state: str) -> None:
    with HTTPServer(("127.0.0.1", 0), Metrics) as server:
        server.says = says  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        verdict = service.metrics(case(metrics__port=server.server_port))
        server.shutdown()
        thread.join()
    assert verdict.state == state
    assert needs_remedy(verdict)


def test_the_pages_port() -> None:
    """Also where the page asks for its token."""
    from edge.publish.page import Page
    from edge.settings import PageSettings

    port = free_port()
    assert service.page(case(page__port=port)).state == "ok"
    page = Page(PageSettings(port=port), dict)
    verdict = service.page(case(page__port=port))
    page.close()
    assert (verdict.state, "the daemon answers" in verdict.detail) == ("ok", True)
    with HTTPServer(("127.0.0.1", 0), Metrics) as server:
        server.says = b"hello"  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        verdict = service.page(case(page__port=server.server_port))
        server.shutdown()
        thread.join()
    assert verdict.state == "bad"
    assert "page.port" in str(verdict)


def test_metrics_port_free_or_elsewhere() -> None:
    assert service.metrics(case()).state == "ok"
    assert service.metrics(case(metrics__port=free_port())).state == "ok"
    verdict = service.metrics(case(metrics__port=free_port(), metrics__address="192.0.2.1"))
    assert verdict.state == "bad"
    assert needs_remedy(verdict)


def test_the_default_settings_stand_in(tmp_path: Path) -> None:
    def fails() -> Loaded:
        raise SettingsError("x: unknown key")

    assert doctor.open_case(fails).settings == Settings()
