"""Facial expressions from face meshes, on devices of the size of a Raspberry Pi.

The library interface::

    from edge import Recognizer

    recognise = Recognizer(model="svm")
    reading = recognise(image)          # (H, W, 3) uint8, RGB
    print(reading.label, reading.confidence)

Importing this takes numpy; a TFLite runtime is loaded by the first Recognizer; OpenCV,
picamera2 and mediapipe only by what needs them.
"""

from edge.errors import EdgeError, SetupError, SourceError
from edge.pipeline import Recognizer
from edge.types import CLASSES, Frame, Mesh, Reading

__all__ = [
    "CLASSES",
    "EdgeError",
    "Frame",
    "Mesh",
    "Reading",
    "Recognizer",
    "SetupError",
    "SourceError",
]
