"""What flows through the system: Frame (or Gap) → Mesh → Reading."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

CLASSES = ("angry", "disgusted", "fear", "happy", "neutral", "sad", "surprised")
"""The expressions, in the order of every probability vector."""
UNKNOWN = "unknown"
"""The label where none of them can be told."""
REASONS = ("no face", "not a face", "too small", "turned away", "not sure", "camera lost")
"""Why a label is `unknown`: nothing was found; what was called a face crop shows none; a face so
small, or turned so far, is not like those learnt from; the risk would be larger than was allowed;
no frames come. There is a mesh, and there are probabilities, but for the first and the last."""
LANDMARKS = 468
"""Points of a MediaPipe face mesh."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture from a camera, a video or a file."""

    image: NDArray[np.uint8]
    """(H, W, 3) uint8, RGB."""
    time_s: float
    """Seconds: since the epoch for a camera, since its start for a video, 0 for a picture."""
    source: str
    """Where it came from: a path or a camera URI."""
    index: int = 0
    """Number of the frame in its source, from 0."""
    capture_ms: float = 0.0
    """Milliseconds from asking for the frame to having it decoded."""
    clock_s: float = 0.0
    """Seconds on a clock that is never set, for differences: `time.monotonic` for a camera (a Pi's
    wall clock jumps when it first hears of the time), `time_s` for all else."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A moment without a frame: the camera is lost."""

    source: str
    """The camera's URI."""
    reason: str
    """Why, and what to do: one line."""
    time_s: float
    """Seconds since the epoch."""
    clock_s: float
    """Seconds of `time.monotonic`."""


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A face: the MediaPipe mesh V1 of it."""

    landmarks: NDArray[np.float32]
    """(468, 3) float32, pixels of the frame: x right, y down, z towards the camera is negative
    and on the scale of x."""
    presence: float
    """Probability (0 to 1) that there is a face where the mesh network looked."""
    mirrored: NDArray[np.float32] | None = None
    """The face in the mirrored picture, (468, 3) like `landmarks` but in pixels of that one, where
    it was looked at, too. It is not `landmarks` mirrored: the network has habits of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What was read from one frame."""

    label: str
    """The most probable of CLASSES, or `unknown`."""
    confidence: float | None
    """Probability of `label`, 0 to 1, or of the likeliest expression where that is `unknown`; None
    where there are no probabilities."""
    probabilities: NDArray[np.float32] | None
    """(7,) float32 in the order of CLASSES, sum 1, also where there is a mesh and the label is
    `unknown`; None when no face was found."""
    mesh: Mesh | None
    """The face that was read."""
    timings_ms: dict[str, float] = field(default_factory=dict)
    """Milliseconds that each stage took, first come first: "still" (whether anything moved; where
    nothing did, the others are absent), "detect" (when the detector was asked), "crop", "mesh" (its
    network), "features", "classify", "smooth"."""
    reason: str | None = None
    """Why the label is `unknown`: one of REASONS; None when it is not."""
    age_s: float = 0.0
    """Seconds since the last frame that this reading rests on."""
    held_s: float = 0.0
    """Seconds for which the label has been this one."""

    @property
    def face(self) -> bool:
        """Whether there is a face: found in a frame, believed in what was called a face crop."""
        return self.mesh is not None and self.reason != "not a face"

    @property
    def presence(self) -> float | None:
        """The mesh network's presence, 0 to 1; None when no face was found."""
        return None if self.mesh is None else self.mesh.presence
