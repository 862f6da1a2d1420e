"""Readings over MQTT, for Home Assistant and all others.

Below TOPIC/NODE/: `state`, a JSON object for each change of the label, its reason or the camera,
and as a heartbeat; `availability`, "online" or "offline", retained. QoS 1: while the broker is
away nothing is lost but the oldest messages of a full queue. What was on its way to the broker
when the connection broke is sent again, in order: at most WINDOW messages, which a subscriber may
see twice and can tell by their `sequence`.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import struct
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo

from edge.publish import Changes, as_dict
from edge.publish.broker import Broker, why
from edge.publish.homeassistant import announcement
from edge.settings import MqttSettings
from edge.types import Frame, Gap, Reading

WINDOW = 20
"""Messages on their way to the broker, not acknowledged yet, at most."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
"""Seconds between two attempts to connect: doubled from the first to the longest."""
STEADY_S = 5.0
"""Seconds after which a connection is a good one: pauses begin with the first again."""
STALL_S, CONNECT_STALL_S = 30.0, 120.0
"""Seconds without progress after which the network thread hangs. The second is for the way to a
connection: several dead name servers may take a minute to be given up, and cannot be hurried."""
FAREWELL_S = 0.4
"""Seconds for all that is said at the end."""

_KEYS = ("label", "reason", "confidence", "probabilities", "age_s", "held_s", "camera", "face")
_GARBAGE = (ValueError, LookupError, struct.error)  # paho's, when the other end speaks no MQTT


