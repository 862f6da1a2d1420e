"""`make convert`: what training made → `models/svm.npz` and `models/manifest.json`.

Before anything is written the arrays are run by the device's own code over the whole validation
set and compared with scikit-learn: the same label for every mesh, probabilities within 1e-5.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from convert.wheels import sha256_of, table
from edge.arrays import load
from edge.bundle import DEFAULT_DIR, FORMAT, MANIFEST
from edge.classify.svm import ARRAYS, SupportVectorMachine
from edge.errors import EdgeError, SetupError
from edge.features import FEATURES
from edge.types import CLASSES

TOLERANCE = 1e-5
"""Largest difference of a probability from scikit-learn's."""
LIMIT = 3_000_000
"""Bytes that the shipped file may have."""
RECIPE = "svm"
"""The one of `train.svm.RECIPES` that is shipped."""
_PACKAGES = ("numpy", "scikit-learn", "ai-edge-litert", "opencv-python-headless")


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert one trained SVM; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m convert", description=__doc__)
    parser.add_argument("--trained", type=Path, default=Path("build/train/svm.npz"))
    parser.add_argument("--models", type=Path, default=DEFAULT_DIR, help="where the bundle goes")
    parser.add_argument(
        "--as-svm", action="store_true", help="let another recipe take the place of svm"
    )
    options = parser.parse_args(arguments)
    try:
        convert(options.trained, options.models, as_svm=options.as_svm)
    except EdgeError as error:
        print(f"convert: {error}", file=sys.stderr)
        return 1
    return 0


def convert(trained: Path, models: Path, *, as_svm: bool = False) -> None:
    """Write `svm.npz` and the manifest into `models`, if they agree with scikit-learn.

    Raises SetupError otherwise, and leaves the bundle that was there. A bundle in another folder
    gets the checkout's face networks, so that the device can open it. `as_svm`: convert another
    recipe than the shipped one, too; the device will know it as "svm".
    """
    if not trained.is_file():
        raise SetupError(f"{trained} is missing: run `make train DATA=…` first")
    names = [f"array_{name}" for name in ARRAYS]
    file = load(
        trained, ["description", "validation_landmarks", "validation_probabilities", *names]
    )
    try:
        description = json.loads(str(file["description"]))
        recipe, known = description["recipe"], description["feature"] in FEATURES
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"{trained}: not what this version's training writes ({error}): train again"
        ) from None
    if recipe != RECIPE and not as_svm:
        raise SetupError(
            f"{trained}: this is the {recipe}, not the {RECIPE}: give --as-svm to ship it instead"
        )
    if not known:
        raise SetupError(f"{trained}: unknown feature {description['feature']!r}: train again")
    arrays = {name: _plain(file[f"array_{name}"]) for name in ARRAYS}
    landmarks, expected = file["validation_landmarks"], file["validation_probabilities"]
    if description["classes"] != list(CLASSES):
        raise SetupError(f"{trained}: trained on other classes: {description['classes']}")

    try:
        models.mkdir(parents=True, exist_ok=True)
        # Both files are complete before either replaces what was there.
        with tempfile.TemporaryDirectory(dir=models) as temporary:
            path = Path(temporary) / "svm.npz"
            np.savez_compressed(path, **arrays)
            parity = compare(path, description["feature"], landmarks, expected)
            size = path.stat().st_size
            if size > LIMIT:
                raise SetupError(f"svm.npz would have {size:,} bytes; allowed are {LIMIT:,}")
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            manifest = _manifest(description, arrays, parity, size, sha256)
            text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
            (Path(temporary) / MANIFEST).write_text(text, encoding="utf-8")
            path.replace(models / "svm.npz")
            (Path(temporary) / MANIFEST).replace(models / MANIFEST)
        missing = _complete(models)
    except OSError as error:
        raise SetupError(f"{models}: cannot be written: {error.strerror or error}") from None
    vectors = len(arrays["support_vectors"])
    print(f"recipe {recipe} of {trained}, {vectors} support vectors")
    print(f"wrote {models / 'svm.npz'} ({size / 1e6:.2f} MB)")
    print(f"wrote {models / MANIFEST}")
    print(
        f"{parity['meshes']} validation meshes: same labels as scikit-learn, probabilities within "
        f"{parity['largest_difference']:.1e}"
    )
    if missing:
        told = f"{models} still lacks {', '.join(missing)}: run `make models`, then this again"
        print(f"convert: {told}", file=sys.stderr)


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


def _manifest(
    description: dict[str, Any],
    arrays: dict[str, np.ndarray],
    parity: dict[str, Any],
    size: int,
    sha256: str,
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "classes": list(CLASSES),
        "networks": _networks(),
        "models": {
            "svm": {
                "file": "svm.npz",
                "sha256": sha256,
                "bytes": size,
                "feature": {
                    "name": description["feature"],
                    "version": FEATURES[description["feature"]].version,
                    "shape": [FEATURES[description["feature"]].size],
                },
                "arrays": {
                    name: {"shape": list(value.shape), "dtype": str(value.dtype)}
                    for name, value in arrays.items()
                },
                "parity": parity,
                "metrics": _metrics(description["training"]),
            }
        },
        "dataset": description["dataset"],
        "meshes": description["meshes"],
        "made_with": {"python": platform.python_version(), **_versions()},
    }


def compare(
    path: Path, feature: str, landmarks: np.ndarray, expected: np.ndarray
) -> dict[str, Any]:
    """Run the device's SVM over `landmarks` (V, 468, 3); compare with `expected` (V, 7).

    Raises SetupError when a label differs or a probability is further off than TOLERANCE.
    """
    compute = FEATURES[feature].compute
    classifier = SupportVectorMachine(path, FEATURES[feature].size)
    got = np.stack([classifier(compute(mesh)) for mesh in landmarks])
    if got.shape != expected.shape:
        raise SetupError(f"{len(got)} meshes, but answers of shape {expected.shape}: train again")
    different = int((got.argmax(axis=1) != expected.argmax(axis=1)).sum())
    largest = float(np.abs(got - expected).max())
    if different or not largest <= TOLERANCE:  # `not <=` also catches NaN
        raise SetupError(
            f"{different} of {len(got)} labels differ from scikit-learn's, probabilities by up to "
            f"{largest:.1e} (allowed {TOLERANCE:.0e}): not written"
        )
    return {"meshes": len(got), "different_labels": different, "largest_difference": largest}


def _plain(value: np.ndarray) -> np.ndarray:
    """float32, but for what was trained in float16 and loses nothing there."""
    half = value.astype(np.float16)
    small = value.ndim and np.array_equal(half.astype(value.dtype), value)
    return half if small else value.astype(np.float32)


def _metrics(training: dict[str, Any]) -> dict[str, Any]:
    def short(figures: dict[str, Any]) -> dict[str, Any]:
        return {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in figures.items()
            if key in ("pictures", "accuracy", "macro_f1")
        }

    return {name: short(figures) for name, figures in training["sources"].items()}


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
