"""Checks of the program: Python, packages, settings, models."""

from __future__ import annotations

import platform
import sys
from collections import Counter
from dataclasses import replace
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from edge import native
from edge.baseline import Baseline, absent
from edge.bundle import DEFAULT_DIR, Bundle
from edge.doctor.check import Case, Verdict, bad, ok, refused, warn
from edge.errors import EdgeError, SetupError
from edge.interpreter import runtime
from edge.pipeline import Recognizer
from edge.risk import least_confidence

_NEWEST = (3, 13)
"""The newest Python that there is a runtime for."""
_OPENCV = "run `make edge OPENCV=1`, or install again with OPENCV=1"
_INSTALL = "run `make edge`, or install again"


def python(case: Case) -> Verdict:
    """Which Python, on which machine."""
    told = f"{platform.python_version()} on {platform.machine()}"
    if sys.version_info[:2] > _NEWEST:
        return warn(told, f"use Python 3.11 to {_NEWEST[0]}.{_NEWEST[1]}: nothing newer was tried")
    return ok(told)


def tflite(case: Case) -> Verdict:
    """Which interpreter runs the networks."""
    try:
        package = runtime().__name__.split(".")[0]
    except SetupError as error:
        return refused(error, _INSTALL)
    return ok(f"{package.replace('_', '-')} {metadata.version(package)}")


def numpy(case: Case) -> Verdict:
    """Which numpy, and whether the camera's libraries get on with it."""
    system_camera = find_spec("picamera2") is not None
    # Debian 12's are built against numpy 1: with numpy 2, importing them fails.
    if system_camera and sys.version_info[:2] == (3, 11) and int(np.__version__.split(".")[0]) > 1:
        return bad(
            f"{np.__version__}, but picamera2 of Bookworm needs numpy 1",
            "run `.venv/bin/python -m pip install 'numpy<2'`, or install again",
        )
    return ok(np.__version__)


def kernels(case: Case) -> Verdict:
    """Whether the compiled kernels are in use."""
    if native.load() is None:
        return warn(
            "none for this machine: each frame takes a quarter more of the processor, in numpy",
            "run `sudo apt install gcc libc6-dev`, then `make edge`, or install again",
        )
    return ok("compiled")


def opencv(case: Case) -> Verdict:
    """OpenCV, which all sources need but the camera on the ribbon and .y4m files."""
    try:
        return ok(str(import_module("cv2").__version__))
    except ImportError as error:
        source = case.settings.camera.source
        ribbon = source == "auto" and find_spec("picamera2") is not None
        if ribbon or source == "picamera2:" or source.endswith(".y4m"):
            return ok(f"cannot be imported, and {source} does not need it")
        say = warn if source == "auto" else bad
        reason = next(iter(str(error).splitlines()), "no reason given")
        return say(f"cannot be imported ({reason}): no USB cameras, streams, pictures", _OPENCV)


def settings(case: Case) -> Verdict:
    """Whether the settings are valid, and where they come from."""
    if isinstance(case.loaded, EdgeError):
        return refused(
            case.loaded,
            "mend it; all lines below are about the default settings",
        )
    origins = Counter(origin.split(":")[0].split()[0] for origin in case.loaded.origins.values())
    told = ", ".join(f"{count} by {origin}" for origin, count in origins.items())
    return ok(f"valid; set: {told}" if told else "valid; all are the defaults")


def models(case: Case) -> Verdict:
    """Whether the files of the bundle are those of its manifest."""
    folder = _folder(case)
    try:
        bundle = Bundle.open(folder)
        files = dict(bundle.manifest["networks"])
        for entry in map(bundle.model, bundle.models):
            for part in (entry, entry.get("normaliser", {})):
                if "file" in part:
                    files[part["file"]] = part["sha256"]
        wrong = []
        for name, sha256 in files.items():
            try:
                bundle.file(name, sha256)
            except SetupError as error:
                wrong.append(error)
    except SetupError as error:
        return refused(error, "copy a whole bundle there, or name another by classify.bundle")
    if wrong:
        first = refused(wrong[0], "run `make models` and `git checkout models`, or install again")
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return replace(first, detail=first.detail + more)
    if case.settings.classify.model not in bundle.models:
        return bad(
            f"no model {case.settings.classify.model!r} in {folder}",
            f"set classify.model to one of {', '.join(bundle.models)}",
        )
    for table, risk in (("classify", case.settings.classify), ("smooth", case.settings.smooth)):
        key = f"{table}.max_risk"
        try:
            least_confidence(bundle, case.settings.classify.model, risk.max_risk, key)
        except SetupError as error:
            return bad(str(error), f"set {key} to one that it can keep")
    return ok(f"{', '.join(bundle.models)}: {len(files)} files of {folder} match the manifest")


def baseline(case: Case) -> Verdict:
    """Whether the resting face that the settings name is there, and fits the models."""
    named = case.settings.classify
    if not named.baseline:
        return ok("off (classify.baseline is empty)")
    path = Path(named.baseline)
    try:
        if Baseline.open(path, Bundle.open(_folder(case)), named.baseline_strength):
            return ok(f"{path}: a resting face is known")
    except SetupError as error:
        return refused(error, f"run `python -m edge calibrate --out {path}`")
    return replace(refused(SetupError(absent(path)), ""), state="warn")


def inference(case: Case) -> Verdict:
    """One frame through every model of the bundle, with the milliseconds that it takes."""
    folder = _folder(case)
    picture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    if case.settings.mesh.backend == "mediapipe" and find_spec("mediapipe") is None:
        return bad("mesh.backend is 'mediapipe', which is not installed", "set it to 'tflite'")
    # One look, as when tracking, and no second opinion on what is no face; nothing keeps still.
    mesh = replace(case.settings.mesh, backend="tflite", crop_looks=1, check=False)
    mesh = replace(mesh, crop_mirrored=False, still=False)
    chosen = case.settings.classify.model
    took, chosen_ms = [], 0.0
    try:
        for name in Bundle.open(folder).models:
            ms = _milliseconds(Recognizer(folder, name, cropped=True, mesh=mesh), picture)
            took.append(f"{name} {ms:.1f} ms")
            if name == chosen:
                chosen_ms = ms
        search_ms = _milliseconds(Recognizer(folder, chosen, tracking=True, mesh=mesh), picture)
    except EdgeError as error:
        return refused(error, "see the line on models")
    rate = case.settings.camera.frames_per_second
    told = f"{', '.join(took)} a frame; {search_ms:.1f} ms without a face"
    if chosen_ms * rate > 1e3:
        return warn(
            f"{told}: too slow for {rate:g} frames a second",
            f"lower the setting camera.frames_per_second to {int(1e3 / chosen_ms) or 0.5}",
        )
    return ok(told)


def _folder(case: Case) -> Path:
    return Path(case.settings.classify.bundle or DEFAULT_DIR)


def _milliseconds(recognise: Recognizer, picture: NDArray[np.uint8]) -> float:
    """The time that a picture takes: the median of nine, as other programs run too."""
    took = []
    for _ in range(9):
        start = perf_counter()
        recognise(picture)
        took.append((perf_counter() - start) * 1e3)
    return sorted(took)[4]
