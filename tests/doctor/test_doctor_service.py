"""What the doctor says of unit, broker and ports."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from edge.doctor import service
from tests.tools.doctor import case, needs_remedy, put, systemd
from tests.tools.ports import free_port

Command = Callable[..., Any]


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
