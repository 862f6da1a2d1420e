"""What a booted systemd does with the service, in the order of the file.

Each takes the device as the one before left it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.systemd.device import (
    REPO,
    SETTINGS,
    UNIT,
    Device,
    active,
    drop_in,
    leftovers,
    make,
    measured,
    run,
    show,
    systemctl,
    timed,
    until,
)

HERE = Path(__file__).resolve().parent
CURRENT = Path("/opt/fer-edge/current")

Check = Callable[[Device], None]
CHECKS: dict[str, Check] = {}
"""Name → check, in the order in which they run."""


def check(function: Check) -> Check:
    CHECKS[function.__name__] = function
    return function


@check
def installs_without_a_camera(device: Device) -> None:
    """One command; the service waits for a camera, and holds up neither it nor the boot."""
    with timed("make install"):
        done = make("install")
    assert done.returncode == 0, done.stderr
    assert "camera lost" in done.stderr, done.stderr
    assert show("ActiveState") == "activating"
    assert SETTINGS.stat().st_mode & 0o777 == 0o644
    for secret in ("mqtt-password", "page-token"):
        assert (SETTINGS.parent / secret).stat().st_mode & 0o777 == 0o600
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
def reaches_private_networks_alone(device: Device) -> None:
    """A broker at home without a word in the settings; nothing else on the internet."""
    inside, outside = ("127.0.0.1", "192.168.7.7", "10.7.7.7"), "8.8.8.8"
    for address in (*inside[1:], outside):
        run("ip", "address", "add", f"{address}/32", "dev", "lo")
    script = shutil.copy(HERE / "reach.py", "/opt")
    command = f"{CURRENT}/venv/bin/python {script} {' '.join(inside)} {outside}"
    with drop_in("Type=oneshot", "Restart=no", "ExecStart=", f"ExecStart={command}"):
        seen = len(device.journal.lines)
        systemctl("restart", UNIT)
        device.journal.expect(3, f"{outside} Operation not permitted", after=seen)
        for address in inside:
            device.journal.expect(1, f"{address} reached", after=seen)
    Path(script).unlink()


@check
def ready_with_the_first_frame(device: Device) -> None:
    device.settings()
    with timed("restart to READY"):
        systemctl("restart", UNIT)  # waits for READY
    device.reads_frames()
    assert active()


@check
def waits_for_its_camera(device: Device) -> None:
    """For longer than a start may take, as long as it is alive; then it reads at once."""
    with drop_in("TimeoutStartSec=2"):
        device.stream.cut()
        systemctl("restart", "--no-block", UNIT)
        time.sleep(4)
        assert (show("ActiveState"), show("NRestarts")) == ("activating", "0")
        device.stream.command("restore")
        with timed("camera there, READY"):
            until(active, 5, "READY")


@check
def readings_flow_over_mqtt(device: Device) -> None:
    seen = len(device.mqtt.states())
    until(lambda: len(device.mqtt.states()) >= seen + 2, 5, "two readings over MQTT")
    assert device.mqtt.states()[-1]["label"] == "happy"
    assert device.availability() == b"online"


@check
def lost_stream_is_told_and_found_again(device: Device) -> None:
    for fault in ("cut", "stall"):
        seen = len(device.mqtt.states())
        device.stream.command(fault)
        with timed(f"camera lost, told ({fault})"):
            device.journal.expect(2.5, "edge: camera: lost")  # 2 s, and its way on a busy machine
        until(
            lambda seen=seen: any(s["camera"] != "ok" for s in device.mqtt.states()[seen:]),
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
    before = device.mqtt.sequence()[-1]
    device.broker.kill()
    device.line.cut()
    device.mqtt.drain()
    time.sleep(3)
    device.broker.start()
    device.mqtt.connect(device.broker.port)
    device.line.open()
    until(lambda: device.mqtt.sequence()[-1] > before + 5, 10, "readings over MQTT again")
    heard = set(device.mqtt.sequence())
    assert heard >= set(range(before, max(heard))), f"only {sorted(heard)}"
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
def shows_its_page_and_calibrates(device: Device) -> None:
    """To another machine of the network, which knows the token; what is kept outlives a restart."""
    device.settings(
        page='port = 8080\naddress = "0.0.0.0"',
        classify='baseline = "/var/lib/fer-edge/baseline.npz"',
    )
    systemctl("restart", UNIT)
    device.reads_frames()
    token = (SETTINGS.parent / "page-token").read_text().strip()

    def ask(path: str, method: str = "GET", **headers: str) -> int:
        request = Request(f"http://192.168.7.7:8080{path}", method=method, headers=headers)
        try:
            with urlopen(request, timeout=2) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code

    assert ask("/") == 401
    assert ask("/", Authorization=f"Bearer {token}") == 200
    mine = {"Authorization": f"Bearer {token}", "Origin": "http://192.168.7.7:8080"}
    assert ask("/calibrate", "POST", **mine) == 202
    kept = Path("/var/lib/fer-edge/baseline.npz")
    with timed("calibration, by the page's button"):
        until(kept.is_file, 12, "the resting face")
    before = kept.read_bytes()
    systemctl("restart", UNIT)
    device.reads_frames()
    assert kept.read_bytes() == before
    device.settings()
    systemctl("restart", UNIT)
    device.reads_frames()


@check
def stays_small(device: Device) -> None:
    """By now it has read hundreds of frames, lost a camera and a broker."""
    measured["memory of the unit, MB"] = round(int(show("MemoryCurrent")) / 1e6)
    assert measured["memory of the unit, MB"] < 120, "the unit's limit is 200 MB"


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
    until(lambda: device.availability() == b"online", 3, "online")
    with timed("systemctl stop"):
        systemctl("stop", UNIT)
    assert measured["systemctl stop"] < 1, measured
    assert (show("Result"), show("ExecMainStatus")) == ("success", "0")
    until(lambda: device.availability() == b"offline", 1, "offline over MQTT")


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
    until(lambda: show("SubState") in ("dead", "failed", "auto-restart"), 10, "the end")
    assert (show("SubState"), show("Result")) == ("dead", "success")


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
