"""The service on a booted systemd: installed, used, broken in every way, upgraded, removed.

One boot serves all tests: see boot.sh for how, and checks.py for what is done in it. `-s` shows
what was measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.systemd.checks import CHECKS

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
PYTHON = "/usr/bin/python3"


def _hindrance() -> str:
    """Why this machine cannot do it; empty where it can."""
    if os.geteuid():
        return "needs root"
    if not Path("/sys/fs/cgroup/memory").is_dir():
        return "needs cgroup v1, as boot.sh mounts it"
    for tool in ("/sbin/init", "/usr/sbin/mosquitto", PYTHON):
        if not Path(tool).exists():
            return f"needs {tool} (apt install systemd systemd-sysv mosquitto python3-venv)"
    spaces = [
        "unshare",
        "--mount",
        "--pid",
        "--cgroup",
        "--uts",
        "--ipc",
        "--net",
        "--fork",
        "true",
    ]
    if subprocess.run(spaces, capture_output=True, check=False).returncode:
        return "needs namespaces, which this machine does not give"
    return ""


@pytest.fixture(scope="module")
def boot(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the checks found in one boot of systemd: name → failure or None."""
    hindrance = _hindrance()
    if hindrance:
        pytest.skip(hindrance)
    # The bundle is made with the network; in the boot there is none, and `make` finds it done.
    version = subprocess.check_output(
        [PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], text=True
    )
    packed = subprocess.run(
        ["make", "bundle-here", f"FOR_PYTHON={version.strip()}"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )
    assert packed.returncode == 0, packed.stderr
    folder = tmp_path_factory.mktemp("boot")
    done = subprocess.run(
        [HERE / "boot.sh", folder, sys.executable, "-m", "tests.systemd"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    results = folder / "results.json"
    if not results.is_file():
        log = folder / "check.log"
        pytest.fail(f"{done.stderr}\n{log.read_text() if log.is_file() else ''}", pytrace=False)
    found: dict[str, Any] = json.loads(results.read_text())
    print(json.dumps(found["measured"], indent=1))
    return found["results"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", CHECKS)
def test_on_a_booted_systemd(name: str, boot: dict[str, str | None]) -> None:
    failure = boot.get(name, "it was not reached")
    if failure:
        pytest.fail(failure, pytrace=False)
