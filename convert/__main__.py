"""`make convert`: what training made → `models/`: SVM, graph network, manifest, model card.

Nothing is written unless the device's own code gives the training library's answers on the whole
validation set: see `convert.svm` and `convert.gnn`.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from convert import both, calibration, card, gnn, neutral, plausible, risk, svm, twice
from convert.trained import Trained, short
from convert.wheels import sha256_of, table
from edge import quiet
from edge.bundle import DEFAULT_DIR, FORMAT, MANIFEST, Bundle
from edge.errors import EdgeError, SetupError
from edge.types import CLASSES
from train.evaluate import by_source

CONVERTERS = {"svm": svm.convert, "gnn": gnn.convert}
_PACKAGES = (
    "numpy", "scikit-learn", "tensorflow", "tf-keras", "spektral", "ai-edge-litert",
    "opencv-python-headless",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert what was trained; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m convert", description=__doc__)
    parser.add_argument(
        "--trained", type=Path, default=Path("build/train"), help="training's --out"
    )
    parser.add_argument("--models", type=Path, default=DEFAULT_DIR, help="where the bundle goes")
    parser.add_argument(
        "--only", choices=tuple(CONVERTERS), help="this one alone; the bundle loses the other"
    )
    options = parser.parse_args(arguments)
    quiet.begun()
    try:
        convert(options.trained, options.models, options.only)
    except EdgeError as error:
        print(f"convert: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("convert: stopped", file=sys.stderr)
        return 130
    return 0


def convert(folder: Path, models: Path, only: str | None = None) -> None:
    """Write a bundle of what is in `folder` into `models`.

    Raises SetupError where a classifier does not agree with the library that trained it, and
    leaves the bundle that was there. Another folder than the checkout's gets the face networks,
    too, so that the device can open it.
    """
    wanted = (only,) if only else tuple(CONVERTERS)
    found = [name for name in wanted if (folder / f"{name}.npz").exists()]
    if not found:
        files = " or ".join(f"{name}.npz" for name in wanted)
        raise SetupError(f"{folder}: no {files} in it: run `make train DATA=…` first")
    trained = {name: Trained.open(folder / f"{name}.npz", name) for name in found}
    before = _models(models)
    try:
        models.mkdir(parents=True, exist_ok=True)
        # All files are complete before one replaces what was there.
        with tempfile.TemporaryDirectory(dir=models) as temporary:
            made = Path(temporary)
            manifest = _bundle(trained, made, folder)
            (made / MANIFEST).write_text(
                json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
            )
            (made / card.FILE).write_text(card.text(manifest), encoding="utf-8")
            for path in sorted(made.iterdir(), key=lambda path: path.name == MANIFEST):
                path.replace(models / path.name)
                print(f"wrote {models / path.name}")
        missing = _complete(models)
    except BaseException as error:
        with suppress(OSError):
            models.rmdir()  # a folder that is still empty
        if isinstance(error, OSError):
            told = f"{models}: cannot be written: {error.strerror or error}"
            raise SetupError(told) from None
        raise
    gone = sorted(before - _models(models))
    if gone:
        told = f"{models} had {', '.join(gone)}, too: not trained in {folder}, so left out now"
        print(f"convert: {told}", file=sys.stderr)
    if missing:
        told = f"{models} still lacks {', '.join(missing)}: run `make models`, then this again"
        print(f"convert: {told}", file=sys.stderr)


def _models(models: Path) -> set[str]:
    """Names of the classifiers in the bundle that is there, if any."""
    try:
        return set(Bundle.open(models).models)
    except SetupError:
        return set()


def _bundle(trained: dict[str, Trained], made: Path, folder: Path) -> dict[str, Any]:
    """Write the classifiers' files into `made`; the manifest. `folder`: training's."""
    first = next(iter(trained.values()))
    facts = plausible.open_facts(folder, first.description, len(first.label))
    entries: dict[str, Any] = {}
    answers: dict[str, np.ndarray] = {}
    mirrored: dict[str, np.ndarray] = {}
    for name, one in trained.items():
        print(f"{name}, as trained in {one.path}:", flush=True)
        entries[name], answers[name], answer = CONVERTERS[name](one, made)
        others = one.features(facts["validation_mirrored"])
        mirrored[name] = np.stack([answer(feature) for feature in others])
        for part in (entries[name], entries[name].get("normaliser")):
            if part:
                part["sha256"] = sha256_of(made / part["file"])
        print(f"  {_sentence(entries[name], len(one.label))}", flush=True)
    if len(trained) > 1:
        entries["both"], answers["both"], mirrored["both"] = both.combine(
            trained, answers, mirrored, facts["validation_group"]
        )
        shown = f"weights {entries['both']['weights']}, temperature"
        print(f"both: {shown} {entries['both']['temperature']}")
    pairs = {name: np.stack([answers[name], mirrored[name]], axis=1) for name in answers}
    limits = _trust(entries, pairs, first, facts)
    described = first.description
    return {
        "format": FORMAT,
        "classes": list(CLASSES),
        "networks": _networks(),
        "models": entries,
        "plausible": limits,
        "neutral": neutral.export(facts, made),
        "dataset": described["dataset"],
        "meshes": described["meshes"],
        "made_with": {"python": platform.python_version(), **_versions()},
    }


def _trust(
    entries: dict[str, Any],
    pairs: dict[str, np.ndarray],
    first: Trained,
    facts: dict[str, np.ndarray],
) -> dict[str, Any]:
    """Add to each entry what the device reads, and how far its confidence may be trusted; the
    limits of plausible meshes.

    `pairs`: (V, 2, 7) what each model makes of the validation pictures and their mirror images.
    """
    label, judged, group = first.label, first.judged, facts["validation_group"]
    limits = plausible.fit(facts)
    told = judged & plausible.passes(limits, facts, cropped=False)
    right = {}
    for name, pair in pairs.items():
        sharpness = twice.fit(pair[judged], label[judged])
        got = twice.together(pair, sharpness)
        right[name] = got.argmax(axis=1) == label
        once = by_source(label, pair[:, 0].argmax(axis=1), first.source)
        honest = calibration.crossed(twice.fitting(pair, label), group, judged)
        figures = calibration.figures(honest, label, first.source, judged)
        rows = risk.table(got.max(axis=1)[told], ~right[name][told], group[told])
        entries[name] |= {
            "sharpness": sharpness,
            "metrics": short(by_source(label, got.argmax(axis=1), first.source)),
            "once": {source: round(of["accuracy"], 4) for source, of in once.items()},
            "calibration": figures,
            "risks": rows,
        }
        kept = ", ".join(f"{row['risk']:g}: {row['coverage']:.0%}" for row in rows) or "none"
        error = figures["trained on"]["ece"]
        print(f"{name}: calibration error {error:.3f}; risk: coverage {kept}")
    found = plausible.entry(limits, facts, right, first.source)
    print(f"plausible: {found}")
    return found


def _sentence(entry: dict[str, Any], meshes: int) -> str:
    if entry["kind"] == "svm":
        return (
            f"{meshes} validation meshes: same labels as scikit-learn, probabilities within "
            f"{entry['parity']['largest_difference']:.1e}; {entry['bytes'] / 1e6:.2f} MB"
        )
    same = entry["variants"][entry["quantisation"]]["same_label_as_keras"]
    return (
        f"{meshes} validation meshes: Keras' label for {same:.2%} of them as "
        f"{entry['quantisation']}; {entry['bytes'] / 1e6:.2f} MB"
    )


def _complete(models: Path) -> list[str]:
    """Copy the face networks from the checkout into `models`; names of those that it lacks."""
    missing = []
    for name, sha256 in _networks().items():
        if sha256_of(models / name) == sha256:
            continue
        if sha256_of(DEFAULT_DIR / name) == sha256:
            shutil.copyfile(DEFAULT_DIR / name, models / name)
        else:
            missing.append(name)
    return missing


def _networks() -> dict[str, str]:
    return {m.file: m.sha256 for m in table() if m.file.endswith(".tflite")}


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
