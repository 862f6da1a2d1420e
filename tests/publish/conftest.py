"""A broker, who listens to it, and the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.publish.mqtt import Mqtt
from edge.publish.page import Page
from edge.settings import MqttSettings, PageSettings
from tests.tools.mosquitto import MOSQUITTO, Listener, Mosquitto
from tests.tools.mqtt import Publish
from tests.tools.page import TOKEN, Serve
from tests.tools.ports import free_port


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


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: list[Page] = []

    def build(
        status: Callable[[], dict[str, Any]] = dict,
        calibrate: Callable[[], bool] | None = None,
        **settings: Any,
    ) -> Page:
        made.append(Page(PageSettings(**{"port": free_port(), **settings}), status, calibrate))
        return made[-1]

    yield build
    for page in made:
        page.close()


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return str(path)
