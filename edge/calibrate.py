"""Watches a resting face for five seconds, and keeps its mean mesh as the baseline.

Numbers are kept, never a picture. For the command line, and for the button on the page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge import baseline
from edge.aim import aim
from edge.cameras.live import Live
from edge.errors import EdgeError, OutputError
from edge.features import aligned
from edge.pipeline import Recognizer, follow
from edge.settings import ClassifySettings, Settings
from edge.smooth import Smoother
from edge.types import Frame, Gap, Reading

WAIT_S = 20.0
"""Seconds for a face to come."""
READY_S = 3.0
"""Seconds to sit down and relax."""
TAKE_S = 5.0
"""Seconds of which the mean is taken."""
FEWEST = 10
"""Frames with a face, at least."""
SEEN = 0.8
"""Share of the frames that need a face."""
MOVEMENT = 0.045
"""RMS distance of the landmarks from their mean, in units of the face's RMS radius, above which it
was not at rest. A still face has 0.02 (the sample clip: the mesh network's noise); a head that
turns by ten degrees moves them by 0.12, a smile by 0.05."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    phase: str
    """"waiting" for a face, "ready", "taking"; then "done" or "failed". Before all: "idle"; "off"
    where there is no file to write to."""
    text: str
    """What to do, or how it went: one line."""
    left_s: int = 0
    """Seconds to the next phase."""

    @property
    def over(self) -> bool:
        """Whether nothing goes on."""
        return self.phase not in ("waiting", "ready", "taking")


class Calibrator:
    """Takes a baseline while the loop goes on, and gives it to the Recognizer."""

    def __init__(self, settings: ClassifySettings, recognise: Recognizer) -> None:
        self._settings, self._recognise = settings, recognise
        off = Progress("off", "to calibrate, name a file as classify.baseline")
        known = "your resting face is known" if recognise.baseline else "not calibrated yet"
        self.progress = Progress("idle", known) if settings.baseline else off
        self._since_s: float | None = None
        self._passed_s = 0.0
        self._meshes: list[NDArray[np.float32]] = []
        self._advice: list[str] = []
        self._frames = 0

    def start(self) -> bool:
        """Begin with the next frame, unless it goes on already or cannot. From any thread."""
        if self.progress.phase == "off" or not self.progress.over:
            return False
        try:  # not after all is done that it cannot be kept
            baseline.try_out(Path(self._settings.baseline))
        except OutputError as error:
            self.progress = Progress("failed", str(error))
            return False
        self._since_s = None
        self.progress = Progress("waiting", "come into view", ceil(WAIT_S))
        return True

    def __call__(self, frame: Frame | Gap, reading: Reading) -> None:
        """Take note of one reading of the loop."""
        if self.progress.over:
            return
        if self._since_s is None:
            self._since_s = frame.clock_s
        self._passed_s = frame.clock_s - self._since_s
        with self._failing():
            if isinstance(frame, Gap):
                raise EdgeError(f"camera lost: {frame.reason}")
            self._step(frame, reading, self._passed_s)

    def end(self) -> None:
        """No frame will come: keep the mean if it has been SEEN for long enough, or say what lacks.

        For clips, which may be a little short, as a face may be away for a little.
        """
        if self.progress.over:
            return
        with self._failing():
            phase, passed_s = self.progress.phase, self._passed_s
            if phase == "waiting":
                raise EdgeError(
                    "the clip ended, and no face was seen: take one that looks at the camera"
                )
            if phase == "ready" or passed_s < SEEN * TAKE_S:
                seen_s = passed_s + (READY_S if phase == "taking" else 0.0)
                raise EdgeError(
                    f"the clip ended {seen_s:.1f} s after the first face, and "
                    f"{READY_S + SEEN * TAKE_S:.0f} s are needed: take a longer one"
                )
            self._finish()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except EdgeError as error:
            self.progress = Progress("failed", str(error))

    def _step(self, frame: Frame, reading: Reading, passed_s: float) -> None:
        phase = self.progress.phase
        if phase == "waiting":
            if reading.mesh is not None:
                self._enter("ready", "relax your face, and look at the camera", READY_S, frame)
            elif passed_s >= WAIT_S:
                raise EdgeError(f"no face in {WAIT_S:.0f} s: come into view, and try again")
            else:
                self._wait(WAIT_S - passed_s)
        elif phase == "ready":
            if passed_s < READY_S:
                self._wait(READY_S - passed_s)
                return
            self._meshes, self._advice, self._frames = [], [], 0
            self._enter("taking", "keep still", TAKE_S, frame)
        else:
            self._take(frame, reading)
            if passed_s < TAKE_S:
                self._wait(TAKE_S - passed_s)
            else:
                self._finish()

    def _enter(self, phase: str, text: str, seconds: float, frame: Frame) -> None:
        self._since_s, self._passed_s = frame.clock_s, 0.0
        self.progress = Progress(phase, text, ceil(seconds))

    def _wait(self, left_s: float) -> None:
        self.progress = Progress(self.progress.phase, self.progress.text, ceil(left_s))

    def _take(self, frame: Frame, reading: Reading) -> None:
        self._frames += 1
        if reading.mesh is not None:
            self._meshes.append(aligned(reading.mesh.landmarks))
            self._advice += aim(frame, reading).advice[:1]

    def _finish(self) -> None:
        mesh, movement = resting(self._meshes, self._frames, self._advice)
        path = Path(self._settings.baseline)
        baseline.save(path, mesh, len(self._meshes), self._recognise.bundle)
        self._recognise.know(self._settings)
        told = f"kept the mean of {len(self._meshes)} frames in {path}; movement {movement:.3f}"
        self.progress = Progress("done", told)


def resting(
    meshes: list[NDArray[np.float32]], frames: int, advice: list[str]
) -> tuple[NDArray[np.float32], float]:
    """Mean of aligned meshes (468, 3) of a face at rest, and how much it moved (see MOVEMENT).

    `frames`: how many were looked at. `advice`: what was to be improved in them. Raises EdgeError
    with what to do better where they are too few or too different.
    """
    if len(meshes) < max(FEWEST, SEEN * frames):
        raise EdgeError(
            f"no steady face: seen in {len(meshes)} of {frames} frames; sit closer, and try again"
        )
    if len(advice) > frames / 2:
        kind = Counter(one.partition(":")[0] for one in advice).most_common(1)[0][0]
        raise EdgeError(next(one for one in reversed(advice) if one.startswith(kind)))
    stack = np.stack(meshes)
    mean: NDArray[np.float32] = stack.mean(axis=0)
    movement = float(np.sqrt(np.square(stack - mean).sum(axis=2).mean()))
    if movement > MOVEMENT:
        raise EdgeError(
            f"too much movement: {movement:.3f}, allowed is {MOVEMENT}; keep still, and try again"
        )
    return mean, movement


def watch(settings: Settings, tell: Callable[[object], None]) -> int:
    """Calibrate with the camera of the settings, and tell how it goes; the exit status.

    Raises EdgeError where it cannot begin. The settings say where the baseline goes.
    """
    recognise = Recognizer.of(settings)
    baseline.mean_neutral(recognise.bundle)  # now it is told where that lacks
    calibrate = Calibrator(settings.classify, recognise)
    if not calibrate.start():
        raise EdgeError(calibrate.progress.text)
    told = None
    with closing(Live(settings.camera, patient=False)) as camera:
        for frame, reading in follow(camera, recognise, Smoother(settings.smooth)):
            calibrate(frame, reading)
            now = calibrate.progress
            if now.over:
                break
            if now != told:
                tell(f"{now.text} … {now.left_s}")
            told = now
    calibrate.end()
    tell(calibrate.progress.text)
    return int(calibrate.progress.phase == "failed")
