"""What a booted systemd does with the service. Run inside tests/systemd/boot.sh, as root.

Installs with `make install`, plays a camera and a broker to it, breaks one thing after the other,
and writes to /out/results.json for each check why it failed, or null, and what was measured. Names
of checks as arguments: only these.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

REPO = Path(__file__).resolve().parents[2]
OUT = Path("/out")
UNIT = "fer-edge.service"
SETTINGS = Path("/etc/fer-edge/config.toml")
CURRENT = Path("/opt/fer-edge/current")

Check = Callable[["Device"], None]
CHECKS: dict[str, Check] = {}
"""Name → check, in the order in which they run."""
measured: dict[str, float] = {}
"""What → seconds."""


def check(function: Check) -> Check:
    CHECKS[function.__name__] = function
    return function


def systemctl(*arguments: str, timeout: float = 30) -> str:
    """Its output. Raises where it fails."""
    done = subprocess.run(
        ["systemctl", *arguments], capture_output=True, text=True, check=False, timeout=timeout
    )
    assert done.returncode == 0, f"systemctl {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def show(name: str) -> str:
    return systemctl("show", "--property", name, "--value", UNIT)


def until(done: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `done` returned, as soon as it is true; that it took longer is a failure."""
    end = time.monotonic() + seconds
    while True:
        result = done()
        if result:
            return result
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


@contextmanager
def timed(what: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    measured[what] = round(time.monotonic() - begun, 2)


def active() -> bool:
    return show("ActiveState") == "active"


def make(target: str, *variables: str) -> subprocess.CompletedProcess[str]:
    return run("make", "--no-print-directory", target, *variables)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=REPO, capture_output=True, text=True, check=False, timeout=120
    )


