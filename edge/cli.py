"""The command line: `python -m edge`, then `classify`, `run`, `daemon`, `calibrate` …"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import bundle, host
from edge.cameras import Camera, find_camera, is_live, open_camera
from edge.cameras.live import Live
from edge.errors import EdgeError, OutputError, SettingsError, SetupError, SourceError
from edge.pipeline import Recognizer, follow, read
from edge.publish import Publisher
from edge.publish.jsonlines import JsonLines
from edge.settings.load import SYSTEM_FILE, Loaded, as_toml, load
from edge.smooth import Smoother

if TYPE_CHECKING:
    from edge.annotate import Annotator
    from edge.calibrate import Calibrator

BAD_SETTINGS = 78
"""Exit status; EX_CONFIG of sysexits.h, on which the unit does not restart."""
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
        if options.command == doctor:  # bad settings are one of its findings
            return doctor(options)
        status: int = options.command(options, _load(options))
        return status
    except SettingsError as error:
        _tell(error)
        return BAD_SETTINGS
    except EdgeError as error:
        if isinstance(error, OutputError):
            _abandon_stdout()
        _tell(error)
        return 1
    except BrokenPipeError:  # `| head` has seen enough
        _abandon_stdout()
        return 0


def classify(options: argparse.Namespace, loaded: Loaded) -> int:
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
    each = replace(loaded.settings, mesh=replace(loaded.settings.mesh, still=False))
    recognise = Recognizer.of(each, cropped=options.cropped)
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


def run(options: argparse.Namespace, loaded: Loaded) -> int:
    """The endless loop: camera → mesh → features → classify → smooth → publish."""
    failures = []

    def tell(error: SourceError) -> None:
        failures.append(error)
        _tell(error)

    settings = loaded.settings
    recognise = Recognizer.of(settings)
    smooth = Smoother(settings.smooth, recognise.least_confidence(settings.smooth.max_risk))
    recognise.know(settings.classify)
    publishers: list[Publisher | Calibrator] = [JsonLines(sys.stdout)]
    page = settings.page.port > 0
    source = _source(settings.camera.source, again=page)
    if page:
        from edge.calibrate import Calibrator
        from edge.publish.page import Page

        calibrate = Calibrator(settings.classify, recognise)
        publishers += [Page(settings.page, lambda: _machine(calibrate), calibrate.start), calibrate]
    while True:
        camera: Camera | Live
        if is_live(source) or page:  # to be looked at, a clip plays at its own speed
            chosen = replace(settings.camera, source=source)
            camera = Live(chosen, patient=False, on_error=tell)
        else:
            camera = open_camera(source, settings.camera, tell)
        with closing(camera):
            for frame, reading in follow(camera, recognise, smooth):
                for publish in publishers:
                    publish(frame, reading)
        if not page or is_live(source):
            return 1 if failures else 0


def calibrate(options: argparse.Namespace, loaded: Loaded) -> int:
    """Five seconds of a resting face → the baseline."""
    from edge.calibrate import watch

    chosen = replace(loaded.settings.camera, source=_source(loaded.settings.camera.source))
    return watch(replace(loaded.settings, camera=chosen), _tell)


def daemon(options: argparse.Namespace, loaded: Loaded) -> int:
    """The same loop as a service: never gives a camera up, tells changes, obeys systemd."""
    from edge.daemon import serve

    try:
        return serve(loaded.settings, lambda: _load(options).settings, _tell)
    except SetupError as error:  # nor would it start the next time
        _tell(error)
        return BAD_SETTINGS
    except BrokenPipeError:  # no `| head`: the journal is gone
        raise OutputError("cannot write readings: nobody reads stdout") from None


def settings(options: argparse.Namespace, loaded: Loaded) -> int:
    """The effective settings and where each came from, as TOML."""
    del options
    print(as_toml(loaded))
    return 0


def doctor(options: argparse.Namespace) -> int:
    """What works here, what does not, and what to do about it."""
    from edge.doctor import report

    return report(lambda: _load(options), sys.stdout, as_json=options.json)


def _load(options: argparse.Namespace) -> Loaded:
    """Settings of file, environment and flags. The short flags are for often used ones."""
    short = {
        "classify.model": options.model,
        "classify.bundle": options.models,
        "classify.max_risk": getattr(options, "max_risk", None),
        "camera.source": getattr(options, "source", None),
        "classify.baseline": getattr(options, "out", None),
        "page.picture": getattr(options, "page_picture", None),
    }
    if getattr(options, "page", None) is not None:
        address, colon, port = options.page.rpartition(":")
        if not (colon and address and port):
            raise SettingsError(f"--page {options.page}: allowed is ADDRESS:PORT")
        short |= {"page.address": address.strip("[]"), "page.port": port}
    flags = [f"{name}={value}" for name, value in short.items() if value is not None]
    return load(options.config, [*options.set, *flags])


def _annotator(options: argparse.Namespace) -> Annotator:
    from edge.annotate import Annotator
    from edge.mesh.topology import CONNECTIONS_FILE, tessellation

    return Annotator(options.annotate, tessellation(bundle.DEFAULT_DIR / CONNECTIONS_FILE))


def _machine(calibrate: Calibrator) -> dict[str, Any]:
    """What the page shows beside the readings."""
    return {
        "temperature_celsius": host.temperature(),
        "throttled": float(host.throttled()),
        "calibration": asdict(calibrate.progress),
    }


def _source(source: str, *, again: bool = False) -> str:
    """URI of what `run` reads. `again`: files are played over and over."""
    if source not in ("auto", "camera", "sample"):
        return source
    if source != "sample":
        uri = find_camera()
        if uri:
            _tell(f"reading from {uri}; Ctrl-C ends it")
            return uri
        if source == "camera":
            raise SourceError(
                "no camera found: plug one in, or name it (--source v4l2:0), or try --source sample"
            )
    sample = bundle.DEFAULT_DIR / SAMPLE  # like the edges, no part of a bundle
    if not sample.is_file():
        raise SourceError(f"no camera found, and {sample} is missing: run `make models`")
    often = "until Ctrl-C" if again else "once"
    _tell(("no camera found: " if source == "auto" else "") + f"playing {sample} {often}")
    return str(sample)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--model", help="classifier: svm, gnn or both (default: svm)")
    common.add_argument("--models", metavar="DIR", help="the model bundle")
    common.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"settings, a TOML file (default: {SYSTEM_FILE}, where there is one)",
    )
    common.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="TABLE.KEY=VALUE",
        help="one setting, as in camera.width=320; wins over FER_EDGE_CAMERA_WIDTH and the file",
    )

    shown = argparse.ArgumentParser(add_help=False)
    shown.add_argument(
        "--page",
        metavar="ADDRESS:PORT",
        help="serve a live page for aiming the camera there, as in 127.0.0.1:8080; with another "
        "address than this machine's own, give it a token (page.token_file)",
    )
    shown.add_argument(
        "--page-picture",
        action="store_const",
        const="true",
        help="show the camera's picture on that page, too",
    )

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
        "--max-risk",
        metavar="SHARE",
        help="of wrong labels that is borne, as in 0.3: less sure ones are unknown (default: 1)",
    )
    one.add_argument(
        "--annotate", type=Path, metavar="DIR", help="write pictures with the reading drawn in"
    )

    loop = commands.add_parser("run", parents=[common, shown], help="read a camera until stopped")
    loop.set_defaults(command=run, refuse=loop.error)
    loop.add_argument(
        "--source",
        metavar="auto|camera|sample|URI",
        help="auto takes a camera where there is one, else the sample; a URI is picamera2:, "
        "v4l2:0, http://…, rtsp://…, a video, or a folder (default: auto)",
    )

    service = commands.add_parser("daemon", parents=[common, shown], help="the same as a service")
    service.set_defaults(command=daemon, refuse=service.error)
    service.add_argument("--source", metavar="auto|URI", help="a camera, a stream, a file")

    rest = commands.add_parser(
        "calibrate", parents=[common], help="learn a person's resting face, in five seconds"
    )
    rest.set_defaults(command=calibrate, refuse=rest.error)
    rest.add_argument("--source", metavar="auto|URI", help="a camera, a stream, a video")
    rest.add_argument("--out", metavar="FILE", help="where to keep it (classify.baseline)")

    print_them = commands.add_parser(
        "settings", parents=[common], help="print the effective settings"
    )
    print_them.set_defaults(command=settings, refuse=print_them.error)

    look = commands.add_parser("doctor", parents=[common], help="say what is missing or wrong")
    look.set_defaults(command=doctor, refuse=look.error)
    look.add_argument("--source", metavar="auto|URI", help="a camera, a stream, a file")
    look.add_argument("--json", action="store_true", help="for machines: a list of objects")
    return parser


def _abandon_stdout() -> None:
    """Let Python's own flush at exit go nowhere, instead of failing once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(message: object) -> None:
    with suppress(OSError):  # a full disk behind stderr: there is nobody left to tell
        print(f"edge: {message}", file=sys.stderr, flush=True)
