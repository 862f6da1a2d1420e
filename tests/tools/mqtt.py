"""Readings for a broker, and what it keeps of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edge.publish.mqtt import Mqtt
from edge.types import CLASSES, UNKNOWN, Frame, Mesh, Reading
from tests.tools.mosquitto import Listener, Mosquitto

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
