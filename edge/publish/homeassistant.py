"""How Home Assistant learns of this device: MQTT discovery, one retained message an entity."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edge.types import CLASSES, UNKNOWN

# No confidence is None in Home Assistant, which it shows as unknown.
_CONFIDENCE = (
    "{{ (value_json.confidence * 100) | round(1) if value_json.confidence is number else none }}"
)
_CAMERA = "{{ 'ON' if value_json.camera == 'ok' else 'OFF' }}"
_CAMERA_STATUS = "{{ {'status': value_json.camera} | tojson }}"


def announcement(prefix: str, node: str, base: str) -> dict[str, str]:
    """Topic → JSON of the three entities.

    `prefix`: where Home Assistant looks. `node`: name of the device. `base`: the topic below which
    `state` and `availability` are published.
    """
    identity = f"fer-edge-{node}"
    state = f"{base}/state"
    entities: dict[tuple[str, str], dict[str, Any]] = {
        ("sensor", "expression"): {
            "name": "Expression",
            "value_template": "{{ value_json.label }}",
            "device_class": "enum",
            "options": [*CLASSES, UNKNOWN],
            "json_attributes_topic": state,
            "icon": "mdi:face-recognition",
        },
        ("sensor", "confidence"): {
            "name": "Confidence",
            "value_template": _CONFIDENCE,
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "suggested_display_precision": 0,
            "icon": "mdi:percent",
        },
        ("binary_sensor", "camera"): {
            "name": "Camera",
            "value_template": _CAMERA,
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "json_attributes_topic": state,
            "json_attributes_template": _CAMERA_STATUS,
        },
    }
    try:
        about = {"sw_version": version("fer-edge")}
    except PackageNotFoundError:  # run from a checkout
        about = {}
    shared = {
        "state_topic": state,
        "availability_topic": f"{base}/availability",
        "qos": 1,
        "device": {
            "identifiers": [identity],
            "name": node,
            "manufacturer": "fer-edge",
            "model": "Facial expressions",
            **about,
        },
        "origin": {"name": "fer-edge", **about},
    }
    return {
        f"{prefix}/{component}/{identity}/{name}/config": json.dumps(
            {**entity, "unique_id": f"{identity}-{name}", **shared}
        )
        for (component, name), entity in entities.items()
    }
