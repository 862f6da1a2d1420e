"""Hours of daemon with all that goes wrong in a house: `make soak HOURS=…`.

A stream is cut, stalls and sends broken pictures, the broker is killed, settings are loaded again,
all at random; memory, threads and file descriptors are sampled, and it is checked that the camera
is told lost within 2 s, readings are back within 5 s, and no message is missing at the end. The
result goes to benchmarks/results/, also of a soak that was stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
from tqdm import tqdm

from benchmarks.machine import about
from edge.arguments import number
from tests.tools.mjpeg import Stream, jpegs
from tests.tools.mosquitto import Line, Listener, Mosquitto

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SAMPLE_S = 5.0
"""Seconds between two samples."""
CALM_S = (10.0, 40.0)
"""Seconds between two troubles, at random."""
TROUBLE_S = (0.5, 8.0)
"""Seconds that one lasts."""
TROUBLES = ("cut", "stall", "break", "broker", "reload")
LOST_S, BACK_S = 2.0, 5.0
"""Within which a lost camera has to be told, and readings to be back."""


class Soak:
    """One daemon, its camera and its broker, and what happened to them."""

    def __init__(self, folder: Path, python: str, model: str, seed: int) -> None:
        self._chance = random.Random(seed)
        self.stream = Stream(jpegs(120))
        # The daemon's line to the broker opens when somebody listens there, so that nothing that
        # is missing at the end was just not heard.
        self.broker, self._heard = Mosquitto(folder), Listener()
        self.line = Line(self.broker.port)
        self._start_broker()
        self._config = folder / "config.toml"
        self._config.write_text(
            f'[camera]\nsource = "{self.stream.url}"\n[classify]\nmodel = "{model}"\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {self.line.port}\nnode = "soak"\n'
            '[output]\nheartbeat_seconds = 1.0\nstdout = "none"\n'
        )
        self.log = (folder / "daemon.log").open("w+")
        arguments = [python, "-m", "edge", "daemon", "--config", str(self._config)]
        self.daemon = subprocess.Popen(arguments, cwd=ROOT, stdout=self.log, stderr=self.log)
        self._process = psutil.Process(self.daemon.pid)
        self.samples: list[dict[str, float]] = []
        self.events: list[dict[str, Any]] = []

    def sample(self, now_s: float) -> None:
        """Take memory, threads and descriptors."""
        memory, cpu = self._process.memory_full_info(), self._process.cpu_times()
        self.samples.append(
            {
                "time_s": now_s,
                "rss": memory.rss,
                "pss": memory.pss,
                "threads": self._process.num_threads(),
                "descriptors": self._process.num_fds(),
                "cpu_s": cpu.user + cpu.system,
            }
        )

    def trouble(self, now_s: float) -> None:
        """One of them, and how soon it was noticed and over."""
        kind = self._chance.choice(TROUBLES)
        lasts_s = self._chance.uniform(*TROUBLE_S)
        event: dict[str, Any] = {"time_s": now_s, "kind": kind, "lasts_s": lasts_s}
        began = time.monotonic()
        if kind == "reload":
            self.daemon.send_signal(signal.SIGHUP)
        elif kind == "broker":
            self.broker.kill()
            self._heard.drain()
            self.line.cut()
            time.sleep(lasts_s)
            self._start_broker()
        else:
            self.stream.command(kind)
            if kind != "break":  # every other picture of a broken stream is whole
                event["lost_s"] = self._wait("lost", began, lasts_s)
            time.sleep(max(lasts_s - (time.monotonic() - began), 0))
            self.stream.command("restore")
        event["back_s"] = self._wait("ok", time.monotonic(), BACK_S + 5)
        self.events.append(event)

    def _start_broker(self) -> None:
        self.broker.start()
        self._heard.connect(self.broker.port)
        self.line.open()

    @property
    def states(self) -> list[dict[str, Any]]:
        """All that was heard."""
        return self._heard.states("fer-edge/soak/state")

    def _wait(self, camera: str, began: float, most_s: float) -> float | None:
        """Seconds until a message says so; None when none did in time (a short stall is none)."""
        seen = len(self.states)
        while time.monotonic() - began < most_s:
            if any(state["camera"].startswith(camera) for state in self.states[seen:]):
                return time.monotonic() - began
            if self.daemon.poll() is not None:
                raise SystemExit(f"the daemon ended: {self.daemon.returncode}; see {self.log.name}")
            time.sleep(0.05)
        return None

    def run(self, seconds: float) -> None:
        """Until the time is over, or Ctrl-C."""
        start = last = time.monotonic()
        due = start + 20
        with tqdm(total=round(seconds), unit="s", desc="soak") as bar, suppress(KeyboardInterrupt):
            while (now := time.monotonic()) - start < seconds:
                bar.update(round(now - start) - bar.n)
                if now >= last + SAMPLE_S:
                    last = now
                    self.sample(now - start)
                if now >= due:
                    self.trouble(now - start)
                    due = time.monotonic() + self._chance.uniform(*CALM_S)
                time.sleep(0.2)

    def finish(self) -> float | None:
        """SIGTERM; seconds until it has ended, None when that took more than five."""
        time.sleep(3)  # what was on its way
        began = time.monotonic()
        self.daemon.terminate()
        try:
            self.daemon.wait(5)
            return time.monotonic() - began
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            return None


def findings(soak: Soak, ended_s: float | None) -> dict[str, Any]:
    """What the samples and events say."""
    table = {key: np.array([s[key] for s in soak.samples]) for key in soak.samples[0]}
    settled = table["time_s"] > min(600, table["time_s"][-1] / 4)
    hours = table["time_s"][settled] / 3600
    numbers = [state["sequence"] for state in soak.states]
    lost = [e["lost_s"] for e in soak.events if "lost_s" in e and e["lasts_s"] > LOST_S]
    back = [e["back_s"] for e in soak.events]
    return {
        "hours": float(table["time_s"][-1] / 3600),
        "troubles": {kind: sum(e["kind"] == kind for e in soak.events) for kind in TROUBLES},
        "messages": len(set(numbers)),
        "messages_missing": len(set(range(min(numbers), max(numbers) + 1)) - set(numbers)),
        "messages_twice": len(numbers) - len(set(numbers)),
        "lost_told_s": max((s for s in lost if s is not None), default=None),
        "lost_not_told": lost.count(None),
        "back_s": max((s for s in back if s is not None), default=None),
        "not_back": back.count(None),
        "ended_s": ended_s,
        "rss_mb": {"first": table["rss"][0] / 1e6, "most": table["rss"].max() / 1e6},
        "rss_slope_kb_per_hour": float(np.polyfit(hours, table["rss"][settled] / 1e3, 1)[0]),
        "pss_slope_kb_per_hour": float(np.polyfit(hours, table["pss"][settled] / 1e3, 1)[0]),
        "threads": [int(table["threads"][settled].min()), int(table["threads"][settled].max())],
        "descriptors": [
            int(table["descriptors"][settled].min()),
            int(table["descriptors"][settled].max()),
        ],
        "cpu": float(
            np.diff(table["cpu_s"])[1:].sum() / (table["time_s"][-1] - table["time_s"][1])
        ),
    }


def failures(found: dict[str, Any]) -> list[str]:
    """What is not as it has to be; empty when all is well."""
    told = []
    for key in ("messages_missing", "lost_not_told", "not_back"):
        if found[key]:
            told.append(f"{key.replace('_', ' ')}: {found[key]}")
    if found["ended_s"] is None:
        told.append("SIGTERM took more than 5 s")
    for key, limit, what in (
        ("lost_told_s", LOST_S, "a lost camera was told after"),
        ("back_s", BACK_S, "readings were back after"),
        ("ended_s", 1.0, "SIGTERM took"),
    ):
        if (value := found[key]) is not None and value > limit:
            told.append(f"{what} {value:.2f} s")
    return told


def write(soak: Soak, found: dict[str, Any], broken: list[str], model: str) -> Path:
    """JSON, Markdown and a picture; the path of the Markdown."""
    RESULTS.mkdir(exist_ok=True)
    stem = RESULTS / f"{datetime.now(UTC):%Y-%m-%d-%H%M}-soak-{model}"
    head = about()
    record = {"about": head, "found": found, "failures": broken, "events": soak.events}
    stem.with_suffix(".json").write_text(json.dumps(record | {"samples": soak.samples}) + "\n")
    lines = [f"# Soak, {found['hours']:.2f} hours, model {model}", ""]
    lines += [f"- **{line}**" for line in broken] or ["All as it has to be."]
    lines += ["", f"![memory, threads, descriptors over time]({stem.name}.png)", ""]
    lines += ["| what | found |", "| --- | --- |"]
    lines += [f"| {key.replace('_', ' ')} | {_shown(value)} |" for key, value in found.items()]
    lines += ["", "| machine | |", "| --- | --- |"]
    lines += [f"| {key} | {value} |" for key, value in head.items()]
    stem.with_suffix(".md").write_text("\n".join(lines) + "\n")
    _draw(soak, stem.with_suffix(".png"))
    return stem.with_suffix(".md")


def _draw(soak: Soak, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    minutes = [s["time_s"] / 60 for s in soak.samples]
    figure, axes = plt.subplots(2, 1, figsize=(9, 5), sharex=True, layout="constrained")
    for key in ("rss", "pss"):
        axes[0].plot(minutes, [s[key] / 1e6 for s in soak.samples], label=key.upper())
    axes[0].set(ylabel="memory, MB", ylim=(0, None))
    for key in ("threads", "descriptors"):
        axes[1].plot(minutes, [s[key] for s in soak.samples], label=key)
    axes[1].set(ylabel="count", ylim=(0, None), xlabel="minutes")
    for event in soak.events:
        axes[0].axvline(event["time_s"] / 60, color="0.85", zorder=0)
    for axis in axes:
        axis.legend(loc="lower right")
    figure.suptitle("Soak: grey lines are cuts, stalls, broken pictures, broker restarts, reloads")
    figure.savefig(path, dpi=100)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    return " to ".join(map(str, value)) if isinstance(value, list) else str(value)


def main() -> int:
    """Run it; 1 where something is not as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--hours", type=number(float, 0), default=1.0)
    parser.add_argument("--model", default="svm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--python", default=sys.executable, help="runs the daemon")
    options = parser.parse_args()
    with TemporaryDirectory() as folder, ExitStack() as ends:
        soak = Soak(Path(folder), options.python, options.model, options.seed)
        ends.callback(soak.broker.kill)
        ends.callback(soak.line.cut)
        ends.callback(soak.daemon.kill)
        ends.callback(soak.stream.cut)
        soak.run(options.hours * 3600)
        ended_s = soak.finish()
        if len(soak.samples) < 10:
            print("soak: stopped before there was anything to tell", file=sys.stderr)
            return 1
        found = findings(soak, ended_s)
        broken = failures(found)
        path = write(soak, found, broken, options.model)
        print(path.read_text())
        if broken:
            log = Path(soak.log.name).read_text()
            path.with_suffix(".log").write_text(log)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
