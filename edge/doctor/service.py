"""Checks of what is around the daemon: its unit, the broker, the ports."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

from edge.doctor.check import Case, Verdict, bad, ok, warn
from edge.settings import MqttSettings
from edge.settings.load import SYSTEM_FILE

_PATIENCE_S = 3.0
"""Seconds for the broker to answer; for the connection, and again for the login."""
_CREDENTIAL = "mqtt-password"
_JOURNAL = "see `journalctl --unit fer-edge --lines 20`"


def unit(case: Case) -> Verdict:
    """Whether the service is installed, runs, and stays up."""
    told = case.unit()
    if not told:
        return ok("systemd does not run here")
    if told.get("LoadState") == "not-found":
        return ok("not installed; `make install` does that")
    state, restarts = told.get("ActiveState", "?"), int(told.get("NRestarts") or 0)
    if state == "failed":
        how = f"failed: {told.get('Result')}, exit status {told.get('ExecMainStatus')}"
        if told.get("ExecMainStatus") == "78":
            return bad(how, "mend the settings, then `sudo systemctl restart fer-edge`")
        return bad(how, _JOURNAL)
    if state == "inactive":
        return warn("installed, but stopped", "run `sudo systemctl enable --now fer-edge`")
    status = f": {told['StatusText']}" if told.get("StatusText") else ""
    if restarts:
        return warn(f"{state}, restarts so far: {restarts}{status}", _JOURNAL)
    if state not in ("active", "reloading"):
        return warn(f"{state}{status}", _JOURNAL)
    if told.get("UnitFileState") == "disabled":
        return warn(f"{state}, but not at the next boot", "run `sudo systemctl enable fer-edge`")
    return ok(f"{state}{status}")


def broker(case: Case) -> Verdict:
    """Whether the MQTT broker can be reached and takes user and password."""
    mqtt = case.settings.mqtt
    if not mqtt.host:
        return ok("off (mqtt.host is empty)")
    where = f"{mqtt.host}:{mqtt.port}"
    start = perf_counter()
    try:
        answer = _login(mqtt, _password(mqtt, case.root))
    except ImportError:
        return bad("paho-mqtt is not installed", "run `make edge`, or install again")
    except _NoPassword as error:
        return warn(f"{error}: not tried", "run the doctor as root, or look at mqtt.password_file")
    except socket.gaierror as error:
        return bad(f"{where}: {error.strerror}", "look at mqtt.host, and at the network")
    except TimeoutError:
        return bad(
            f"{where}: no answer in {_PATIENCE_S:g} s", "look at mqtt.host, and at firewalls"
        )
    except ssl.SSLError as error:
        return bad(
            f"{where}: TLS: {error.reason or error}".replace("_", " "),
            "look at mqtt.ca_file and mqtt.port, and at the line on the clock",
        )
    except ConnectionRefusedError:
        return bad(
            f"{where}: connection refused",
            "start the broker; mosquitto serves only its own machine without a `listener` line",
        )
    except (OSError, ValueError) as error:
        return bad(f"{where}: {error}", "look at the table [mqtt] of the settings")
    if answer:
        return bad(f"{where}: {answer}", "look at mqtt.username and its password, or the broker's")
    who = f" as {mqtt.username}" if mqtt.username else ""
    secure = " over TLS" if mqtt.tls else ""
    took_ms = (perf_counter() - start) * 1e3
    return ok(f"{where}: connected{who}{secure} in {took_ms:.0f} ms")


class _NoPassword(Exception):
    """It is there, but not for this user."""


def _password(mqtt: MqttSettings, root: Path) -> str | None:
    """The password, from where the daemon has it, or from where systemd takes it."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    default = root / SYSTEM_FILE.parent.relative_to("/") / _CREDENTIAL
    file = Path(credentials) / _CREDENTIAL if credentials else default
    file = Path(mqtt.password_file) if mqtt.password_file else file
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except FileNotFoundError:
        if mqtt.password_file:
            raise _NoPassword(f"{file} is missing") from None
        return None
    except PermissionError:
        raise _NoPassword(f"{file} cannot be read by this user") from None


def _login(mqtt: MqttSettings, password: str | None) -> str:
    """Connect, log in, and leave again; why the broker refused, or empty. Raises OSError."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    answers: list[Any] = []
    client = Client(CallbackAPIVersion.VERSION2)  # with a name of its own: the daemon stays on
    client.on_connect = lambda client, data, flags, reason, properties: answers.append(reason)
    client.connect_timeout = _PATIENCE_S
    if mqtt.username:
        client.username_pw_set(mqtt.username, password)
    if mqtt.tls:
        client.tls_set(ca_certs=mqtt.ca_file or None)
    client.connect(mqtt.host, mqtt.port, keepalive=round(_PATIENCE_S))  # bounds TLS's greeting too
    try:
        end = monotonic() + _PATIENCE_S
        while not answers and monotonic() < end:
            if client.loop(timeout=0.1) and not answers:
                return f"it hung up: no MQTT port, or not {'with' if mqtt.tls else 'without'} TLS"
    finally:
        client.disconnect()
    if not answers:
        raise TimeoutError
    return str(answers[0]) if answers[0].is_failure else ""


def metrics(case: Case) -> Verdict:
    """Whether the metrics port is free, or the daemon's."""
    settings = case.settings.metrics
    return _served("metrics", settings.address, settings.port, "/metrics", b"fer_edge")


def page(case: Case) -> Verdict:
    """Whether the page's port is free, or the daemon's."""
    settings = case.settings.page
    return _served("page", settings.address, settings.port, "/", b"<title>fer-edge")


def _served(table: str, address: str, port: int, path: str, ours: bytes) -> Verdict:
    """Who has the port of a table of settings; `ours` is in what the daemon answers to `path`."""
    if not port:
        return ok(f"off ({table}.port is 0)")
    where = f"{address}:{port}"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
        return ok(f"{where}: free, so the daemon is not running")
    except OSError as error:
        if error.errno == errno.EACCES:
            return bad(f"{where}: ports below 1024 are root's", f"set {table}.port to 1024 or more")
        if error.errno != errno.EADDRINUSE:
            told = f"set {table}.address to one of this machine"
            return bad(f"{where}: {error.strerror}", told)
    try:
        with closing(HTTPConnection(address, port, timeout=_PATIENCE_S)) as line:
            line.request("GET", path)
            found = ours in line.getresponse().read(1 << 20)
    except (OSError, HTTPException):
        found = False
    if found:
        return ok(f"{where}: the daemon answers")
    return bad(f"{where}: another program has it", f"set {table}.port to another number")
