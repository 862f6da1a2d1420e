"""`python -m benchmarks.peers.arm64`: instructions a frame of each peer on a Pi, counted.

As `benchmarks.arm64` counts ours, from the aarch64 wheels of the same versions, under an emulator.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.arm64 import scenes
from benchmarks.arm64.counter import BUILD, CPUS, ROOT, emulate, stages
from benchmarks.machine import about
from benchmarks.peers import __main__ as command
from benchmarks.peers import environments
from benchmarks.peers.listing import CACHE, OURS, PEERS, PIPELINE, REPO, TASK, Peer
from benchmarks.peers.pipeline import made_from
from benchmarks.report import table
from edge.arguments import number
from edge.errors import SetupError

GUEST = Path(__file__).with_name("guest.py")
LEFT_OUT = {"jax", "jaxlib", "sounddevice", "sentencepiece", "moviepy", "imageio", "decorator"}
LEFT_OUT |= {"imageio-ffmpeg", "proglog"}
"""Pins that no frame needs."""
PLATFORMS = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 37)))
Counts = dict[str, dict[str, int]]
"""Peer → scene → instructions a frame."""


def pins(environment: str) -> list[str]:
    """What is unpacked for it: its pins, with an OpenCV that needs no window system."""
    lines = (environments.PINS / f"{environment}.txt").read_text().splitlines()
    kept = [line for line in lines if line and not line.startswith("#")]
    return [
        line.replace("opencv-contrib-python==", "opencv-contrib-python-headless==")
        for line in kept
        if line.partition("==")[0].lower() not in LEFT_OUT
    ]


def site(environment: str) -> Path:
    """The folder with its aarch64 packages, made where it is not there. Raises SetupError."""
    if environment == "ours":
        return ROOT / "site"
    folder, wanted = BUILD / "peers" / environment, "\n".join(pins(environment))
    stamp = folder / ".ready"
    if stamp.is_file() and stamp.read_text() == wanted:
        return folder
    print(f"unpacking {environment} for aarch64 …", file=sys.stderr, flush=True)
    line = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    line += ["--no-deps", "--only-binary=:all:", "--no-compile", "--upgrade"]
    line += ["--python-version", "3.11", "--target", str(folder)]
    line += [f"--platform={name}_aarch64" for name in PLATFORMS]
    done = subprocess.run([*line, *pins(environment)], capture_output=True, text=True)
    if done.returncode:
        errors = [one for one in done.stderr.splitlines() if one.startswith("ERROR")]
        raise SetupError(f"{environment} for aarch64: {(errors or ['pip failed'])[0]}")
    stamp.write_text(wanted)
    return folder


def count(peer: Peer, cpu: str, pictures: Path, files: dict[str, Path]) -> dict[str, int]:
    """Instructions a frame of each scene. Raises SetupError where it cannot be told.

    What was counted is kept, and not counted again for another's program that has not changed.
    """
    out = pictures.with_name(f"{cpu} {peer.name}.json")
    kept, same = out.with_suffix(".count.json"), _content(peer, pictures, files)
    if kept.is_file() and peer.environment != "ours":
        before: dict[str, Any] = json.loads(kept.read_text())
        if before["of"] == same:
            return {scene: int(number) for scene, number in before["instructions"].items()}
    file = str(files[peer.needs]) if peer.needs else ""
    arguments = [str(GUEST), peer.name, str(pictures), str(out), file]
    try:
        log = emulate(cpu, arguments, [site(peer.environment)], out.with_suffix(".log"))
    except subprocess.CalledProcessError as error:
        raise SetupError(f"{peer.title} on aarch64 ended ({error.returncode})") from None
    told = json.loads(out.read_text())
    for scene, faces in (("tracked", True), ("empty", False)):
        if any((label is not None) != faces for label in told[scene]):
            raise SetupError(f"{peer.title} on aarch64: {scene} frames read as {told[scene]}")
    found = {scene: counts["whole"] for scene, counts in stages(log).items()}
    kept.write_text(json.dumps({"of": same, "instructions": found}))
    return found


def _content(peer: Peer, pictures: Path, files: dict[str, Path]) -> str:
    """A hash of all that another's count depends on."""
    parts = [GUEST, GUEST.with_name("worker.py"), GUEST.with_name("pipeline.py"), pictures]
    parts += [files[peer.needs]] if peer.needs else []
    parts += [environments.PINS / f"{peer.environment}.txt"] if peer.environment != "ours" else []
    return sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()


def lines(counts: Counts) -> list[str]:
    """A Markdown table, in millions."""
    ours = counts.get(OURS, {}).get("tracked")
    rows = []
    for peer in PEERS:
        if peer.name in counts:
            tracked, empty = (counts[peer.name][scene] for scene in ("tracked", "empty"))
            share = f"{tracked / ours:.2f}" if ours else "–"
            rows.append(
                [peer.title, peer.gives, f"{tracked / 1e6:.1f}", share, f"{empty / 1e6:.1f}"]
            )
    return table(["peer", "gives", "tracked, M", "× ours", "no face, M"], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, and write the result; 1 where a peer failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.arm64", description=__doc__)
    parser.add_argument("--only", default="", help="as of python -m benchmarks.peers")
    parser.add_argument("--cpu", choices=CPUS, default="cortex-a72")
    parser.add_argument("--jobs", type=number(int, 1), default=2, help="at a time")
    parser.add_argument("--out", type=Path, default=command.RESULTS)
    options = parser.parse_args(arguments)
    peers = command.of(parser, options.only)
    broken: dict[str, str] = {}
    files = {TASK: command.task(), PIPELINE: CACHE / PIPELINE}
    work = BUILD / "counts"
    work.mkdir(parents=True, exist_ok=True)
    pictures = work / "scenes.npz"
    scenes.save(pictures, REPO / "models/sample.png")
    counts: Counts = {}
    failures: list[str] = []
    notes = [f"{options.cpu}; instructions are not cycles"]

    def one(peer: Peer) -> dict[str, int] | str:
        try:
            if peer.environment in broken:
                return broken[peer.environment]
            if peer.needs and not files[peer.needs].is_file():
                return f"{peer.title} left out: no {files[peer.needs]}: see make benchmark-peers"
            return count(peer, options.cpu, pictures, files)
        except SetupError as error:
            return str(error)

    for environment in {peer.environment for peer in peers}:
        try:
            site(environment)  # before two of them want the same
        except SetupError as error:
            broken[environment] = str(error)
    with ThreadPoolExecutor(options.jobs) as pool:
        for peer, found in tqdm(zip(peers, pool.map(one, peers), strict=True), total=len(peers)):
            if isinstance(found, str):
                failures.append(found)
            else:
                counts[peer.name] = found
                if peer.needs == PIPELINE:
                    notes.append(f"{peer.title}: {made_from(files[PIPELINE])}")
    told = [*lines(counts), "", *(f"- {note}" for note in notes), "", "## What failed", ""]
    told += [f"- **{failure}**" for failure in failures] or ["Nothing."]
    print("\n".join(told))
    now = datetime.now(UTC)
    options.out.mkdir(parents=True, exist_ok=True)
    stem = options.out / f"{now:%Y-%m-%d-%H%M%S}-peers-arm64"
    versions = environments.versions({peer.environment for peer in peers})
    result = {"kind": "peers-arm64", "about": about() | versions, "notes": notes}
    result |= {"cpu": options.cpu, "failures": failures, "instructions": counts}
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    title = f"# Peers counted on ARM, {now:%Y-%m-%d %H:%M} UTC"
    stem.with_suffix(".md").write_text("\n".join([title, "", *told]) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
