"""Facial expressions from face meshes, on devices of the size of a Raspberry Pi.

The library interface::

    from edge import Recognizer

    recognise = Recognizer(model="svm")
    reading = recognise(image)          # (H, W, 3) uint8, RGB
    print(reading.label, reading.confidence)

Importing this takes nothing, the first use of a name numpy; a TFLite runtime is loaded by the first
Recognizer; OpenCV, picamera2 and mediapipe only by what needs them.
"""

from importlib import import_module

TYPE_CHECKING = False  # for type checkers, who know the name; `typing` would take its time
if TYPE_CHECKING:
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


def __getattr__(name: str) -> object:
    """Names are imported when first asked for, so that `python -m edge` is at once in charge."""
    if name in __all__:
        for module in map(import_module, ("edge.errors", "edge.types", "edge.pipeline")):
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
