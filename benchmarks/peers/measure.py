"""Rounds over all peers: frames, then cold starts and memory. One process works at a time."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from tempfile import TemporaryFile
from typing import Any, Self

import numpy as np

from benchmarks import clips, program
from benchmarks.figures import Figures
from benchmarks.peers.environments import variables
from benchmarks.peers.listing import OURS, REPO, Peer
from edge.cameras.y4m import Y4m
from edge.errors import EdgeError

SCENES = ("tracked", "empty")
"""A face that is followed; no face."""
DAEMON = "ours-daemon"
"""The daemon's name in figures."""
_PATIENCE_S = 180.0
_WARM = 5
"""Frames before those that count, in a round."""
_PLAYED = 30
"""Frames after a cold start, before memory is taken."""


class PeerError(EdgeError):
    """A peer did not start, died, or does not answer."""


class Worker:
    """A peer's process, on one core."""

    def __init__(self, peer: Peer, line: Sequence[str], core: int) -> None:
        """`line`: its command. It is started, not waited for."""
        self._peer, self._log = peer, TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), *line],
            cwd=REPO,
            env=variables(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            assert stream is not None
            stream.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def answer(self) -> dict[str, Any]:
        """Its next line. Raises PeerError."""
        assert self._process.stdout is not None
        with DefaultSelector() as waiting:
            waiting.register(self._process.stdout, EVENT_READ)
            if not waiting.select(_PATIENCE_S):
                raise PeerError(f"{self._peer.title}: no answer for {_PATIENCE_S:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._log.seek(0)
            said = self._log.read().strip().splitlines()[-1:]
            raise PeerError(f"{self._peer.title} ended ({status}) {' '.join(said)}".strip())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def play(self, scene: str, count: int) -> dict[str, Any]:
        """`count` frames, or fewer of a slow peer: see `benchmarks.peers.worker.play`.

        Raises PeerError.
        """
        assert self._process.stdin is not None
        warm, count = (max(1, round(n * self._peer.share)) for n in (_WARM, count))
        try:
            self._process.stdin.write(f"{scene} {warm} {count}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # `answer` tells why
        return self.answer()


def write_frames(folder: Path) -> Path:
    """The clips of the other benchmarks, as `tracked.rgb` and `empty.rgb`; the first clip's path.

    Frames (480, 640, 3) RGB, one after the other.
    """
    made = clips.write(folder)
    for scene, clip in zip(SCENES, made, strict=False):  # the first two of them
        with (folder / f"{scene}.rgb").open("wb") as file:
            for frame in Y4m(clip):
                file.write(frame.image.data)
    return made[0]


def line(peer: Peer, python: Path, folder: Path, files: Mapping[str, Path]) -> list[str]:
    """The worker's command. `files`: what `Peer.needs` names → where it is."""
    command = [str(python), "-m", "benchmarks.peers.worker", peer.name, str(folder)]
    return command + ([str(files[peer.needs])] if peer.needs else [])


def frames(
    figures: Figures,
    lines: Mapping[Peer, list[str]],
    core: int,
    rounds: int,
    count: int,
    progress: Callable[[float], None],
) -> None:
    """Each round plays `count` frames of each scene to each peer, in an order by chance."""
    chance = random.Random(0)
    with ExitStack() as stack:
        workers: dict[Peer, Worker] = {}
        for peer, command in lines.items():
            worker = stack.enter_context(Worker(peer, command, core))
            try:
                worker.answer()
                workers[peer] = worker
            except PeerError as error:
                figures.fail(str(error))
        for done in range(rounds):
            figures.yardstick("time")
            for scene in SCENES:
                _round(figures, workers, scene, count, chance)
            progress((done + 1) / rounds)


def _round(
    figures: Figures, workers: dict[Peer, Worker], scene: str, count: int, chance: random.Random
) -> None:
    medians: dict[str, dict[str, float]] = {}
    for peer in chance.sample(list(workers), len(workers)):
        try:
            found = workers[peer].play(scene, count)
        except PeerError as error:
            figures.fail(str(error))
            del workers[peer]
            continue
        figures.add(f"faces/{peer.name}/{scene}", found["faces"] / len(found["ms"]))
        for q, value in zip((5, 50, 95), np.percentile(found["ms"], (5, 50, 95)), strict=True):
            figures.add(f"time/{peer.name}/{scene}/p{q}", float(value))
        figures.add(f"work/{peer.name}/{scene}", float(np.median(found["cpu_ms"])))
        medians[peer.name] = {"time": np.median(found["ms"]), "work": np.median(found["cpu_ms"])}
    # Within a round all have the same neighbours on the machine.
    for name, values in medians.items() if OURS in medians else ():
        for what, value in values.items():
            figures.add(f"ratio/{name}/{scene}/{what}", value / medians[OURS][what])


def starts(
    figures: Figures,
    lines: Mapping[Peer, list[str]],
    core: int,
    rounds: int,
    progress: Callable[[float], None],
) -> None:
    """Cold starts, the peers in turn; the first of each reads its files and does not count."""
    left = dict(lines)
    for done in range(-1, rounds):
        figures.yardstick("start")
        for peer, command in list(left.items()):
            try:
                with Worker(peer, command, core) as worker:
                    worker.answer()
                    start_s = time.monotonic() - worker.began
                    worker.play(SCENES[0], _PLAYED)
                    if done >= 0:
                        figures.add(f"start/{peer.name}", start_s)
                        for name, value in program.memory_mb(worker.pid).items():
                            figures.add(f"{name}/{peer.name}", value)
            except PeerError as error:
                figures.fail(str(error))
                del left[peer]
        progress((done + 2) / (rounds + 1))


def daemon(figures: Figures, python: Path, clip: Path, core: int, rounds: int) -> None:
    """Cold start and memory of our daemon, which reads a camera and writes lines besides."""
    command = ("taskset", "--cpu-list", str(core), str(python))
    for _ in range(rounds):
        try:
            with program.running("svm", program.START_RATE, clip, command) as ours:
                figures.add(f"start/{DAEMON}", ours.first_reading_s())
                ours.read(1)
                for name, value in ours.memory_mb().items():
                    figures.add(f"{name}/{DAEMON}", value)
        except (RuntimeError, TimeoutError) as error:
            figures.fail(f"our daemon: {error or 'no reading'}")


def last_core() -> int:
    """The one that peers run on."""
    return max(os.sched_getaffinity(0))
