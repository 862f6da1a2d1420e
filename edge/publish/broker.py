"""The way to the broker: who we are, what proves it, and why it did not work, in one line."""

from __future__ import annotations

import re
import socket
import ssl

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edge.errors import SettingsError
from edge.publish.secret import secret
from edge.settings import MqttSettings

CONNECT_S = 3.0
"""Seconds that an address of the broker has to accept a connection."""
KEEPALIVE_S = 10
"""Seconds of silence after which the broker is asked whether it is there, and has to answer."""


class Broker:
    """Makes clients for one broker. Raises SettingsError when the settings do not allow it."""

    def __init__(self, settings: MqttSettings) -> None:
        self.node = settings.node or host_name()
        self.address = f"{settings.host}:{settings.port}"
        self._settings = settings
        self._password = password(settings)
        self._tls = tls(settings)

    def client(self, availability: str) -> Client:
        """A client, not connected yet. `availability`: topic of its last will, "offline".

        A new one for each connection, so that nothing of a broken one is left in it. All have the
        same name: the broker lets go of the connection before, its will first, when it meets the
        next; under another name that will would come later, and be believed.
        """
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"fer-edge-{self.node}",
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(0)  # whoever publishes counts them
        client.will_set(availability, "offline", qos=1, retain=True)
        if self._settings.username:
            client.username_pw_set(self._settings.username, self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        return client

    def connect(self, client: Client) -> None:
        """Open the connection. Raises OSError or ValueError; waits for the network."""
        client.connect(self._settings.host, self._settings.port, KEEPALIVE_S)


def host_name() -> str:
    """This machine's name, of letters that a topic may have."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname()).strip("-") or "device"


def password(settings: MqttSettings) -> str | None:
    """What the password file or systemd's credential says; None for no password."""
    word, name = secret("mqtt.password_file", settings.password_file, "mqtt-password")
    if len(word.encode()) > 65535:
        raise SettingsError(f"{name}: longer than a password can be (65535 bytes)")
    if word and not settings.username:
        raise SettingsError(f"mqtt.username is empty, but {name} has a password: name the user")
    return word or None


def tls(settings: MqttSettings) -> ssl.SSLContext | None:
    """What checks the broker's certificate; None for no TLS."""
    if not settings.tls:
        if settings.ca_file:
            raise SettingsError("mqtt.ca_file is set, but mqtt.tls is false: set it to true")
        return None
    # Not ssl.create_default_context: from Python 3.13 on that refuses CAs without a key usage
    # extension, which home-made ones seldom have.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not settings.ca_file:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(settings.ca_file)
    except ssl.SSLError:
        raise SettingsError(f"mqtt.ca_file: {settings.ca_file} has no PEM certificate") from None
    except OSError as error:
        raise SettingsError(
            f"mqtt.ca_file: {settings.ca_file} cannot be read: {error.strerror}"
        ) from None
    return context


def why(error: Exception) -> str:
    """What went wrong on the way to the broker: one line, the same for the same cause."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"its certificate is not accepted: {error.verify_message}"
    elif isinstance(error, ssl.SSLError):
        text = f"TLS failed: {error.reason or error}"
    elif isinstance(error, TimeoutError):
        text = "does not answer" + " in TLS" * ("handshake" in str(error))
    elif isinstance(error, OSError):
        text = error.strerror or str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())
