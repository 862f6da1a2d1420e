"""Who may log in to the broker, and which broker is trusted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from edge.errors import SettingsError
from tests.tools.mosquitto import PATH, Mosquitto, until
from tests.tools.mqtt import Publish, news

# Who may, and who may not.


def set_password(broker: Mosquitto, password: str) -> tuple[str, ...]:
    """Configuration of a broker that knows the user `edge`."""
    path = broker.folder / "users"
    path.unlink(missing_ok=True)
    command = ["mosquitto_passwd", "-b", "-c", str(path), "edge", password]
    subprocess.run(command, check=True, env={**os.environ, "PATH": PATH}, stderr=subprocess.DEVNULL)
    return ("allow_anonymous false", f"password_file {path}")


def test_a_wrong_password_is_told_once(
    broker: Mosquitto, publisher: Publish, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("pässword-17\n", encoding="utf-8")
    broker.start(*set_password(broker, "another"))
    publish = publisher(username="edge", password_file=str(secret))
    news(publish)
    time.sleep(1.0)  # for some attempts
    assert not publish.connected
    assert publish.check()
    broker.kill()
    broker.start(*set_password(broker, "pässword-17"))
    until(lambda: publish.queued == 0)
    out, err = capfd.readouterr()
    told = err.splitlines()
    assert sum("Not authorized; look at mqtt.username and its password" in t for t in told) == 1
    assert told[-1] == "edge: mqtt: connected again"
    assert len(told) == len(set(told))
    assert "pässword-17" not in out + err + repr(publish) + repr(publish._broker)


@pytest.mark.parametrize("text", ["word", "word\n", "word\r\n"])
def test_the_password_is_a_credential_of_systemd(
    broker: Mosquitto,
    publisher: Publish,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
) -> None:
    (tmp_path / "mqtt-password").write_bytes(text.encode())
    broker.start(*set_password(broker, "word"))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    publish = publisher(username="edge")
    until(lambda: publish.connected)


def test_an_empty_or_absent_credential_is_no_password(
    broker: Mosquitto, publisher: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.start()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    without = publisher(node="a")
    until(lambda: without.connected)
    (tmp_path / "mqtt-password").write_text("\n")
    empty = publisher(node="b")
    until(lambda: empty.connected)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"username": "edge", "password_file": "{tmp}/absent"}, "mqtt.password_file: .*absent"),
        ({"username": "edge", "password_file": "{tmp}"}, "mqtt.password_file: "),
        ({"username": "edge", "password_file": "{tmp}/binary"}, "mqtt.password_file: .*UTF-8"),
        ({"username": "edge", "password_file": "{tmp}/long"}, "mqtt.password_file: .*longer"),
        ({"password_file": "{tmp}/text"}, "mqtt.username is empty"),
        ({"tls": True, "ca_file": "{tmp}/absent"}, "mqtt.ca_file: .*absent"),
        ({"tls": True, "ca_file": "{tmp}/text"}, "mqtt.ca_file: .*no PEM certificate"),
        ({"ca_file": "{tmp}/text"}, "mqtt.ca_file is set, but mqtt.tls is false"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    publisher: Publish, tmp_path: Path, settings: dict[str, object], named: str
) -> None:
    (tmp_path / "binary").write_bytes(b"hush\xff")
    (tmp_path / "long").write_text("hush" * 20000)
    (tmp_path / "text").write_text("hush")
    for key, value in settings.items():
        if isinstance(value, str):
            settings = {**settings, key: value.format(tmp=tmp_path)}
    with pytest.raises(SettingsError, match=named) as error:
        publisher(**settings)
    assert len(str(error.value).splitlines()) == 1
    assert "hush" not in str(error.value)


# TLS.


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA as people make it at home, and a certificate for `localhost` that it signed."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl: apt-get install openssl")
    folder = tmp_path_factory.mktemp("certificates")
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    (folder / "names").write_text("subjectAltName = DNS:localhost")
    for line in (
        f"req -x509 {key} -days 2 -subj /CN=home -keyout ca.key -out ca.pem",
        f"req {key} -subj /CN=localhost -keyout broker.key -out broker.csr",
        "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2"
        " -extfile names -out broker.pem",
    ):
        subprocess.run(["openssl", *line.split()], cwd=folder, check=True, capture_output=True)
    return folder


def secured(folder: Path) -> tuple[str, ...]:
    return (
        "allow_anonymous true",
        f"certfile {folder}/broker.pem",
        f"keyfile {folder}/broker.key",
    )


def test_tls(broker: Mosquitto, publisher: Publish, certificates: Path) -> None:
    publish = publisher(host="localhost", tls=True, ca_file=str(certificates / "ca.pem"))
    news(publish, 100)
    broker.start(*secured(certificates))
    until(lambda: publish.queued == 0)
    assert publish.dropped == 0
    begun = time.monotonic()
    publish.close()
    assert time.monotonic() - begun < 0.5


@pytest.mark.parametrize(
    ("host", "ca", "reason"),
    [
        ("localhost", "", "its certificate is not accepted: unable to get local issuer"),
        ("127.0.0.1", "ca.pem", "its certificate is not accepted: IP address mismatch"),
        ("localhost", None, "closes the connection; does it want TLS"),
    ],
)
def test_a_broker_that_cannot_be_trusted_gets_nothing(
    broker: Mosquitto,
    publisher: Publish,
    certificates: Path,
    capsys: pytest.CaptureFixture[str],
    host: str,
    ca: str | None,
    reason: str,
) -> None:
    broker.start(*secured(certificates))
    trusted = str(certificates / ca) if ca else ""
    publish = publisher(host=host, tls=ca is not None, ca_file=trusted)
    time.sleep(0.5)
    assert not publish.connected
    assert publish.check()
    (told,) = capsys.readouterr().err.splitlines()
    assert f"{host}:{broker.port}: {reason}" in told


def test_tls_to_a_broker_without(
    broker: Mosquitto,
    publisher: Publish,
    certificates: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Mosquitto breaks off or waits for more, by chance; and so do we, but not for ever."""
    monkeypatch.setattr("edge.publish.broker.KEEPALIVE_S", 1)
    broker.start()
    publish = publisher(host="localhost", tls=True, ca_file=str(certificates / "ca.pem"))
    time.sleep(1.2)
    (told,) = capsys.readouterr().err.splitlines()
    assert re.search("does not answer in TLS|TLS failed|reset by peer", told)
    assert publish.check()
    broker.kill()
    broker.start(*secured(certificates))
    until(lambda: publish.connected)
