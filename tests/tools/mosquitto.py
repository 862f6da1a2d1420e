"""A real broker that a test starts, kills, freezes; someone who listens; a line that can be cut."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

# Debian puts it where only root's PATH leads.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
MOSQUITTO = shutil.which("mosquitto", path=PATH)


def until(happens: Callable[[], object], seconds: float = 10.0) -> float:
    """Wait for something to become true; how many seconds that took."""
    begun = time.monotonic()
    while not happens():
        assert time.monotonic() - begun < seconds, "it did not happen"
        time.sleep(0.005)
    return time.monotonic() - begun


class Mosquitto:
    """One broker on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = int(server.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *lines: str) -> None:
        """`lines`: of its configuration, in place of `allow_anonymous true`."""
        assert MOSQUITTO is not None
        config = self.folder / "mosquitto.conf"
        # As root it would become another user, who may not read a test's files.
        base = [f"listener {self.port} 127.0.0.1", "user root", "log_dest stderr"]
        config.write_text("\n".join([*base, *(lines or ["allow_anonymous true"])]) + "\n")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([MOSQUITTO, "-c", str(config)], stderr=log)
        until(self._listens)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "mosquitto.log").read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


class Listener:
    """Hears all that is published. What a broker that is then killed had passed on is heard."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []  # topic, payload, whether retained
        self._client: Client | None = None

    def connect(self, port: int) -> None:
        """Also again, to another or a new broker. Returns when nothing more can be missed."""
        self.close()
        subscribed = threading.Event()
        # QoS 0: a broker passes that on before it acknowledges to the publisher.
        client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        client.on_message = lambda c, u, m: self.messages.append((m.topic, m.payload, m.retain))
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect("127.0.0.1", port)
        client.subscribe("#")
        client.loop_start()
        assert subscribed.wait(5)
        self._client = client

    def close(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()

    def drain(self) -> None:
        """Hear the last of a broker that was killed."""
        assert self._client is not None
        until(lambda: self._client is None or not self._client.is_connected())

    def of(self, topic: str) -> list[bytes]:
        return [payload for name, payload, _ in self.messages if name == topic]

    def states(self, topic: str = "fer-edge/pi/state") -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.of(topic)]

    def sequence(self) -> list[int]:
        return [state["sequence"] for state in self.states()]


class Line:
    """A TCP line to a broker, which can be cut in the middle of a packet."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._ends: list[socket.socket] = []
        self._server: socket.socket | None = None
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = int(server.getsockname()[1])

    def open(self) -> None:
        """Take connections from now on."""
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def cut(self) -> None:
        """End all connections, and take no more."""
        for end in (self._server, *self._ends):
            if end is not None:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self._server = None
        self._ends.clear()

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = server.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._ends += [near, far]
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(256):  # few, so that packets are cut in two
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
