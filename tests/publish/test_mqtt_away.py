"""A broker that comes, goes, freezes, and is no broker at all."""

from __future__ import annotations

import random
import socket
import threading
import time

import pytest

from edge.publish import mqtt
from edge.publish.mqtt import WINDOW
from tests.tools.mosquitto import Line, Listener, Mosquitto, until
from tests.tools.mqtt import AVAILABILITY, ENTITIES, Publish, news, retained

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
