"""Readings over MQTT, through a real broker: what is said, first and last."""

from __future__ import annotations

import gc
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.publish import mqtt
from edge.publish.broker import host_name
from edge.publish.mqtt import Mqtt
from edge.types import CLASSES, UNKNOWN, Gap
from tests.tools.mosquitto import Listener, Mosquitto, until
from tests.tools.mqtt import AVAILABILITY, ENTITIES, FACE, NOBODY, P, Publish, frame, news, retained

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
        gc.collect()  # what tests before this one left is none of ours
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    before = cycle()
    for _ in range(5):
        after = cycle()
    # Fewer are those of a test before, given back late.
    assert after[0] <= before[0] and after[1] <= before[1]
