"""The command line: `python -m edge classify …`, `python -m edge run …`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from edge import bundle
from edge.cameras import find_camera, open_camera
from edge.errors import EdgeError, SourceError
from edge.pipeline import Recognizer, read
from edge.publish.jsonlines import JsonLines
from edge.settings import Settings
from edge.settings.load import load

if TYPE_CHECKING:
    from edge.annotate import Annotator

SAMPLE = "sample.y4m"
"""Played by `run` where there is no camera; made by `make models`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status. Every foreseeable mistake is one line on stderr."""
    if sys.stderr is None:  # so Python has it where the descriptor is closed
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  open to the end
    if sys.stdout is None:
        _tell("stdout is closed: there is nowhere to write readings to")
        return 1
    try:
        options, unknown = _parser().parse_known_args(arguments)
        if unknown:  # argparse would show the usage of the program, not of the command
            options.refuse(f"unrecognized arguments: {' '.join(unknown)}")
        settings = load(options.config).settings if options.config else Settings()
        status: int = options.command(options, settings)
        return status
    except EdgeError as error:
        _tell(error)
        return 1
    except BrokenPipeError:  # `| head` has seen enough
        _abandon_stdout()
        return 0
    except OSError as error:  # a full disk behind stdout
        _abandon_stdout()
        _tell(f"cannot write readings: {error.strerror or error}")
        return 1


def classify(options: argparse.Namespace, settings: Settings) -> int:
    """Pictures, folders and videos → JSON lines, in input order."""
    from tqdm import tqdm

    from edge.cameras.opencv import list_files, read_file

    failures = 0
    files: list[Path] = []
    for path in options.paths:
        try:
            files += list_files(path)
        except SourceError as error:
            failures += 1
            _tell(error)
    recognise = _recognizer(options, settings, cropped=options.cropped)
    publish = JsonLines(sys.stdout)
    draw = _annotator(options) if options.annotate else None
    whole = [Path(os.path.abspath(file)) for file in files]  # noqa: PTH100  links stay
    shared = os.path.commonpath([file.parent for file in whole]) if whole else ""

    # Where the lines themselves go to the terminal, they are the progress.
    hidden = not sys.stderr.isatty() or sys.stdout.isatty()
    progress = tqdm(whole, unit="file", disable=hidden, file=sys.stderr)
    for file, given in zip(progress, files, strict=True):
        try:
            for frame, reading in read(read_file(given), recognise):
                publish(frame, reading)
                if draw:
                    draw(file.relative_to(shared), frame, reading)
        except SourceError as error:
            failures += 1
            progress.clear()
            _tell(error)
    return 1 if failures else 0


def run(options: argparse.Namespace, settings: Settings) -> int:
    """The endless loop: camera → mesh → features → classify → publish."""
    failures = []

    def tell(error: SourceError) -> None:
        failures.append(error)
        _tell(error)

    recognise = _recognizer(options, settings)
    publish = JsonLines(sys.stdout)
    with closing(open_camera(_source(options), settings.camera, tell)) as camera:
        for frame, reading in read(camera, recognise):
            publish(frame, reading)
    return 1 if failures else 0


def _recognizer(
    options: argparse.Namespace, settings: Settings, *, cropped: bool = False
) -> Recognizer:
    return Recognizer(options.models, options.model, cropped=cropped, mesh=settings.mesh)


def _annotator(options: argparse.Namespace) -> Annotator:
    from edge.annotate import Annotator
    from edge.mesh.topology import CONNECTIONS_FILE, tessellation

    return Annotator(options.annotate, tessellation(bundle.DEFAULT_DIR / CONNECTIONS_FILE))


def _source(options: argparse.Namespace) -> str:
    if options.source not in ("auto", "camera", "sample"):
        return str(options.source)
    if options.source != "sample":
        uri = find_camera()
        if uri:
            _tell(f"reading from {uri}; Ctrl-C ends it")
            return uri
        if options.source == "camera":
            raise SourceError(
                "no camera found: plug one in, or name it (--source v4l2:0), or try --source sample"
            )
    sample = bundle.DEFAULT_DIR / SAMPLE  # like the edges, no part of a bundle
    if not sample.is_file():
        raise SourceError(f"no camera found, and {sample} is missing: run `make models`")
    _tell(
        f"no camera found: playing {sample} once"
        if options.source == "auto"
        else f"playing {sample}"
    )
    return str(sample)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--model", default="svm", help="classifier of the bundle (default: svm)")
    common.add_argument(
        "--models", type=Path, default=bundle.DEFAULT_DIR, metavar="DIR", help="the model bundle"
    )
    common.add_argument("--config", type=Path, metavar="FILE", help="settings, a TOML file")

    parser = argparse.ArgumentParser(
        prog="python -m edge", description="Facial expressions from face meshes, as JSON lines."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser(
        "classify", parents=[common], help="read pictures, folders and videos"
    )
    one.set_defaults(command=classify, refuse=one.error)
    one.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a picture, a video, or a folder of them",
    )
    one.add_argument(
        "--cropped", action="store_true", help="the pictures are face crops: use no detector"
    )
    one.add_argument(
        "--annotate", type=Path, metavar="DIR", help="write pictures with the reading drawn in"
    )

    loop = commands.add_parser("run", parents=[common], help="read a camera until stopped")
    loop.set_defaults(command=run, refuse=loop.error)
    loop.add_argument(
        "--source",
        default="auto",
        metavar="auto|camera|sample|URI",
        help="auto takes a camera where there is one, else the sample; a URI is picamera2:, "
        "v4l2:0, http://…, rtsp://…, a video, or a folder (default: auto)",
    )
    return parser


def _abandon_stdout() -> None:
    """Let Python's own flush at exit go nowhere, instead of failing once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(message: object) -> None:
    print(f"edge: {message}", file=sys.stderr, flush=True)
