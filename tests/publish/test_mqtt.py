"""Readings over MQTT, through a real broker that comes, goes, freezes and refuses."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from edge.errors import SettingsError
from edge.publish import mqtt
from edge.publish.broker import host_name
from edge.publish.mqtt import WINDOW, Mqtt
from edge.settings import MqttSettings
from edge.types import CLASSES, UNKNOWN, Frame, Gap, Mesh, Reading
from tests.tools.mosquitto import MOSQUITTO, PATH, Line, Listener, Mosquitto, until

P = np.array([0.1, 0.05, 0.05, 0.6, 0.1, 0.05, 0.05], np.float32)
FACE = Reading("happy", float(P[3]), P, Mesh(np.zeros((468, 3), np.float32), 0.9), held_s=2.5)
NOBODY = Reading(UNKNOWN, None, None, None, {}, "no face")
AVAILABILITY = "fer-edge/pi/availability"
ENTITIES = (
    "sensor/fer-edge-pi/expression",
    "sensor/fer-edge-pi/confidence",
    "binary_sensor/fer-edge-pi/camera",
)
Publish = Callable[..., Mqtt]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Not started yet."""
    if MOSQUITTO is None:
        pytest.skip("no mosquitto: apt-get install mosquitto")
    made = Mosquitto(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@pytest.fixture
def publisher(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publish]:
    """Makes a publisher to `broker`."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    made = []

    def build(heartbeat_seconds: float = 3600.0, **settings: object) -> Mqtt:
        given = {"host": "127.0.0.1", "port": broker.port, "node": "pi", **settings}
        made.append(Mqtt(MqttSettings(**given), heartbeat_seconds))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for publish in made:
        publish.close()


def frame(clock_s: float = 0.0) -> Frame:
    return Frame(np.zeros((2, 2, 3), np.uint8), time.time(), "v4l2:0", clock_s=clock_s)


def news(publish: Mqtt, count: int = 1) -> None:
    """Readings of which each is another than the one before."""
    for _ in range(count):
        publish(frame(), replace(FACE, label=CLASSES[publish._sequence % 7]))


def retained(broker: Mosquitto, topic: str) -> list[bytes]:
    """What a broker keeps under a topic, as a new subscriber meets it."""
    late = Listener()
    late.connect(broker.port)
    time.sleep(0.1)
    late.close()
    return [payload for name, payload, kept in late.messages if name == topic and kept]


# What is said.


def test_a_reading(broker: Mosquitto, listener: Listener, publisher: Publish) -> None:
    broker.start()
    listener.connect(broker.port)
    publish = publisher()
    publish(frame(), FACE)
    until(lambda: listener.states())
    (state,) = listener.states()
    assert abs(datetime.now(UTC) - datetime.fromisoformat(state.pop("time"))).total_seconds() < 5
    assert state.pop("probabilities") == pytest.approx(dict(zip(CLASSES, P.tolist(), strict=True)))
    assert state == {
        "label": "happy",
        "reason": None,
        "confidence": pytest.approx(0.6),
        "age_s": 0.0,
        "held_s": 2.5,
        "camera": "ok",
        "face": True,
        "sequence": 1,
    }


def test_a_lost_camera(broker: Mosquitto, listener: Listener, publisher: Publish) -> None:
    broker.start()
    listener.connect(broker.port)
    publish = publisher()
    publish(Gap("v4l2:0", "unplugged", 0.0, 0.0), replace(NOBODY, reason="camera lost", age_s=1.5))
    until(lambda: listener.states())
    (state,) = listener.states()
    assert (state["camera"], state["label"]) == ("lost: unplugged", UNKNOWN)
    assert (state["reason"], state["age_s"]) == ("camera lost", 1.5)
    assert state["face"] is False
    assert state["confidence"] is state["probabilities"] is None


def test_one_message_a_change_and_a_heartbeat(
    broker: Mosquitto, listener: Listener, publisher: Publish
) -> None:
    broker.start()
    listener.connect(broker.port)
    publish = publisher(heartbeat_seconds=10.0)
    for clock_s in range(25):
        publish(frame(clock_s), NOBODY)
    publish(frame(25), FACE)
    until(lambda: len(listener.states()) == 4)
    assert [state["label"] for state in listener.states()] == [*[UNKNOWN] * 3, "happy"]
    until(lambda: publish.queued == 0)
    assert not any(kept for topic, _, kept in listener.messages if topic.endswith("/state"))


def test_home_assistant_finds_it(broker: Mosquitto, listener: Listener, publisher: Publish) -> None:
    broker.start()
    listener.connect(broker.port)
    publish = publisher()
    news(publish)
    until(lambda: listener.states())
    found = {name: retained(broker, f"homeassistant/{name}/config") for name in ENTITIES}
    entities = {name: json.loads(payload) for name, (payload,) in found.items()}
    expression, confidence, camera = (entities[name] for name in ENTITIES)
    assert expression["device_class"] == "enum"
    assert expression["options"] == [*CLASSES, UNKNOWN]
    assert expression["json_attributes_topic"] == "fer-edge/pi/state"
    assert confidence["unit_of_measurement"] == "%"
    assert camera["device_class"] == "connectivity"
    assert len({entity["unique_id"] for entity in entities.values()}) == 3
    for name, entity in entities.items():
        assert entity["device"] == expression["device"]
        assert entity["device"]["identifiers"]
        assert listener.of(entity["state_topic"])
        assert listener.of(entity["availability_topic"]) == [b"online"]
        assert re.fullmatch(r"[a-z_]+(/[A-Za-z0-9_-]+){2}", name)
    # An entity is announced before its first state, or that would be missed.
    topics = [topic for topic, _, _ in listener.messages]
    assert max(map(topics.index, [f"homeassistant/{name}/config" for name in ENTITIES])) < (
        topics.index("fer-edge/pi/state")
    )


def test_home_assistant_has_restarted(
    broker: Mosquitto, listener: Listener, publisher: Publish
) -> None:
    """It is told of the device anew, and how things are with the next reading."""
    broker.start()
    listener.connect(broker.port)
    publish = publisher()
    publish(frame(0), FACE)
    until(lambda: listener.states())
    assert listener._client is not None
    listener._client.publish("homeassistant/status", "online")
    topics = [f"homeassistant/{name}/config" for name in ENTITIES]
    until(lambda: [len(listener.of(topic)) for topic in topics] == [2, 2, 2])
    publish(frame(0.1), FACE)
    publish(frame(0.2), FACE)
    until(lambda: len(listener.states()) == 2 and publish.queued == 0)


def test_topics_of_the_users_choice(
    broker: Mosquitto, listener: Listener, publisher: Publish
) -> None:
    broker.start()
    listener.connect(broker.port)
    publish = publisher(topic="house/hall", node="", discovery_prefix="")
    news(publish)
    base = f"house/hall/{host_name()}"
    until(lambda: listener.of(f"{base}/state"))
    assert {topic for topic, _, _ in listener.messages} == {f"{base}/state", f"{base}/availability"}


@pytest.mark.parametrize(
    ("name", "node"), [("pi.local", "pi-local"), ("Küche 1", "K-che-1"), ("…", "device")]
)
def test_any_host_name_makes_a_topic(monkeypatch: pytest.MonkeyPatch, name: str, node: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    assert host_name() == node


# The broker goes and comes.


def test_nothing_is_lost_when_brokers_die_and_lines_break(
    broker: Mosquitto, listener: Listener, publisher: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At random moments, messages under way. Each arrives, in order; repeats are of those only."""
    monkeypatch.setattr(mqtt, "LONGEST_PAUSE_S", 0.1)
    chance = random.Random(4)
    line = Line(broker.port)
    publish = publisher(port=line.port, queue_messages=100000)
    stop = threading.Event()

    def chatter() -> None:
        while not stop.wait(0.001):
            news(publish, chance.randint(1, 3))

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        for turn in range(10):
            if turn % 2 == 0:
                broker.start()
                listener.connect(broker.port)
            line.open()
            until(lambda: publish.connected)
            time.sleep(chance.uniform(0.0, 0.3))
            if turn % 2 == 0:  # the line first, next turn the broker
                line.cut()
            else:
                broker.kill()
                listener.drain()
                line.cut()
            until(lambda: not publish.connected)
    finally:
        stop.set()
        thread.join()
    broker.start()
    listener.connect(broker.port)
    line.open()
    until(lambda: publish.queued == 0)
    total = publish._sequence
    until(lambda: total in listener.sequence())
    heard = listener.sequence()
    assert list(dict.fromkeys(heard)) == list(range(1, total + 1))
    assert total > 500
    assert publish.dropped == 0
    assert publish.reconnects == 10
    furthest = 0
    for number in heard:
        assert number > furthest - WINDOW
        furthest = max(furthest, number)
    assert len(heard) - total <= 10 * WINDOW
    assert listener.of(AVAILABILITY)[-1] == b"online"
    line.cut()


def test_its_return_is_noticed_and_it_is_told_all_anew(
    broker: Mosquitto, listener: Listener, publisher: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    broker.start()
    publish = publisher()
    until(lambda: publish.connected)
    broker.kill()
    until(lambda: not publish.connected, 1.0)
    news(publish, 3)
    time.sleep(1.0)
    assert publish.check()
    broker.start()
    listener.connect(broker.port)
    assert until(lambda: len(listener.states()) == 3) < 2.5
    assert publish.reconnects == 1
    assert listener.of(AVAILABILITY) == [b"online"]
    assert all(retained(broker, f"homeassistant/{name}/config") for name in ENTITIES)
    told = capsys.readouterr().err.splitlines()
    assert [line.partition("; ")[0] for line in told] == [
        f"edge: mqtt: 127.0.0.1:{broker.port}: connection lost within seconds",
        f"edge: mqtt: 127.0.0.1:{broker.port}: Connection refused",
        "edge: mqtt: connected again",
    ]


def test_the_oldest_go_first(broker: Mosquitto, listener: Listener, publisher: Publish) -> None:
    publish = publisher(queue_messages=10)
    news(publish, 25)
    assert (publish.queued, publish.dropped) == (10, 15)
    broker.start()
    listener.connect(broker.port)
    until(lambda: publish.queued == 0)
    until(lambda: len(listener.states()) == 10)
    assert listener.sequence() == list(range(16, 26))


def test_a_frozen_broker_holds_up_nobody(
    broker: Mosquitto, listener: Listener, publisher: Publish
) -> None:
    broker.start()
    listener.connect(broker.port)
    publish = publisher(queue_messages=1000)
    until(lambda: publish.connected)
    broker.freeze()
    slowest = 0.0
    for _ in range(1500):
        begun = time.monotonic()
        news(publish)
        slowest = max(slowest, time.monotonic() - begun)
    assert slowest < 0.2
    assert publish.check()
    lost = publish.dropped
    assert 1500 - 1000 - WINDOW <= lost <= 500
    broker.thaw()
    until(lambda: publish.queued == 0)
    until(lambda: len(listener.states()) == 1500 - lost)
    heard = listener.sequence()
    assert heard == sorted(set(heard))
    assert heard[-1000:] == list(range(501, 1501))


def test_a_broker_frozen_and_then_killed(
    broker: Mosquitto, listener: Listener, publisher: Publish
) -> None:
    """What it had got but not acknowledged counts as not sent, and as the oldest."""
    broker.start()
    publish = publisher(queue_messages=30)
    until(lambda: publish.connected)
    broker.freeze()
    news(publish, WINDOW)
    until(lambda: len(publish._sent) == WINDOW)
    news(publish, 30)
    assert publish.dropped == 0
    broker.kill()
    until(lambda: publish.queued == 30)
    assert publish.dropped == WINDOW
    broker.start()
    listener.connect(broker.port)
    until(lambda: len(listener.states()) >= 30)
    assert listener.sequence() == list(range(WINDOW + 1, WINDOW + 31))


# The end.


def test_it_says_goodbye(broker: Mosquitto, listener: Listener, publisher: Publish) -> None:
    broker.start()
    listener.connect(broker.port)
    publish = publisher()
    until(lambda: publish.connected)
    news(publish, 50)
    begun = time.monotonic()
    publish.close()
    assert time.monotonic() - begun < 0.5
    until(lambda: listener.of(AVAILABILITY) == [b"online", b"offline"])
    assert listener.sequence() == list(range(1, 51))
    assert listener.messages[-1][0] == AVAILABILITY
    assert retained(broker, AVAILABILITY) == [b"offline"]
    assert not publish._thread.is_alive()
    publish.close()
    news(publish)  # nobody hears it, and that is all


@pytest.mark.parametrize("state", ["frozen", "absent", "mute"])
def test_goodbye_to_nobody_is_as_quick(
    broker: Mosquitto, listener: Listener, publisher: Publish, state: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        publish = publisher(port=(mute.getsockname()[1] if state == "mute" else broker.port))
        if state == "frozen":
            broker.start()
            listener.connect(broker.port)
            until(lambda: publish.connected)
            broker.freeze()
        news(publish, 100)
        begun = time.monotonic()
        publish.close()
        assert time.monotonic() - begun < 0.5
    if state == "frozen":
        broker.thaw()
        until(lambda: listener.of(AVAILABILITY)[-1:] == [b"offline"])


def test_a_killed_process_is_offline(broker: Mosquitto, listener: Listener) -> None:
    broker.start()
    listener.connect(broker.port)
    code = (
        "import time\nfrom edge.publish.mqtt import Mqtt\nfrom edge.settings import MqttSettings\n"
        f"Mqtt(MqttSettings(host='127.0.0.1', port={broker.port}, node='pi'), 60)\n"
        "time.sleep(60)"
    )
    for _ in range(2):  # and online when it is started again
        listener.messages.clear()
        with subprocess.Popen([sys.executable, "-c", code]) as process:
            try:
                until(lambda: listener.of(AVAILABILITY)[-1:] == [b"online"])
            finally:
                process.send_signal(signal.SIGKILL)
        until(lambda: listener.of(AVAILABILITY) == [b"online", b"offline"])
    assert retained(broker, AVAILABILITY) == [b"offline"]


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


# A network that is worse than that.


def test_a_name_that_is_not_found_and_then_is(
    broker: Mosquitto,
    publisher: Publish,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broker.start()
    find = socket.getaddrinfo

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    publish = publisher(host="localhost")
    news(publish)
    time.sleep(0.5)
    monkeypatch.setattr(socket, "getaddrinfo", find)
    until(lambda: publish.queued == 0)
    assert capsys.readouterr().err.splitlines() == [
        f"edge: mqtt: localhost:{broker.port}: Name or service not known; trying again",
        "edge: mqtt: connected again",
    ]


@pytest.mark.parametrize("host", ["a..b", "x" * 300, "-", "no.such.name.invalid"])
def test_names_that_nobody_has(publisher: Publish, host: str) -> None:
    publish = publisher(host=host)
    time.sleep(0.3)
    assert publish.check()


WORDS = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x20\x02\x00\x05",
    b"\x20\x02\x00\xff",
    b"\x20\x00",
    b"\x90\x00",
    b"\x20\x02\x00\x00\x30\x02\xff\xff",
    b"\x20\x02\x00\x00\x30\x05\x00\x02\xff\xfeX",
    b"\xff" * 10,
    *(random.Random(seed).randbytes(40) for seed in range(30)),
    *(b"\x20\x02\x00\x00" + random.Random(seed).randbytes(40) for seed in range(30)),
]


def test_what_speaks_no_mqtt_does_no_harm(
    publisher: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(mqtt, "LONGEST_PAUSE_S", 0.001)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        publish = publisher(port=server.getsockname()[1], queue_messages=50)
        for words in WORDS:
            client, _ = server.accept()
            with client:
                client.sendall(words)
                news(publish)
                client.settimeout(0.005)
                with pytest.raises((TimeoutError, ConnectionError)):
                    while client.recv(4096):
                        pass
                    raise ConnectionError
            assert publish.check()
        assert publish.queued + publish.dropped >= publish._sequence - len(WORDS)


# Its own thread.


def test_a_dead_thread_raises(publisher: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(Mqtt, "_connection", die)
    publish = publisher()
    publish._thread.join(5)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        publish.check()


def test_a_thread_that_hangs_is_noticed(
    broker: Mosquitto, publisher: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang, goes_on = threading.Event(), threading.Event()
    hand_over = Mqtt._hand_over

    def hangs(self: Mqtt, client: object) -> None:
        if hang.is_set():
            goes_on.wait(10)
        hand_over(self, client)  # type: ignore[arg-type]

    monkeypatch.setattr(mqtt, "STALL_S", 1.5)
    monkeypatch.setattr(Mqtt, "_hand_over", hangs)
    broker.start()
    publish = publisher()
    until(lambda: publish.connected)
    hang.set()
    assert until(lambda: not publish.check()) > 0.4
    goes_on.set()
    until(publish.check)


def test_threads_and_files_are_given_back(broker: Mosquitto, publisher: Publish) -> None:
    broker.start()

    def cycle() -> tuple[int, int]:
        publish = publisher()
        until(lambda: publish.connected)
        publish.close()
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    before = cycle()
    for _ in range(5):
        after = cycle()
    assert after == before
