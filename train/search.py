"""`make search DATA=…`: look for a better SVM on the validation set.

Every candidate is a scikit-learn pipeline, scored by `cross_validate` on one predefined split:
fitted on the training pictures and other views of them, judged on validation. Each result is a line
of `search.jsonl`; what is in there already is not computed again, so the search can be stopped.
Candidates are tried side by side, as many as memory allows, or on a cluster.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from joblib import cpu_count, parallel_config
from sklearn.decomposition import PCA
from sklearn.model_selection import ParameterGrid, PredefinedSplit, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from edge import disk, host
from edge.features import NOSE_TIP, aligned, distances
from train import command, spread, svm
from train.fitted import features as shipped
from train.machine import LeastSquaresSvm, PartlyWhitenedPca
from train.prepare import Data, made
from train.views import OTHERS

GRID: list[dict[str, list[Any]]] = [
    # The mission's baseline, from several reference points (nose tip and bridge, chin, mouth).
    {
        "machine": ["svc"],
        "feature": ["distances"],
        "components": [50],
        "C": [5],
        "reference": [1, 168, 152, 13],
    },
    # The same SVC on aligned coordinates: of all points, and of those that expressions move.
    {"machine": ["svc"], "feature": ["aligned_xyz", "inner_xyz"], "C": [2, 5]},
    # The reduced machine: size, then one setting at a time.
    {"vectors": [2000, 4000, 8000]},
    {"components": [48, 64, 128]},
    {"whitening": [0.6, 1.0]},
    {"gamma": [0.5, 2.0]},
    {"C": [3, 30]},
    {"balance": [0.0, 0.6]},
    {"views": [[], ["mirrored"], ["mirrored", "turned", "degraded"]]},
    {"jitter": [0.1, 1.0]},
    {"feature": ["aligned_xyz"], "components": [128]},
]
"""Changes to DEFAULT that are tried."""
DEFAULT: dict[str, Any] = {
    "machine": "reduced",
    "feature": "inner_xyz",
    "reference": NOSE_TIP,
    "components": 80,
    "whitening": 0.8,
    "vectors": 12000,
    "gamma": 1.0,
    "C": 10.0,
    "balance": 0.3,
    "jitter": 0.01,
    "views": list(svm.VIEWS),
}

NEEDS = 3 * 2**30
"""Bytes of memory that a candidate takes, about."""


def candidates() -> Iterator[dict[str, Any]]:
    """Every candidate once."""
    seen = set()
    for change in ParameterGrid(GRID):
        candidate = DEFAULT | change
        if candidate["machine"] == "svc":
            candidate = DEFAULT | {"views": []} | change
        key = json.dumps(candidate, sort_keys=True)
        if key not in seen:
            seen.add(key)
            yield candidate


def pipeline(candidate: Mapping[str, Any], candidates: int | None = None) -> Pipeline:
    """The scikit-learn pipeline of a candidate; `candidates`: see `LeastSquaresSvm`."""
    if candidate["machine"] == "svc":
        return make_pipeline(
            PCA(candidate["components"], random_state=0),
            StandardScaler(),
            SVC(C=candidate["C"], cache_size=2000),
        )
    return make_pipeline(
        PartlyWhitenedPca(candidate["components"], candidate["whitening"]),
        LeastSquaresSvm(
            **{name: candidate[name] for name in ("vectors", "gamma", "C", "balance", "jitter")},
            candidates=candidates,
        ),
    )


def features(candidate: Mapping[str, Any], landmarks: np.ndarray) -> np.ndarray:
    """(N, 468, 3) → (N, d), also of features that are not shipped."""
    if candidate["feature"] == "distances":
        rows = [distances(mesh, candidate["reference"]) for mesh in landmarks]
    elif candidate["feature"] == "aligned_xyz":
        rows = [aligned(mesh).ravel() for mesh in landmarks]
    else:
        return shipped(candidate["feature"], landmarks)
    return np.stack(rows).astype(np.float64)


def score(
    candidate: Mapping[str, Any],
    label: np.ndarray,
    asked_landmarks: np.ndarray,
    asked_label: np.ndarray,
    landmarks: np.ndarray,
    *others: np.ndarray,
) -> dict[str, Any]:
    """Accuracy and macro-F1 on the validation pictures of the sources that train.

    `landmarks` (N, 468, 3) and `label` (N,) train, `others` are other views of them in the order
    of OTHERS, `asked_…` validate. One thread, so that sums round alike on every machine.
    """
    seen = dict(zip(OTHERS, others, strict=True))
    meshes = [landmarks, *(seen[view] for view in candidate["views"])]
    labels = [label[made(mesh)] for mesh in meshes]
    meshes = [mesh[made(mesh)] for mesh in meshes]
    fold = [-1] * sum(map(len, labels)) + [0] * len(asked_label)
    # A worker's own `cross_validate` must not ask the cluster for more.
    with threadpool_limits(1), parallel_config(backend="sequential"):
        result = cross_validate(
            pipeline(candidate, len(label)),
            features(candidate, np.concatenate([*meshes, asked_landmarks])),
            np.concatenate([*labels, asked_label]),
            cv=PredefinedSplit(fold),
            scoring=("accuracy", "f1_macro"),
            error_score="raise",
        )
    return {
        "candidate": dict(candidate),
        "accuracy": round(float(result["test_accuracy"][0]), 4),
        "macro_f1": round(float(result["test_f1_macro"][0]), 4),
        "seconds": round(float(result["fit_time"][0]), 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all candidates that were not tried yet; the exit status."""
    return command.run(command.parser("train.search", __doc__), arguments, search)


def search(data: Data, about: dict[str, Any], options: argparse.Namespace) -> None:
    """Score the candidates; a line of `search.jsonl` for each."""
    log = options.out / "search.jsonl"
    base = {key: about["dataset"][key] for key in ("fingerprint", "near", "train_on")}
    results = _results(log)
    done = {json.dumps(result["candidate"], sort_keys=True) for result in results}
    todo = [c for c in candidates() if json.dumps(c | base, sort_keys=True) not in done]
    judge = data.judged
    arrays = (
        data.label,
        data.validation_landmarks[judge],
        data.validation_label[judge],
        data.landmarks,
        *(data.views[view] for view in OTHERS),
    )
    memory = host.memory()
    fit = max(1, int(memory.total // NEEDS)) if memory else 1
    with spread.over(options.jobs or min(fit, cpu_count()), options.dask):
        for result in spread.each(score, ((candidate, *arrays) for candidate in todo)):
            result["candidate"] |= base
            results.append(result)
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
            print(_told(result), flush=True)
    ours = [result for result in results if base.items() <= result["candidate"].items()]
    print("the best:")
    for result in sorted(ours, key=lambda result: -result["accuracy"])[:10]:
        print(_told(result))


def _told(result: Mapping[str, Any]) -> str:
    """A result as a person reads it: figures, and what of the candidate is not DEFAULT."""
    figures = {key: value for key, value in result.items() if key != "candidate"}
    changed = {k: v for k, v in result["candidate"].items() if k in DEFAULT and v != DEFAULT[k]}
    return f"{figures} {changed}"


def _results(log: Path) -> list[dict[str, Any]]:
    """What is known already. A line that a full disk or a power cut left half is dropped."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    results = []
    for line in lines:
        with suppress(ValueError):
            results.append(json.loads(line))
    if len(results) < len(lines):
        disk.write(log, "".join(f"{json.dumps(result)}\n" for result in results).encode())
    return results


if __name__ == "__main__":
    sys.exit(main())
