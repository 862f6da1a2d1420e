"""The command line: `python -m edge`, then `classify`, `run`, `daemon`, `calibrate` …"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import bundle, host
from edge.arguments import parser
from edge.cameras import Camera, find_camera, is_live, open_camera
from edge.cameras.live import Live
from edge.errors import EdgeError, OutputError, SettingsError, SetupError, SourceError
from edge.pipeline import Recognizer, follow, read
from edge.publish import Publisher
from edge.publish.jsonlines import JsonLines
from edge.settings.load import Loaded, as_toml, load

if TYPE_CHECKING:
    from edge.annotate import Annotator
    from edge.calibrate import Calibrator
    from edge.settings import Settings

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
        options, unknown = parser(COMMANDS).parse_known_args(arguments)
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

    from edge.cameras.opencv import is_picture, list_files, read_file

    failures = []

    def failed(error: SourceError) -> None:
        failures.append(error)
        _tell(error)

    files: list[Path] = []
    for path in options.paths:
        try:
            files += list_files(path, failed)
        except SourceError as error:
            failed(error)
    each = replace(loaded.settings, mesh=replace(loaded.settings.mesh, still=False))
    # Pictures stand alone; a video's frames follow each other. Faults of the bundle are told now.
    alone = Recognizer.of(each, tracking=False, cropped=options.cropped)
    video = alone if options.cropped or all(map(is_picture, files)) else Recognizer.of(each)
    named = loaded.origins.get(("classify", "baseline"), "").startswith("--set")
    alone.know(each.classify, _refuse if named else _tell)
    video.baseline = alone.baseline
    publish = JsonLines(sys.stdout)
    draw = _annotator(options) if options.annotate else None
    whole = [Path(os.path.abspath(file)) for file in files]  # noqa: PTH100  links stay
    shared = os.path.commonpath([file.parent for file in whole]) if whole else ""

    # Where the lines themselves go to the terminal, they are the progress.
    hidden = not sys.stderr.isatty() or sys.stdout.isatty()
    progress = tqdm(whole, unit="file", disable=hidden, file=sys.stderr)
    for file, given in zip(progress, files, strict=True):
        try:
            recognise = alone if is_picture(given) else video
            for frame, reading in read(read_file(given), recognise):
                publish(frame, reading)
                if draw:
                    draw(file.relative_to(shared), frame, reading)
        except SourceError as error:
            progress.clear()
            failed(error)
    return 1 if failures else 0


def run(options: argparse.Namespace, loaded: Loaded) -> int:
    """The endless loop: camera → mesh → features → classify → smooth → publish."""
    failures = []

    def tell(error: SourceError) -> None:
        failures.append(error)
        _tell(error)

    settings = loaded.settings
    recognise = Recognizer.of(settings)
    smooth = recognise.smoother(settings.smooth)
    recognise.know(settings.classify, _tell)
    publishers: list[Publisher | Calibrator] = [JsonLines(sys.stdout)]
    page = settings.page.port > 0
    if page:
        from edge.calibrate import Calibrator
        from edge.publish.page import Page

        calibrate = Calibrator(settings.classify, recognise)
        publishers += [Page(settings.page, lambda: _machine(calibrate), calibrate.start), calibrate]
    source = _source(settings.camera.source, again=page)
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
                del frame
        if not page or is_live(source):
            return 1 if failures else 0


def calibrate(options: argparse.Namespace, loaded: Loaded) -> int:
    """Five seconds of a resting face → the baseline."""
    from edge.calibrate import watch

    if not loaded.settings.classify.baseline:
        raise SettingsError("say where to keep the resting face: --out FILE, or classify.baseline")
    chosen = replace(loaded.settings.camera, source=_source(loaded.settings.camera.source))
    return watch(replace(loaded.settings, camera=chosen), _tell)


def daemon(options: argparse.Namespace, loaded: Loaded) -> int:
    """The same loop as a service: never gives a camera up, tells changes, obeys systemd."""
    from edge.daemon import serve

    try:
        return serve(_lasting(loaded), lambda: _lasting(_load(options)), _tell)
    except SetupError as error:  # nor would it start the next time
        _tell(error)
        return BAD_SETTINGS
    except BrokenPipeError:  # no `| head`: the journal is gone
        raise OutputError("cannot write readings: nobody reads stdout") from None


def settings(options: argparse.Namespace, loaded: Loaded) -> int:
    """The effective settings and where each came from, as TOML."""
    del options
    with _written("the settings"):
        print(as_toml(loaded), flush=True)
    return 0


def doctor(options: argparse.Namespace) -> int:
    """What works here, what does not, and what to do about it."""
    from edge.doctor import report

    with _written("what was found"):
        return report(lambda: _load(options), sys.stdout, as_json=options.json)


COMMANDS: dict[str, Callable[..., int]] = {
    "classify": classify,
    "run": run,
    "daemon": daemon,
    "calibrate": calibrate,
    "settings": settings,
    "doctor": doctor,
}


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
    loaded = load(options.config, [*options.set, *flags])
    if getattr(options, "page_picture", None) and not loaded.settings.page.port:
        raise SettingsError("--page-picture: there is no page: give --page ADDRESS:PORT, too")
    return loaded


def _lasting(loaded: Loaded) -> Settings:
    """The settings, for the daemon, which waits for its source as long as it takes."""
    source = loaded.settings.camera.source
    if source in ("", "camera", "sample"):
        raise SettingsError(
            f"camera.source = {source!r}: the daemon takes 'auto', or the URI of a camera, a "
            "stream or a file"
        )
    return loaded.settings


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
        if again and not is_live(source):
            _tell(f"playing {source} until Ctrl-C")
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
        none = "no camera found, and " if source == "auto" else ""
        raise SourceError(f"{none}{sample} is missing: run `make models`")
    often = "until Ctrl-C" if again else "once"
    _tell(("no camera found: " if source == "auto" else "") + f"playing {sample} {often}")
    return str(sample)


def _refuse(message: str) -> None:
    raise SettingsError(message)


@contextmanager
def _written(what: str) -> Iterator[None]:
    """Raises OutputError where a full disk does not take `what`, BrokenPipeError past `| head`."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {what}: {error.strerror}") from None


def _abandon_stdout() -> None:
    """Let Python's own flush at exit go nowhere, instead of failing once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(message: object) -> None:
    with suppress(OSError):  # a full disk behind stderr: there is nobody left to tell
        print(f"edge: {message}", file=sys.stderr, flush=True)
