"""What the command line of `python -m edge` takes, and what numbers any other may ask for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path

from edge.settings.load import SYSTEM_FILE


def parser(commands: Mapping[str, Callable[..., int]]) -> argparse.ArgumentParser:
    """The parser of the command line. `commands`: name → what runs it, as `options.command`."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--model", help="classifier: svm, gnn or both (default: svm)")
    common.add_argument("--models", metavar="DIR", help="the model bundle")
    common.add_argument(
        "--config",
        type=_path,
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

    whole = argparse.ArgumentParser(
        prog="python -m edge", description="Facial expressions from face meshes, as JSON lines."
    )
    parts = whole.add_subparsers(required=True, metavar="COMMAND")

    one = parts.add_parser("classify", parents=[common], help="read pictures, folders and videos")
    one.set_defaults(command=commands["classify"], refuse=one.error)
    one.add_argument(
        "paths",
        nargs="+",
        type=_file,
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
        "--annotate", type=_path, metavar="DIR", help="write pictures with the reading drawn in"
    )

    loop = parts.add_parser("run", parents=[common, shown], help="read a camera until stopped")
    loop.set_defaults(command=commands["run"], refuse=loop.error)
    loop.add_argument(
        "--source",
        metavar="auto|camera|sample|URI",
        help="auto takes a camera where there is one, else the sample; a URI is picamera2:, "
        "v4l2:0, http://…, rtsp://…, a video, or a folder (default: auto)",
    )

    service = parts.add_parser("daemon", parents=[common, shown], help="the same as a service")
    service.set_defaults(command=commands["daemon"], refuse=service.error)
    service.add_argument("--source", metavar="auto|URI", help="a camera, a stream, a file")

    rest = parts.add_parser(
        "calibrate", parents=[common], help="learn a person's resting face, in five seconds"
    )
    rest.set_defaults(command=commands["calibrate"], refuse=rest.error)
    rest.add_argument("--source", metavar="auto|URI", help="a camera, a stream, a video")
    rest.add_argument("--out", metavar="FILE", help="where to keep it (classify.baseline)")

    print_them = parts.add_parser("settings", parents=[common], help="print the effective settings")
    print_them.set_defaults(command=commands["settings"], refuse=print_them.error)

    look = parts.add_parser("doctor", parents=[common], help="say what is missing or wrong")
    look.set_defaults(command=commands["doctor"], refuse=look.error)
    look.add_argument("--source", metavar="auto|URI", help="a camera, a stream, a file")
    look.add_argument("--json", action="store_true", help="for machines: a list of objects")
    return whole


def number(kind: type, least: float, most: float = inf) -> Callable[[str], float]:
    """An argument's type: a `kind` from `least` to `most`."""

    def parse(text: str) -> float:
        try:
            value: float = kind(text)
        except ValueError:
            value = inf
        if not least <= value <= most or value == inf:
            allowed = f"from {least:g}" + (f" to {most:g}" if most < inf else " on")
            what = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"{text}: has to be a {what} {allowed}")
        return value

    return parse


def _file(text: str) -> Path:
    if "://" in text:
        raise argparse.ArgumentTypeError(f"{text}: is no file; `run --source` reads streams")
    return _path(text)


def _path(text: str) -> Path:
    if not text:  # Path("") is the working directory, and nobody means that by an unset variable
        raise argparse.ArgumentTypeError("an empty path: is a variable not set?")
    return Path(text)
