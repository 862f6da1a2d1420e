"""The daemon as it is installed, in fresh processes: cold start, memory, load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

from benchmarks.clips import Endless
from benchmarks.figures import Figures

ROOT = Path(__file__).resolve().parent.parent
START_RATE = 30.0
"""Frames a second for cold starts and memory."""
WINDOW_S = 0.6
"""Seconds for which the load is taken at a time: whole frames at 5, 15 and 30 a second."""
_SETTLE_S = 0.3
_PATIENCE_S = 120.0


class Daemon:
    """One that reads an endless clip and writes each reading to stdout."""

    def __init__(
        self, model: str, camera: Endless, rate: float, folder: Path, python: Sequence[str]
    ) -> None:
        config, self._log = folder / "empty.toml", folder / "daemon.log"
        config.touch()
        settings = [f"camera.frames_per_second={rate}", "output.stdout=frames"]
        settings += ["pace.max_cpu=64", "pace.hot_celsius=120"]  # what it takes unslowed
        line = [*python, "-m", "edge", "daemon", "--model", model, "--config", str(config)]
        line += ["--source", str(camera.path), *(f"--set={setting}" for setting in settings)]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("FER_EDGE_")}
        with self._log.open("wb") as log:
            self._began = time.monotonic()
            self._process = subprocess.Popen(
                line, cwd=ROOT, env=clean, stdout=subprocess.PIPE, stderr=log
            )
        # The kernel's own clock of another process' CPU time: clock_getcpuclockid(3).
        self._cpu_clock = (~self._process.pid << 3) | 2

    def first_reading_s(self) -> float:
        """Seconds from its start to its first reading of a face. Raises RuntimeError."""
        while True:
            line = self._line(_PATIENCE_S)
            if json.loads(line)["face"]:
                return time.monotonic() - self._began

    def read(self, seconds: float) -> int:
        """Take its readings for so long; how many."""
        until, count = time.monotonic() + seconds, 0
        while (left := until - time.monotonic()) > 0:
            try:
                self._line(left)
                count += 1
            except TimeoutError:
                break
        return count

    def cpu_s(self) -> float:
        """CPU seconds that it took so far."""
        return time.clock_gettime(self._cpu_clock)

    def memory_mb(self) -> dict[str, float]:
        """Peak resident, and proportional set size now; what the kernel does not tell is absent."""
        return memory_mb(self._process.pid)

    def end(self) -> None:
        """SIGTERM, and wait."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _line(self, seconds: float) -> bytes:
        """Raises TimeoutError, and RuntimeError when it has ended."""
        assert self._process.stdout is not None
        with DefaultSelector() as waiting:
            waiting.register(self._process.stdout, EVENT_READ)
            if not self._process.stdout.peek(0) and not waiting.select(seconds):
                raise TimeoutError
        line = self._process.stdout.readline()
        if not line:
            said = self._log.read_text(errors="replace").strip().splitlines()[-1:]
            status = self._process.wait()
            raise RuntimeError(f"the daemon ended ({status}) {' '.join(said)}".strip())
        return line


def memory_mb(pid: int) -> dict[str, float]:
    """Of a process: peak resident (rss), and proportional now (pss), where the kernel tells."""
    found = {}
    for file, field, name in (("status", "VmHWM", "rss"), ("smaps_rollup", "Pss", "pss")):
        try:
            lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(f"{field}:"):
                found[name] = int(line.split()[1]) * 1024 / 1e6
    return found


@contextmanager
def running(
    model: str, rate: float, clip: Path, python: Sequence[str] = (sys.executable,)
) -> Iterator[Daemon]:
    """A daemon, and the camera it reads. `python`: the command that runs it."""
    with Endless(clip.with_name("camera.y4m"), clip, rate) as camera:
        daemon = Daemon(model, camera, rate, clip.parent, python)
        try:
            yield daemon
        finally:
            daemon.end()


def starts(
    figures: Figures,
    models: Iterable[str],
    rounds: int,
    clip: Path,
    progress: Callable[[float], None],
) -> None:
    """Cold start and memory, the models in turn."""
    models = list(models)
    for done in range(rounds):
        figures.yardstick("start")
        for model in models:
            try:
                with running(model, START_RATE, clip) as daemon:
                    figures.add(f"start/{model}", daemon.first_reading_s())
                    daemon.read(_SETTLE_S)
                    for name, value in daemon.memory_mb().items():
                        figures.add(f"{name}/{model}", value)
            except (RuntimeError, TimeoutError) as error:
                figures.fail(f"{model}: {error or 'no reading'}")
        progress((done + 1) / rounds)


def load(
    figures: Figures,
    models: Iterable[str],
    rates: Iterable[float],
    rounds: int,
    clip: Path,
    progress: Callable[[float], None],
) -> None:
    """CPU seconds a second at each rate."""
    pairs = [(model, rate) for rate in rates for model in models]
    for done, (model, rate) in enumerate(pairs):
        figures.yardstick("cpu")
        try:
            with running(model, rate, clip) as daemon:
                daemon.first_reading_s()
                daemon.read(_SETTLE_S)
                began, frames = time.monotonic(), 0
                for _ in range(rounds):
                    cpu, start = daemon.cpu_s(), time.monotonic()
                    frames += daemon.read(WINDOW_S)
                    took = daemon.cpu_s() - cpu
                    figures.add(f"cpu/{model}/{rate:g}", took / (time.monotonic() - start))
                kept = frames / (time.monotonic() - began)
                if kept < 0.9 * rate:
                    figures.notes.append(f"{model}: kept up {kept:.1f} of {rate:g} frames a second")
        except (RuntimeError, TimeoutError) as error:
            figures.fail(f"{model}: {error or 'no reading'}")
        progress((done + 1) / len(pairs))
