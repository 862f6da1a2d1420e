"""What is counted: guest.py SCENES.npz RUNTIME MODEL KERNELS OUT.json, under the counting qemu.

An unused system call tells the counter where a stage begins and ends. Elsewhere it does nothing,
so the same script gives this machine's readings, to compare with.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge import Frame, Reading, Recognizer, interpreter, native
from edge.smooth import Smoother

MARK = 4242
"""A system call that no kernel has."""
END = -100
"""The mark after a scene; -1 - i begins scene i."""
FRAMES = {"tracked": (2, 3), "found": (2, 3), "empty": (2, 3), "still": (8, 8), "vacant": (8, 8)}
"""Frames of each scene that are read first, and those that count: a face that is followed; one that
is looked for; a picture without one; a face, and none, where nothing but noise changes."""
SCENES = tuple(FRAMES)
STAGES = ("whole", "still", "crop", "mesh network", "detector network", "geometry", "features")
STAGES += ("classifier", "smoothing")
"""Tag 2 i of a mark begins stage i of TAGS, 2 i + 1 ends it. Geometry is all of the mesher."""
NOTHING, NESTED = "nothing", "nested"
"""A marked function that does nothing, and one that calls it: what marks themselves cost."""
TAGS = (*STAGES, NOTHING, NESTED)

_call = ctypes.CDLL(None).syscall
_call.argtypes = [ctypes.c_long, ctypes.c_long]


def marked(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, with a mark before and after it."""
    begin = 2 * TAGS.index(stage)

    def counted(*arguments: Any, **named: Any) -> Any:
        _call(MARK, begin)
        result = function(*arguments, **named)
        _call(MARK, begin + 1)
        return result

    return counted


def mark_stages(recognise: Recognizer) -> None:
    """Mark what happens inside."""
    mesher: Any = recognise._mesher
    for part, network in ((mesher._look, "mesh network"), (mesher._detect, "detector network")):
        part._crop = marked("crop", part._crop)
        runner = part._network._interpreter
        runner.invoke = marked(network, runner.invoke)
    mesher._still = _Marked(mesher._still, "still")
    recognise._mesher = _Marked(mesher, "geometry")
    classifier = recognise._classifier
    recognise._classifier = replace(
        classifier,
        features=marked("features", classifier.features),
        predict=marked("classifier", classifier.predict),
    )


def searched(recognise: Recognizer) -> None:
    """As if all of the picture had been searched: that would take sixty frames of the emulator."""
    still: Any = recognise._mesher._still  # type: ignore[union-attr]
    getattr(still, "_part", still)._looks = 100


class _Marked:
    """A mesher or a part of it, whose calls are marked."""

    def __init__(self, part: Any, stage: str) -> None:
        self._part, self._call = part, marked(stage, part)

    def __call__(self, image: Any, **named: Any) -> Any:
        return self._call(image, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)


def main(scenes: Path, runtime: str, model: str, kernels: str, out: Path) -> None:
    """Read every scene twice: as a whole, then stage by stage. `kernels`: compiled or numpy."""
    interpreter.RUNTIMES = (runtime.replace("-", "_") + ".interpreter",)
    if kernels == "numpy":
        native.load = lambda: None  # type: ignore[assignment]
    elif native.load() is None:
        raise SystemExit("no kernels for this machine: see edge/native/build.sh")
    pictures = dict(np.load(scenes))
    nothing = marked(NOTHING, lambda: None)
    nested = marked(NESTED, nothing)
    told = []
    for stages in (False, True):
        recognise, smoother = Recognizer(model=model), Smoother()
        smooth: Callable[..., Reading] = smoother
        if stages:
            mark_stages(recognise)
            smooth = marked("smoothing", smooth)
        whole = marked("whole", lambda f, r=recognise, s=smooth: s(f, r(f.image)))
        for scene in SCENES:
            recognise.reset()
            smoother.reset()
            warm, counted = FRAMES[scene]
            for index in range(warm + counted):
                if scene == "found":
                    recognise.reset()
                frame = Frame(pictures[scene][index], index / 15, scene, index, 0.0, index / 15)
                if scene == "vacant" and index == 1:
                    searched(recognise)
                if index == warm:
                    _call(MARK, -1 - SCENES.index(scene))
                if stages:
                    nested()
                    smooth(frame, recognise(frame.image))
                else:
                    reading = whole(frame)
                    mesh = reading.mesh and reading.mesh.landmarks.tolist()
                    told.append({"scene": scene, "label": reading.label, "landmarks": mesh})
            _call(MARK, END)
    out.write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], Path(sys.argv[5]))
