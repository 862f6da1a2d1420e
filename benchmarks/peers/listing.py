"""Who is compared, and where each of them runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
CACHE = REPO / "build" / "peers"
"""Environments and what else is made once."""
TASK = "face_landmarker.task"
"""The model of MediaPipe Tasks."""
PIPELINE = "precursor.npz"
"""scikit-learn's pipeline."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One way from a frame to a mesh or a label."""

    name: str
    """On the command line and in results; `benchmarks.peers.worker` opens it by this."""
    title: str
    """In tables."""
    gives: str
    """What it has at the end of a frame."""
    environment: str
    """A name in `benchmarks.peers.environments.NAMES`."""
    needs: str = ""
    """A file that it opens: TASK, PIPELINE or none."""
    share: float = 1.0
    """Of the frames that others are given in a round: less for one that is slow."""


PEERS = (
    Peer("ours-mesh", "ours, mesh only", "468 points", "ours"),
    Peer("ours-svm", "ours, svm", "label", "ours"),
    Peer("ours-gnn", "ours, gnn", "label", "ours"),
    Peer("ours-both", "ours, both", "label", "ours"),
    Peer("facemesh", "MediaPipe FaceMesh", "468 points", "mediapipe"),
    Peer("precursor", "FaceMesh + scikit-learn", "label", "precursor", PIPELINE),
    Peer("landmarker", "MediaPipe FaceLandmarker", "478 points, 52 blendshapes", "mediapipe", TASK),
    Peer("fer", "fer", "label", "fer", share=0.1),
    Peer("fer-keras", "fer, its Keras network", "label", "fer", share=0.1),
)
OURS = "ours-svm"
"""What all others are held against."""


def chosen(names: str) -> list[Peer]:
    """Those that `names`, divided by commas, stand for; `ours` for all of ours. Raises KeyError."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name != "ours" and name not in {peer.name for peer in PEERS}:
            raise KeyError(name)
    return [
        peer
        for peer in PEERS
        if not wanted or peer.name in wanted or (peer.environment in wanted and "ours" in wanted)
    ]