class Mqtt:
    """Publishes to one broker, from a thread of its own."""

    def __init__(self, settings: MqttSettings, heartbeat_seconds: float) -> None:
        """Starts at once. Raises SettingsError for a password or a CA file that is of no use."""
        self.dropped = 0
        """Messages that were given up because the queue was full."""
        self.connected = False
        """Whether the broker takes messages."""
        self.reconnects = 0
        """Connections after the first."""
        self._broker = Broker(settings)
        base = f"{settings.topic}/{self._broker.node}"
        self._state, self._availability = f"{base}/state", f"{base}/availability"
        self._prefix, self._capacity = settings.discovery_prefix, settings.queue_messages
        self._entities = announcement(self._prefix, self._broker.node, base) if self._prefix else {}
        self._heartbeat_s = heartbeat_seconds
        self._changes = Changes(heartbeat_seconds)
        self._sequence = 0
        self._lock = threading.Lock()  # for the next and `dropped`; never held for long
        self._waiting: deque[bytes] = deque()
        self._sent: dict[int, bytes] = {}  # message id → on its way; oldest first
        self._farewell: MQTTMessageInfo | None = None
        self._cause = ""  # why this connection ended, as far as paho tells
        self._told: set[str] = set()
        self._away = False  # whether it was told that the broker is away
        self._connections = 0
        self._closing, self._deadline_s = threading.Event(), 0.0
        self._error: BaseException | None = None
        self._round_s, self._stall_s = time.monotonic(), STALL_S
        self._bell, self._ring = socket.socketpair()  # wakes the thread out of its select
        self._bell.setblocking(False)
        self._ring.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """Messages that the broker has not acknowledged."""
        return len(self._waiting) + len(self._sent)

    def __call__(self, frame: Frame | Gap, reading: Reading) -> None:
        """Queue the reading if it is news. Neither waits nor raises, whatever the network does."""
        if not self._changes.due(frame, reading):
            return
        self._sequence += 1
        given = as_dict(frame, reading)
        message = {key: given[key] for key in _KEYS}
        message["time"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        message["sequence"] = self._sequence
        with self._lock:
            self._waiting.append(json.dumps(message).encode())
            self._trim()
        self._wake()

    def check(self) -> bool:
        """Whether the network thread goes round. Raises what it died of."""
        if self._error is not None:
            raise self._error
        return time.monotonic() - self._round_s <= self._stall_s

    def close(self) -> None:
        """Send what waits, say "offline" and leave, within half a second."""
        if self._closing.is_set():
            return
        self._deadline_s = time.monotonic() + FAREWELL_S
        self._closing.set()
        self._wake()
        self._thread.join(FAREWELL_S + 0.05)
        if not self._thread.is_alive():  # else it waits for the network, and ends with the process
            self._bell.close()
            self._ring.close()

    def _wake(self) -> None:
        with suppress(OSError):  # it rings already, or is closed
            self._ring.send(b"!")

    def _trim(self) -> None:
        while len(self._waiting) > self._capacity:
            self._waiting.popleft()
            self.dropped += 1

    # All below runs in the network thread.

    def _run(self) -> None:
        try:
            pause_s = FIRST_PAUSE_S
            while not self._closing.is_set():
                if self._connection():
                    pause_s = FIRST_PAUSE_S
                self._closing.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        except BaseException as error:
            self._error = error

    def _connection(self) -> bool:
        """Connect and publish until that ends. Whether the connection was a good one."""
        client = self._broker.client(self._availability)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_message = self._on_publish, self._on_message
        self._round_s, self._stall_s, self._cause = time.monotonic(), CONNECT_STALL_S, ""
        try:
            self._broker.connect(client)
        except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
            self._tell_loss(why(error))
            return False
        finally:
            self._round_s, self._stall_s = time.monotonic(), STALL_S
        begun_s = time.monotonic()
        try:
            self._converse(client)
        except _GARBAGE:
            self._cause = "what answers there speaks no MQTT"
        was_connected, self.connected = self.connected, False
        sock = client.socket()
        if sock is not None:  # without a DISCONNECT, so that the broker executes the will
            sock.close()
        with self._lock:
            self._waiting.extendleft(reversed(self._sent.values()))
            self._sent.clear()
            self._trim()
        good = was_connected and time.monotonic() - begun_s >= STEADY_S
        if good:
            self._told.clear()
        elif was_connected:
            self._cause += f" within seconds; is another device called {self._broker.node}, too?"
        elif not self._cause:
            self._cause = "closes the connection; does it want TLS (mqtt.tls)?"
        self._tell_loss(self._cause)
        return good

    def _converse(self, client: Client) -> None:
        """Publish until the connection ends, or the goodbye is said."""
        while client.socket() is not None:
            self._round_s = time.monotonic()
            if self.connected:
                self._hand_over(client)
            if self._closing.is_set() and self._said_goodbye(client):
                return
            sock: Any = client.socket()
            if sock is None:  # publishing found it gone
                return
            decrypted = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
            pause_s = 0.0 if decrypted else 0.05 if self._closing.is_set() else 1.0
            writing = [sock] if client.want_write() else []
            readable, writable, _ = select.select([sock, self._bell], writing, [], pause_s)
            if self._bell in readable:
                self._bell.recv(4096)
            if decrypted or sock in readable:
                client.loop_read()
            if writable:
                client.loop_write()
            client.loop_misc()

    def _hand_over(self, client: Client) -> None:
        while len(self._sent) < WINDOW and client.socket() is not None:
            with self._lock:
                if not self._waiting:
                    return
                message = self._waiting.popleft()
            info = client.publish(self._state, message, qos=1)
            self._sent[info.mid] = message

    def _said_goodbye(self, client: Client) -> bool:
        """Whether all is said, or it is too late for that."""
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0 or not self.connected:
            return True
        if self._farewell is None:
            if not self.queued or left_s < FAREWELL_S / 2:
                self._farewell = client.publish(self._availability, "offline", 1, retain=True)
            return False
        if self._farewell.rc or not self._farewell.is_published():
            return False
        client.disconnect()
        return True

    def _on_connect(self, client: Client, _: Any, flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self._cause = f"refused: {reason}"
            if str(reason) in ("Not authorized", "Bad user name or password"):
                self._cause += "; look at mqtt.username and its password"
            return
        self.connected = True
        self.reconnects += self._connections > 0
        self._connections += 1
        if self._prefix:
            client.subscribe(f"{self._prefix}/status")
        self._announce(client)
        client.publish(self._availability, "online", qos=1, retain=True)
        if self._away:
            self._away = False
            _tell("connected again")

    def _on_disconnect(self, client: Client, _: Any, flags: Any, reason: Any, more: Any) -> None:
        if str(reason) == "Keep alive timeout":
            self._cause = "does not answer"
        elif self.connected:
            self._cause = "connection lost"

    def _on_publish(self, client: Client, _: Any, mid: int, reason: Any, more: Any) -> None:
        self._sent.pop(mid, None)  # None: an announcement, which each connection repeats

    def _on_message(self, client: Client, _: Any, message: MQTTMessage) -> None:
        """Home Assistant has started: it wants to know the device, and how things are."""
        if message.payload == b"online" and not message.retain:
            self._announce(client)
            self._changes = Changes(self._heartbeat_s)  # the next reading is news

    def _announce(self, client: Client) -> None:
        for topic, payload in self._entities.items():
            client.publish(topic, payload, qos=1, retain=True)

    def _tell_loss(self, cause: str) -> None:
        if not self._closing.is_set() and cause not in self._told:
            self._told.add(cause)
            self._away = True
            _tell(f"{self._broker.address}: {cause}; trying again")


def _tell(message: str) -> None:
    with suppress(OSError, ValueError):  # nobody listens
        print(f"edge: mqtt: {message}", file=sys.stderr, flush=True)
