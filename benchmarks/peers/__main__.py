"""`python -m benchmarks.peers`: ours beside other ways, in one run, on the same frames.

MediaPipe FaceMesh, the same with the public precursor's scikit-learn pipeline behind it,
MediaPipe's FaceLandmarker with blendshapes, and the `fer` package: time of a frame, cold start,
memory and size on disk, each in its own process and environment on one core. Environments are
made in build/peers the first time (1.1 GB are downloaded for all; --only ours,facemesh for less).
"""

from __future__ import annotations

import os

# As `python -m edge` does, and for the same reason: before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from benchmarks import place
from benchmarks.figures import Figures
from benchmarks.heat import Heat
from benchmarks.machine import about
from benchmarks.peers import environments, measure, pipeline, table
from benchmarks.peers.listing import CACHE, PEERS, PIPELINE, REPO, TASK, Peer, chosen
from edge.arguments import number
from edge.errors import EdgeError, SetupError

RESULTS = REPO / "benchmarks" / "results"
TASK_URL = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
    + TASK
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 1 where a peer failed."""
    options = _options(arguments)
    place.writable(options.out, "benchmark-peers")
    figures, moments = Figures(), [Heat.now("before")]
    try:
        _measure(options, figures, moments)
    except EdgeError as error:
        raise SystemExit(f"benchmark-peers: {error}") from None
    except KeyboardInterrupt:
        figures.fail("stopped before its end")
    moments.append(Heat.now("after"))
    _write(options, figures, moments)
    return 1 if figures.failures else 0


def _measure(options: argparse.Namespace, figures: Figures, moments: list[Heat]) -> None:
    """All of it, one after the other."""
    ready = _prepare(options, figures)
    core = measure.last_core()
    with TemporaryDirectory() as name, tqdm(total=100, unit="%", disable=None) as bar:
        folder = Path(name)
        clip = measure.write_frames(folder)
        files = {TASK: options.task, PIPELINE: CACHE / PIPELINE}
        lines = {peer: measure.line(peer, python, folder, files) for peer, python in ready.items()}
        bar.set_description("frames")
        measure.frames(
            figures, lines, core, options.rounds, options.frames, lambda done: _to(bar, 70 * done)
        )
        moments.append(Heat.now("frames"))
        bar.set_description("starts")
        measure.starts(figures, lines, core, options.starts, lambda done: _to(bar, 70 + 25 * done))
        ours = [python for peer, python in ready.items() if peer.environment == "ours"]
        if ours:
            measure.daemon(figures, ours[0], clip, core, options.starts)
        moments.append(Heat.now("starts"))
        _to(bar, 100)


def _to(bar: tqdm, share: float) -> None:
    bar.update(round(share) - bar.n)


def _prepare(options: argparse.Namespace, figures: Figures) -> dict[Peer, Path]:
    """Peer → its Python. What cannot be had is told and left out."""
    ready, broken = {}, set()
    for peer in chosen(options.only):
        if peer.environment in broken:
            continue
        try:
            python = environments.python(peer.environment)
            if peer.needs == PIPELINE:
                figures.notes.append(f"{peer.title}: {_pipeline(python, options.meshes)}")
        except SetupError as error:
            broken.add(peer.environment)
            figures.fail(str(error))
            continue
        if peer.needs == TASK and not options.task.is_file():
            note = f"{peer.title} left out: no {options.task}; get {TASK_URL}, or give --task"
            figures.notes.append(note)
            print(note, file=sys.stderr)
            continue
        figures.add(f"disk/{peer.name}", environments.size_mb(peer.environment))
        ready[peer] = python
    if not ready:
        raise SetupError("nothing to measure: " + "; ".join(figures.failures + figures.notes))
    return ready


def _pipeline(python: Path, meshes: Path) -> str:
    """Make the precursor's pipeline where there is none, or no real one; what it was made from."""
    path = CACHE / PIPELINE
    invented = path.is_file() and pipeline.made_from(path) == pipeline.INVENTED
    if not path.is_file() or (invented and pipeline.can_fit(meshes)):
        print(
            "fitting the precursor's pipeline (minutes where there are meshes) …", file=sys.stderr
        )
        command = [str(python), "-m", "benchmarks.peers.pipeline", str(meshes), str(path)]
        done = subprocess.run(
            command, cwd=REPO, env=environments.variables(), capture_output=True, text=True
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:]
            raise SetupError(f"the precursor's pipeline cannot be made: {' '.join(said)}")
    return pipeline.made_from(path)


def _write(options: argparse.Namespace, figures: Figures, moments: list[Heat]) -> None:
    """On the terminal, and into three files."""
    peers, now = chosen(options.only), datetime.now(UTC)
    machine = about() | environments.versions({peer.environment for peer in peers})
    print("\n".join(table.lines(figures, peers, machine, moments)))
    stem = options.out / f"{now:%Y-%m-%d-%H%M%S}-peers"
    result = {
        "kind": "peers",
        "about": machine,
        "options": {k: getattr(options, k) for k in ("only", "rounds", "frames", "starts")},
        "goals": table.goals(figures),
        "notes": figures.notes,
        "failures": figures.failures,
        "heat": [asdict(moment) for moment in moments],
        "figures": {
            name: [float(f"{value:.5g}") for value in values]
            for name, values in sorted(figures.rounds.items())
        },
    }
    body = table.lines(figures, peers, machine, moments, picture=f"{stem.name}.png")
    title = f"# Peers, {now:%Y-%m-%d %H:%M} UTC"
    with place.kept(stem, ".json, .md, .png", "benchmark-peers", figures):
        place.write(stem.with_suffix(".json"), json.dumps(result, ensure_ascii=False) + "\n")
        place.write(stem.with_suffix(".md"), "\n".join([title, "", *body]) + "\n")
        table.draw(figures, peers, stem.with_suffix(".png"))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    names = ", ".join(peer.name for peer in PEERS)
    parser.add_argument("--only", default="", help=f"of: ours (all of them), {names}")
    some = number(int, 1)
    parser.add_argument("--rounds", type=some, default=40, help="of frames")
    parser.add_argument("--frames", type=some, default=30, help="of each scene in a round")
    parser.add_argument("--starts", type=some, default=8, help="cold starts of each")
    parser.add_argument("--task", type=Path, default=task(), help=f"MediaPipe's {TASK}")
    parser.add_argument(
        "--meshes",
        type=Path,
        default=REPO / "build" / "train",
        help="of `make train`, for the precursor's pipeline",
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    of(parser, options.only)
    return options


def of(parser: argparse.ArgumentParser, only: str) -> list[Peer]:
    """Those that --only names. A name that is none ends the program."""
    try:
        return chosen(only)
    except KeyError as error:
        names = ", ".join(peer.name for peer in PEERS)
        parser.error(f"--only: no peer {error}; there are: ours, {names}")


def task() -> Path:
    """Where the model may be: beside the checkout, or in build/peers."""
    beside = REPO.parent / "shared" / "peers" / TASK
    return beside if beside.is_file() else CACHE / TASK


if __name__ == "__main__":
    sys.exit(main())
