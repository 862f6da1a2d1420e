"""One peer in its own environment: `python -m benchmarks.peers.worker PEER FOLDER [FILE]`.

Reads frames from FOLDER/SCENE.rgb, and answers each line of stdin, `SCENE WARM COUNT`, with one of
stdout: what COUNT frames took after some that warm up. The first line of stdout comes unasked,
after the first reading. Imports nothing but numpy and what the peer itself needs.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 480, 640
FIRST = "tracked"
"""The scene of the first reading."""
Image = NDArray[np.uint8]
Step = Callable[[Image], str | None]
"""A frame (480, 640, 3) → a label, or what else was found; None where there is no face."""


def open_peer(name: str, file: str) -> Step:
    """Ready for its first frame. `file`: what the peer needs, if anything."""
    kind, _, model = name.partition("-")
    if kind == "ours":
        return _ours_mesh() if model == "mesh" else _ours(model)
    if kind == "fer":
        return _fer(keras=model == "keras")
    return {"facemesh": _facemesh, "precursor": _precursor, "landmarker": _landmarker}[name](file)


def order(name: str) -> str:
    """Of the colours that it is given, as its own documentation asks for them: rgb or bgr."""
    return "bgr" if name.startswith("fer") else "rgb"


def _ours(model: str) -> Step:
    from edge import Recognizer

    recognise = Recognizer(model=model)

    def step(image: Image) -> str | None:
        reading = recognise(image)
        return reading.label if reading.face else None

    return step


def _ours_mesh() -> Step:
    from edge.bundle import Bundle
    from edge.mesh import open_mesher
    from edge.settings import MeshSettings

    mesher = open_mesher(Bundle.open(), MeshSettings())
    return lambda image: "mesh" if mesher(image) else None


def _facemesh(_: str) -> Step:
    process = _process()
    return lambda image: "mesh" if process(image) else None


def _process() -> Callable[[Image], Any]:
    """MediaPipe's own landmarks, or None: it tracks one face."""
    import mediapipe

    mesh = mediapipe.solutions.face_mesh.FaceMesh(max_num_faces=1)

    def process(image: Image) -> Any:
        image.flags.writeable = False  # MediaPipe's advice: it need not copy
        found = mesh.process(image).multi_face_landmarks
        return found[0].landmark if found else None

    return process


def _precursor(file: str) -> Step:
    from benchmarks.peers.pipeline import distances, load

    process, pipeline = _process(), load(Path(file))
    labels = ("angry", "disgusted", "fear", "happy", "neutral", "sad", "surprised")

    def step(image: Image) -> str | None:
        points = process(image)
        if points is None:
            return None
        mesh = np.array([(point.x * WIDTH, point.y * HEIGHT) for point in points])
        return labels[int(pipeline.predict_proba(distances(mesh[None])).argmax())]

    return step


def _landmarker(file: str) -> Step:
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=file),
        running_mode=vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
    )
    landmarker = vision.FaceLandmarker.create_from_options(options)
    times = itertools.count(0, 33)  # ms, at 30 frames a second

    def step(image: Image) -> str | None:
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
        found = landmarker.detect_for_video(picture, next(times)).face_blendshapes
        return "blendshapes" if found else None

    return step


def _fer(*, keras: bool) -> Step:
    from fer.fer import FER

    recognise = FER(use_tflite=not keras)

    def step(image: Image) -> str | None:
        faces = recognise.detect_emotions(image)
        if not faces:
            return None
        told = faces[0]["emotions"]
        return str(max(told, key=told.get))

    return step


def frames(path: Path, colours: str) -> Iterator[Image]:
    """The scene over and over: (480, 640, 3) each, one at a time in memory."""
    while True:
        with path.open("rb") as file:
            while len(data := file.read(HEIGHT * WIDTH * 3)) == HEIGHT * WIDTH * 3:
                image = np.frombuffer(bytearray(data), np.uint8).reshape(HEIGHT, WIDTH, 3)
                yield np.ascontiguousarray(image[..., ::-1]) if colours == "bgr" else image


def play(step: Step, scene: Iterator[Image], warm: int, count: int) -> dict[str, Any]:
    """Of `count` frames after `warm` ones: the face is found, the caches are this process' own.

    "ms" and "cpu_ms": what each took, by the clock and of all the process' threads; "faces": how
    many had one; "labels": what was told.
    """
    took, busy, told = [], [], []
    for index, image in zip(range(warm + count), scene, strict=False):
        worked, start = process_time_ns(), perf_counter_ns()
        label = step(image)
        end, working = perf_counter_ns(), process_time_ns()
        if index >= warm:
            took.append((end - start) / 1e6)
            busy.append((working - worked) / 1e6)
            told.append(label)
    faces = [label for label in told if label is not None]
    return {"ms": took, "cpu_ms": busy, "faces": len(faces), "labels": sorted(set(faces))}


def main(name: str, folder: Path, file: str) -> None:
    """Until stdin ends."""
    # What libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    scenes = {path.stem: frames(path, order(name)) for path in folder.glob("*.rgb")}
    step = open_peer(name, file)
    answers.write(json.dumps({"first": step(next(scenes[FIRST]))}) + "\n")
    for line in sys.stdin:
        scene, *counts = line.split()
        answers.write(json.dumps(play(step, scenes[scene], *map(int, counts))) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