class Journal:
    """The service's lines, as they come."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        follow = ["journalctl", "--follow", "--unit", UNIT, "--output", "cat", "--lines", "0"]
        self._process = subprocess.Popen(follow, stdout=subprocess.PIPE, text=True)
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.lines.append(line.rstrip())

    def expect(self, seconds: float, *parts: str, after: int | None = None) -> str:
        """The first line with all `parts` in it, from now, or the line `after`, on."""
        seen = len(self.lines) if after is None else after

        def found() -> str:
            nonlocal seen
            for line in self.lines[seen:]:
                if all(part in line for part in parts):
                    return line
                seen += 1
            return ""

        return until(found, seconds, f"a line with {' and '.join(parts)}")


class Subscriber:
    """Everything that the broker tells, also what it kept while it was away itself."""

    def __init__(self, port: int) -> None:
        from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage

        self.messages: list[tuple[str, Any]] = []

        def take(_client: Client, _data: object, message: MQTTMessage) -> None:
            text = message.payload.decode()
            self.messages.append(
                (message.topic, json.loads(text) if text.startswith("{") else text)
            )

        self._client = Client(CallbackAPIVersion.VERSION2, "subscriber", clean_session=False)
        self._client.on_message = take
        self._client.on_connect = lambda *_: self._client.subscribe("fer-edge/#", qos=1)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def states(self, since: int = 0) -> list[dict[str, Any]]:
        return [what for topic, what in self.messages[since:] if topic.endswith("/state")]

    def availability(self) -> str:
        told = [what for topic, what in self.messages if topic.endswith("/availability")]
        return told[-1] if told else ""


class Broker:
    """A real mosquitto, which keeps what it has taken even when it is killed."""

    port = 1883

    def __init__(self) -> None:
        self._folder = Path("/var/tmp/broker")
        self._folder.mkdir()
        shutil.chown(self._folder, "mosquitto")
        (self._folder / "conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {self._folder}/\n"
            "autosave_interval 1\nautosave_on_changes true\n"
        )
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["/usr/sbin/mosquitto", "-c", str(self._folder / "conf")],
            stdout=subprocess.DEVNULL,
            stderr=(OUT / "mosquitto.log").open("a"),
        )
        time.sleep(0.3)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class Device:
    """What the checks have in their hands."""

    def __init__(self) -> None:
        from tests.tools.mjpeg import Stream, jpegs

        self.before = leftovers()
        self.stream = Stream(jpegs())
        self.broker = Broker()
        self.mqtt = Subscriber(self.broker.port)
        self.journal = Journal()

    def settings(self, **tables: str) -> None:
        """Write the settings file: this camera and this broker, and what is given besides."""
        text = {
            "camera": f'source = "{self.stream.url}"',
            "mqtt": f'host = "127.0.0.1"\nport = {self.broker.port}\nnode = "test"',
            "output": 'stdout = "frames"\nheartbeat_seconds = 1.0',
        } | tables
        SETTINGS.write_text("".join(f"[{table}]\n{keys}\n" for table, keys in text.items()))

    def reads_frames(self, seconds: float = 5) -> None:
        self.journal.expect(seconds, '"camera": "ok"')


def leftovers() -> set[str]:
    """What an installation could leave behind: all of some folders, and what has our name."""
    kept = run("find", "/etc", "/opt", "-xdev")
    named = run("find", "/run", "/var", "/usr/local", "/root", "-xdev", "-name", "*fer-edge*")
    return {*kept.stdout.splitlines(), *named.stdout.splitlines()}


@check
def installs_without_a_camera(device: Device) -> None:
    """One command; the service waits for a camera, and holds up neither it nor the boot."""
    with timed("make install"):
        done = make("install")
    assert done.returncode == 0, done.stderr
    assert "camera lost" in done.stderr, done.stderr
    assert show("ActiveState") == "activating"
    assert SETTINGS.stat().st_mode & 0o777 == 0o644
    assert (SETTINGS.parent / "mqtt-password").stat().st_mode & 0o777 == 0o600
    systemctl("start", "multi-user.target", timeout=10)
    assert systemctl("is-enabled", UNIT) == "enabled"


@check
def unit_is_clean_and_tight(device: Device) -> None:
    unit = f"/etc/systemd/system/{UNIT}"
    verified = run("systemd-analyze", "verify", "--recursive-errors=yes", unit)
    assert verified.returncode == 0, verified.stderr
    assert UNIT not in verified.stderr, verified.stderr
    judged = run("systemd-analyze", "security", "--threshold=15", "--no-pager", UNIT)
    assert judged.returncode == 0, judged.stdout.splitlines()[-1]


@check
def ready_with_the_first_frame(device: Device) -> None:
    device.settings()
    with timed("restart to READY"):
        systemctl("restart", UNIT)  # waits for READY
    device.reads_frames()
    assert active()


@check
def readings_flow_over_mqtt(device: Device) -> None:
    until(lambda: len(device.mqtt.states()) >= 2, 5, "two readings over MQTT")
    assert device.mqtt.states()[-1]["label"] == "happy"
    assert device.mqtt.availability() == "online"


@check
def lost_stream_is_told_and_found_again(device: Device) -> None:
    for fault in ("cut", "stall"):
        seen = len(device.mqtt.messages)
        device.stream.command(fault)
        with timed(f"camera lost, told ({fault})"):
            device.journal.expect(2.5, "edge: camera: lost")  # 2 s, and its way on a busy machine
        until(
            lambda seen=seen: any(s["camera"] != "ok" for s in device.mqtt.states(seen)),
            1,
            "camera lost over MQTT",
        )
        time.sleep(1.5)  # so that pauses between attempts grow
        device.stream.command("restore")
        with timed(f"camera back, read ({fault})"):
            device.reads_frames()
    assert show("NRestarts") == "0"


@check
def broker_killed_loses_nothing(device: Device) -> None:
    until(lambda: device.mqtt.states(), 5, "readings")
    seen = len(device.mqtt.messages)
    before = device.mqtt.states()[-1]["sequence"]
    device.broker.kill()
    time.sleep(4)
    device.broker.start()
    until(
        lambda: (
            {s["sequence"] for s in device.mqtt.states(seen)} >= {*range(before + 1, before + 7)}
        ),
        10,
        "the readings of that time, without holes",
    )
    numbers = sorted({state["sequence"] for state in device.mqtt.states(seen)})
    holes = set(range(before + 1, numbers[-1] + 1)) - set(numbers)
    assert not holes, f"lost: {sorted(holes)}"
    assert show("NRestarts") == "0"


@check
def bad_settings_at_reload_change_nothing(device: Device) -> None:
    process = show("MainPID")
    device.settings(camera='source = 7\nwidth = "wide"')
    seen = len(device.journal.lines)
    systemctl("reload", UNIT)
    line = device.journal.expect(3, "old settings stay", after=seen)
    assert str(SETTINGS) in line and "camera.source" in line, line
    device.reads_frames()
    device.settings()
    seen = len(device.journal.lines)
    systemctl("reload", UNIT)
    device.journal.expect(3, "settings loaded again", after=seen)
    device.reads_frames()
    assert show("MainPID") == process


@check
def stopped_process_is_restarted(device: Device) -> None:
    with drop_in("WatchdogSec=3"):
        systemctl("restart", UNIT)
        device.reads_frames()
        process = show("MainPID")
        with timed("stopped process, reading again (watchdog of 3 s)"):
            systemctl("kill", "--signal", "STOP", "--kill-who", "main", UNIT)
            until(lambda: show("NRestarts") == "1", 12, "a restart by the watchdog")
            until(active, 8, "READY again")
        assert show("MainPID") != process


@check
def stops_within_a_second(device: Device) -> None:
    systemctl("restart", UNIT)
    device.reads_frames()
    until(lambda: device.mqtt.availability() == "online", 3, "online")
    with timed("systemctl stop"):
        systemctl("stop", UNIT)
    assert measured["systemctl stop"] < 1, measured
    assert (show("Result"), show("ExecMainStatus")) == ("success", "0")
    until(lambda: device.mqtt.availability() == "offline", 1, "offline over MQTT")


@check
def over_its_memory_is_killed_and_restarted(device: Device) -> None:
    with drop_in("MemoryMax=40M"):
        systemctl("start", "--no-block", UNIT)
        until(lambda: show("Result") in ("oom-kill", "signal"), 5, "killed")  # on cgroup v2, v1
        until(lambda: int(show("NRestarts")) >= 2, 15, "two restarts")
    with timed("enough memory again, READY"):
        until(active, 10, "running again by itself")


@check
def bad_settings_are_refused_in_one_line(device: Device) -> None:
    device.settings(camera='source = "auto"\nframes_per_second = "many"')
    seen = len(device.journal.lines)
    systemctl("restart", "--no-block", UNIT)
    until(lambda: show("ActiveState") == "failed", 5, "failed")
    line = device.journal.expect(2, "frames_per_second", after=seen)
    assert line.startswith(f"edge: {SETTINGS}"), line
    assert (show("SubState"), show("ExecMainStatus")) == ("failed", "78")  # not auto-restart
    assert "Traceback" not in "".join(device.journal.lines[seen:])


@check
def end_of_a_video_is_no_failure(device: Device) -> None:
    clip = Path("/var/lib/clip.y4m")
    header, frames = (REPO / "models" / "sample.y4m").read_bytes().split(b"\n", 1)
    size = frames.index(b"FRAME", 1)
    clip.write_bytes(header + b"\n" + frames[: 15 * size])  # one second
    device.settings(camera=f'source = "{clip}"')
    systemctl("restart", UNIT)
    until(lambda: show("ActiveState") != "active", 10, "the end")
    assert (show("SubState"), show("Result")) == ("dead", "success")  # not auto-restart


@check
def upgrade_keeps_settings(device: Device) -> None:
    device.settings()
    systemctl("restart", UNIT)
    told, old = SETTINGS.read_text(), CURRENT.resolve()
    (SETTINGS.parent / "mqtt-password").write_text("")
    with timed("upgrade"):
        done = make("install")
    assert done.returncode == 0, done.stderr
    assert SETTINGS.read_text() == told
    assert CURRENT.resolve() != old
    assert old.is_dir(), "the version before is gone"
    assert active()
    device.reads_frames()


@check
def failed_upgrade_leaves_the_old_version_running(device: Device) -> None:
    old, process = CURRENT.resolve(), show("MainPID")
    assert active()
    spoilt = Path("/var/tmp/spoilt")
    shutil.copytree(REPO / "build" / "bundle-here", spoilt)

    def fails(because: str) -> str:
        done = run(str(spoilt / "install.sh"))
        assert done.returncode == 1, done.stderr
        assert because in done.stderr, done.stderr
        assert done.stderr.splitlines()[-1] == f"fer-edge: not upgraded: {old.name} stays", done
        assert CURRENT.resolve() == old
        assert [*CURRENT.parent.glob(f"releases/{old.name}")] == [old]
        return done.stderr

    # A wheel is missing: what runs is not even touched.
    numpy = next(spoilt.glob("wheels/numpy-*"))
    wheel = numpy.rename(spoilt / numpy.name)
    fails("the wheels could not be installed")
    assert show("MainPID") == process and active()
    wheel.rename(numpy)
    # It installs, but ends at once: back to the old one.
    unit = spoilt / UNIT
    unit.write_text(unit.read_text().replace("-m edge daemon", "-m edge deamon"))
    with timed("upgrade that does not come up, undone"):
        fails("did not come up")
    until(active, 10, "the old version, running")
    device.reads_frames()
    assert "daemon" in Path(f"/etc/systemd/system/{UNIT}").read_text()
    shutil.rmtree(spoilt)


@check
def uninstall_leaves_nothing(device: Device) -> None:
    done = make("uninstall")
    assert done.returncode == 0, done.stderr
    systemctl("daemon-reload")
    assert show("LoadState") == "not-found"
    left = leftovers() - device.before
    assert not left, f"left behind: {sorted(left)}"


@contextmanager
def drop_in(*lines: str) -> Iterator[None]:
    """Settings of the unit that it has for a while."""
    folder = Path(f"/run/systemd/system/{UNIT}.d")
    folder.mkdir(parents=True)
    (folder / "test.conf").write_text("\n".join(["[Service]", *lines, ""]))
    systemctl("daemon-reload")
    try:
        yield
    finally:
        shutil.rmtree(folder)
        systemctl("daemon-reload")


def main(names: list[str]) -> int:
    results: dict[str, str | None] = {}
    device = Device()
    for name in names or CHECKS:
        begun = time.monotonic()
        try:
            CHECKS[name](device)
            results[name] = None
        except Exception as error:
            traceback.print_exc()
            last = "\n".join(line[:120] for line in device.journal.lines[-5:])
            results[name] = f"{error}\nThe journal's last lines:\n{last}"
        print(f"{time.monotonic() - begun:5.1f} s  {name}", flush=True)
        report = {"results": results, "measured": measured}
        (OUT / "results.json").write_text(json.dumps(report, indent=1))
    (OUT / "journal.log").write_text("\n".join(device.journal.lines))
    return any(results.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
