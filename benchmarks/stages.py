"""How long each stage of a frame takes, in rounds over all models and numbers of threads."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, perf_counter

import numpy as np

from benchmarks.figures import Figures
from edge.cameras.y4m import Y4m
from edge.errors import EdgeError
from edge.mesh.still import LONGEST
from edge.pipeline import Recognizer, follow
from edge.publish.jsonlines import JsonLines
from edge.settings import MeshSettings
from edge.smooth import Smoother
from edge.types import Frame

STAGES = ("capture", "still", "detect", "crop", "mesh", "features", "classify", "smooth", "publish")
"""In the order of a frame; `capture` is that of a clip, `publish` a JSON line."""
WHOLE = "end to end"
"""From asking for a frame to having its reading published, whatever lies between the stages."""
PERCENTILES = (5, 50, 95, 99)
"""The first is what a stage takes undisturbed."""
_KINDS = frozenset({"detect", "crop", "mesh", "features", "classify"})
_LEAST_ROUNDS, _MOST_ROUNDS = 5, 20


@dataclass(frozen=True)
class Scene:
    """Frames of one kind."""

    name: str
    clip: Path
    frames: int
    """As many of the clip are measured in a round."""
    forgets: bool
    """Whether each frame is the first one with this face."""
    kinds: tuple[frozenset[str], ...]
    """The stages by which frames of this kind are known."""
    settles: int = 2
    """Frames before those that are measured: in two of them the face is found and followed."""

    def read(self, recognise: Recognizer) -> Iterator[Frame]:
        """Its frames, and before them those in which it settles."""
        with closing(Y4m(self.clip)) as camera:
            for frame in camera:
                if frame.index >= self.frames + self.settles:
                    return
                if self.forgets:
                    recognise.reset()
                yield frame


def scenes(face: Path, empty: Path, still: Path, frames: int) -> tuple[Scene, ...]:
    """Of the three clips; `frames` tracked ones a round, and half as many of the others.

    Of what keeps still whole cycles are measured, in which one frame is read, once it is not read
    more often.
    """
    looked = frozenset({"crop", "mesh", "features", "classify"})
    cycle = LONGEST + 1
    cycles = max(frames // 2 // cycle, 1)
    return (
        Scene("tracked", face, frames, False, (looked,)),
        Scene("detected", face, frames // 2, True, (looked | {"detect"},)),
        Scene("empty", empty, frames // 2, False, (frozenset({"detect"}),)),
        Scene("still", still, cycles * cycle, False, (frozenset(), looked), 2 * cycle),
    )


def run(recognise: Recognizer, scene: Scene, sink: JsonLines) -> tuple[dict[str, list[float]], int]:
    """One pass: milliseconds of each stage, frame by frame; and how many were of another kind."""
    took: dict[str, list[float]] = {}
    others = 0
    last = perf_counter()
    for frame, reading in follow(scene.read(recognise), recognise, Smoother()):
        ready = perf_counter()
        sink(frame, reading)
        end = perf_counter()
        assert isinstance(frame, Frame)
        stages = {"capture": frame.capture_ms, **reading.timings_ms}
        stages["publish"] = (end - ready) * 1e3
        stages[WHOLE] = (end - last) * 1e3
        if frame.index >= scene.settles:  # the first ones are not of the kind
            if stages.keys() & _KINDS not in scene.kinds:
                others += 1
            else:
                # A frame after one that moved much is not compared with it.
                may = frozenset() if scene.forgets else frozenset({"still"})
                skipped = dict.fromkeys(may.union(*scene.kinds), 0.0)
                for stage, value in (skipped | stages).items():
                    took.setdefault(stage, []).append(value)
        last = perf_counter()
    return took, others


def measure(
    figures: Figures,
    models: Iterable[str],
    threads: Iterable[int],
    played: tuple[Scene, ...],
    seconds: float,
    progress: Callable[[float], None],
    each_round: Callable[[], None],
) -> None:
    """Rounds over all of it, in an order by chance, for about so many seconds; one round for 0.

    `progress`: told the share that is done, 0 to 1. `each_round`: called after each.
    """
    cores = len(os.sched_getaffinity(0))
    possible = [count for count in threads if count <= cores]
    for count in threads:
        if count > cores:
            figures.notes.append(f"{count} threads left out: {cores} core{'s' * (cores > 1)}")
    recognisers = {}
    for model in models:
        for count in possible:
            try:
                recognisers[model, count] = Recognizer(
                    model=model, mesh=MeshSettings(threads=count)
                )
            except EdgeError as error:
                figures.fail(str(error))
    chance, began, done = random.Random(0), monotonic(), 0
    passes = [(key, scene) for key in recognisers for scene in played]
    with Path(os.devnull).open("w") as nowhere:
        sink = JsonLines(nowhere)
        for recognise in recognisers.values():
            for scene in played:
                run(recognise, replace(scene, frames=3, settles=2), sink)  # warms up
        least = _LEAST_ROUNDS if seconds else 1
        while passes and done < _MOST_ROUNDS:
            left = seconds - (monotonic() - began)
            if left < 0 and done >= least:
                break
            figures.yardstick("time")
            chance.shuffle(passes)
            for (model, count), scene in passes:
                took, others = run(recognisers[model, count], scene, sink)
                if others > scene.frames / 10:
                    figures.fail(f"{model}: {others} of {scene.frames} frames are not {scene.name}")
                for stage, values in took.items():
                    for q, value in zip(
                        PERCENTILES, np.percentile(values, PERCENTILES), strict=True
                    ):
                        name = f"time/{model}/{count}/{scene.name}/{stage}/p{q}"
                        figures.add(name, value)
            done += 1
            progress(min(max(done / _MOST_ROUNDS, 1 - max(left, 0) / max(seconds, 1e-9)), 1.0))
            each_round()


def steady(
    model: str, scene: Scene, minutes: float, progress: Callable[[float], None]
) -> Iterator[list[float]]:
    """Tracked frames one after the other: milliseconds of those of each twelfth of the time."""
    recognise, window_s = Recognizer(model=model), minutes * 60 / 12
    with Path(os.devnull).open("w") as nowhere:
        sink = JsonLines(nowhere)
        for window in range(12):
            until, took = monotonic() + window_s, []
            while monotonic() < until or not took:
                took += run(recognise, scene, sink)[0].get(WHOLE, [0.0])
                progress(min((window + 1 - (until - monotonic()) / window_s) / 12, 1.0))
            yield took
