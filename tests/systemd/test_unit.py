"""What can be told of unit, settings file and installer without a booted systemd."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from edge.settings import Settings
from edge.settings.load import load

REPO = Path(__file__).resolve().parents[2]
UNIT = REPO / "systemd" / "fer-edge.service"
ROOMS = ("benchmarks", "convert", "edge", "systemd", "tests")
SCRIPTS = sorted(path.relative_to(REPO) for room in ROOMS for path in (REPO / room).rglob("*.sh"))


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )


@pytest.fixture
def analyze() -> str:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze (apt install systemd)")
    return tool


def test_unit_has_no_mistake(analyze: str, tmp_path: Path) -> None:
    """Not even a key that this systemd does not know. What it starts is not installed here."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/fer-edge/current/venv/bin/python", "/bin/true"))
    done = run(analyze, "verify", "--recursive-errors=yes", copy)
    assert (done.returncode, done.stderr) == (0, "")


def test_unit_is_exposed_little(analyze: str) -> None:
    done = run(analyze, "security", "--offline=true", "--threshold=15", "--no-pager", UNIT)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_unit_leaves_what_the_camera_and_arm_need() -> None:
    """What no test on this machine would miss: see facts of picamera2 and TFLite in the unit."""
    unit = UNIT.read_text()
    for device in ("char-video4linux", "char-media", "char-dma_heap", "/dev/vchiq"):
        assert f"DeviceAllow={device} rw\n" in unit
    assert "AF_NETLINK" in unit  # udev tells libcamera of cameras over it
    assert "PrivateDevices" not in unit
    assert "ProcSubset" not in unit
    assert "SupplementaryGroups=video\n" in unit


def test_settings_file_shows_every_setting_at_its_default(tmp_path: Path) -> None:
    """Each line that is commented out is a setting; and as it is, the file changes nothing."""
    shipped = REPO / "systemd" / "config.toml"
    assert load(shipped, environment={}).settings == Settings()
    lines = [
        line.removeprefix("# ") if " = " in line and not line.startswith("#   ") else line
        for line in shipped.read_text(encoding="utf-8").splitlines()
    ]
    assert tomllib.loads("\n".join(lines)) == asdict(Settings())


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_scripts_are_clean(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck (apt install shellcheck)")
    done = run("shellcheck", "--external-sources", script, cwd=REPO)
    assert done.returncode == 0, done.stdout


def test_install_wants_root() -> None:
    if os.geteuid() == 0:
        if shutil.which("runuser") is None:
            pytest.skip("cannot become another user")
        # From the root folder: the checkout may lie in one that only root can enter.
        line = ["runuser", "-u", "nobody", "--", "sh", "-s"]
        done = run(*line, input=_installer(), cwd="/")
    else:
        done = run("sh", "-s", input=_installer())
    assert done.returncode == 1
    assert done.stderr == "fer-edge: root has to do this: sudo make install, or sudo ./install.sh\n"


def test_install_wants_systemd() -> None:
    if os.geteuid() or Path("/run/systemd/system").is_dir():
        pytest.skip("needs root, and a machine that systemd does not run")
    done = run(REPO / "systemd" / "install.sh")
    assert done.returncode == 1
    assert done.stderr == (
        "fer-edge: this machine does not run systemd: there is nothing to install into\n"
    )


def _installer() -> str:
    return (REPO / "systemd" / "install.sh").read_text()


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`scp` and `ssh` of our own: the other machine is the folder `pi`, its root a fake sudo."""
    tools, pi = tmp_path / "tools", tmp_path / "pi"
    tools.mkdir()
    pi.mkdir()
    for name, body in {
        "scp": f'echo "scp $3" >> {tmp_path}/calls; cp "$2" "{pi}/${{3#*:}}"',
        "ssh": f'echo "ssh $2" >> {tmp_path}/calls; cd {pi} && exec sh -c "$3"',
        "sudo": f'echo "sudo $1" >> {tmp_path}/calls; exec "$@"',
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("status", [0, 1])
def test_deploy_sends_installs_and_cleans_up(network: Path, status: int) -> None:
    bundle = network / "fer-edge-1.0-aarch64"
    bundle.mkdir()
    (bundle / "install.sh").write_text(f"#!/bin/sh\necho installing; exit {status}\n")
    (bundle / "install.sh").chmod(0o755)
    run("tar", "-czf", f"{bundle}.tar.gz", "-C", network, bundle.name)
    done = run(REPO / "systemd" / "deploy.sh", "pi@raspberry", f"{bundle}.tar.gz")
    assert (done.returncode, done.stdout) == (status, "installing\n")
    assert (network / "calls").read_text().splitlines() == [
        "scp pi@raspberry:fer-edge-1.0-aarch64.tar.gz",
        "ssh pi@raspberry",
        "sudo ./fer-edge-1.0-aarch64/install.sh",
    ]
    assert not list((network / "pi").iterdir())


def test_deploy_says_where_to() -> None:
    done = run("make", "--no-print-directory", "deploy", cwd=REPO)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "say where to: make deploy PI=user@host"


def test_deploy_tells_of_a_host_that_is_not_there(network: Path) -> None:
    (network / "tools" / "scp").write_text("#!/bin/sh\nexit 1\n")
    done = run(REPO / "systemd" / "deploy.sh", "pi@nowhere", network / "x.tar.gz")
    assert done.returncode == 1
    assert done.stderr == "fer-edge: pi@nowhere: cannot be reached by scp\n"
