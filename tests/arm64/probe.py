"""What a Python is, what is installed for it, and the mesh it sees: probe.py PICTURE."""

import json
import platform
import sys
from importlib.metadata import distributions
from pathlib import Path

from edge import Recognizer
from edge.cameras.opencv import read_picture

mesh = Recognizer()(read_picture(Path(sys.argv[1])).image).mesh
about = {
    "machine": platform.machine(),
    "version": f"{sys.version_info.major}.{sys.version_info.minor}",
    "wheels": [
        (wheel.name, wheel.version) for wheel in distributions() if wheel.name != "fer-edge"
    ],
    "landmarks": mesh and mesh.landmarks.tolist(),
}
print(json.dumps(about))
