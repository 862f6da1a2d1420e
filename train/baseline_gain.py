"""What a person's resting face (`edge.baseline`) is worth: `python -m train.baseline_gain`.

On people of whom a data set has several pictures, one of them neutral: that one is the baseline,
and the others are read with and without it. The strength is chosen on people of the training split,
and reported on people of the validation split.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge.arrays import load
from edge.baseline import Baseline, mean_neutral
from edge.bundle import DEFAULT_DIR, Bundle
from edge.classify import Classifier, open_classifier
from edge.errors import EdgeError, SourceError
from edge.features import aligned
from edge.types import CLASSES
from train.dataset import Picture

STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
MOST_TESTED, MOST_BASELINES = 15, 4
"""Pictures of one person that are read, and neutral ones that are baselines in turn."""
FEWEST_FOR_MEAN = 3
"""Neutral pictures, beside the one that is read, of which a mean is taken."""
BELIEVED = 0.5
"""Presence of a mesh that is looked at."""
_NEUTRAL = CLASSES.index("neutral")
_STERN = (CLASSES.index("angry"), CLASSES.index("sad"))
Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """Pictures of people of one split: aligned meshes, labels, whose they are."""

    mesh: Array
    """(N, 468, 3) float32."""
    label: Array
    """(N,) indices into CLASSES."""
    rows: Mapping[str, Array]
    """Person → rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What was read: a picture with one baseline a row."""

    person: Array
    """(M,) whose."""
    label: Array
    """(M,) the truth."""
    weight: Array
    """(M,) 1 / number of baselines that the picture was read with: pictures count alike."""
    read: Array
    """(M, S) what was read at each of STRENGTHS."""

    def share(self, right: Array, among: Array) -> Array:
        """(S,) weighted share of `right` (M, S) among some rows (M,)."""
        weight = self.weight[among, None]
        share: Array = (right[among] * weight).sum(axis=0) / weight.sum()
        return share

    def figures(self) -> dict[str, Array]:
        """Name → (S,)."""
        right, neutral = self.read == self.label[:, None], self.label == _NEUTRAL
        return {
            "accuracy": self.share(right, np.full(len(neutral), True)),
            "neutral right": self.share(right, neutral),
            "neutral called angry or sad": self.share(np.isin(self.read, _STERN), neutral),
            "others right": self.share(right, ~neutral),
        }

    def gain(self, strength: int, draws: int = 2000) -> tuple[float, float, float]:
        """Accuracy won at a strength (its index), and its 95 % interval over people."""
        right = self.read == self.label[:, None]
        won = (right[:, strength].astype(float) - right[:, 0]) * self.weight
        _, of = np.unique(self.person, return_inverse=True)
        sums, weights = np.bincount(of, won), np.bincount(of, self.weight)
        drawn = np.random.default_rng(0).integers(0, len(sums), (draws, len(sums)))
        shares = sums[drawn].sum(axis=1) / weights[drawn].sum(axis=1)
        low, high = np.percentile(shares, [2.5, 97.5])
        return float(sums.sum() / weights.sum()), float(low), float(high)


def people(folder: Path) -> dict[str, People]:
    """Split → people with a neutral picture and another one, from training's --out.

    Raises SourceError where there are none.
    """
    found = load(folder / "meshes.npz", ("id", "landmarks", "presence"))
    with (folder / "splits.csv").open(encoding="utf-8", newline="") as file:
        verdicts = {row["id"]: (row["split"], int(row["label"])) for row in csv.DictReader(file)}
    rows: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    label = np.full(len(found["id"]), -1)
    for i, name in enumerate(found["id"].tolist()):
        split, label[i] = verdicts.get(name, ("", -1))
        source, _, rest = name.partition("/")
        person = Picture(Path(source), rest, 0).person
        if person and split in ("train", "validation") and found["presence"][i] >= BELIEVED:
            rows[split][person].append(i)
    told = {}
    for split, of in rows.items():
        chosen = {
            person: np.array(mine)
            for person, mine in sorted(of.items())
            if len(mine) > 1 and (label[mine] == _NEUTRAL).any()
        }
        wanted = np.concatenate([*chosen.values(), np.empty(0, int)])
        mesh = np.zeros_like(found["landmarks"])
        for i in wanted:
            mesh[i] = aligned(found["landmarks"][i])
        told[split] = People(mesh, label, chosen)
    if any(split not in told or not told[split].rows for split in ("train", "validation")):
        raise SourceError(f"{folder}: nobody has several pictures, one of them neutral")
    return told


def trials(of: People, mean: bool) -> Iterable[tuple[str, int, list[Array]]]:
    """(person, row that is read, baselines (468, 3)); `mean`: one baseline, of many pictures."""
    rng = np.random.default_rng(0)
    for person, rows in of.rows.items():
        neutral = rng.permutation(rows[of.label[rows] == _NEUTRAL])
        for row in rng.permutation(rows)[:MOST_TESTED]:
            others = neutral[neutral != row]
            if mean and len(others) >= FEWEST_FOR_MEAN:
                yield person, int(row), [of.mesh[others].mean(axis=0)]
            elif not mean and len(others):
                yield person, int(row), list(of.mesh[others[:MOST_BASELINES]])


def answers(of: People, classifier: Classifier, average: Array, mean: bool) -> Answers:
    """Read them all. `average`: the bundle's mean neutral face."""
    collected: list[tuple[str, int, float, list[int]]] = []
    hidden = not sys.stderr.isatty()
    for person, row, resting in tqdm(list(trials(of, mean)), disable=hidden, unit="picture"):
        for face in resting:
            read = []
            for strength in STRENGTHS:
                seen = Baseline(face, average, strength)(of.mesh[row])
                read.append(int(classifier.predict(classifier.features(seen)).argmax()))
            collected.append((person, int(of.label[row]), 1 / len(resting), read))
    columns = zip(*collected, strict=True)
    return Answers(*(np.array(column) for column in columns))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m train.baseline_gain", description=__doc__)
    parser.add_argument("--trained", type=Path, default=Path("build/train"))
    parser.add_argument("--models", type=Path, default=DEFAULT_DIR)
    options = parser.parse_args(arguments)
    try:
        bundle = Bundle.open(options.models)
        average, of = mean_neutral(bundle), people(options.trained)
        for name in bundle.models:
            classifier = open_classifier(bundle, name)
            for mean in (False, True):
                _report(
                    f"{name}, {'mean of other neutral pictures' if mean else 'one picture'}",
                    {
                        split: answers(of[split], classifier, average, mean)
                        for split in ("train", "validation")
                    },
                )
    except EdgeError as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    return 0


def _report(title: str, found: Mapping[str, Answers]) -> None:
    best = int(found["train"].figures()["accuracy"].argmax())
    print(f"\n## {title}\n")
    print("| people | figure | " + " | ".join(map(str, STRENGTHS)) + " |")
    print("| --- | --- |" + " --- |" * len(STRENGTHS))
    for split, one in found.items():
        told = f"{split}: {len(np.unique(one.person))}, {one.weight.sum():.0f} pictures"
        for figure, values in one.figures().items():
            print(f"| {told} | {figure} | " + " | ".join(f"{v:.3f}" for v in values) + " |")
    won, low, high = found["validation"].gain(best)
    print(
        f"\nBest on training people: {STRENGTHS[best]}. Validation people win {won:+.3f} "
        f"(95 % {low:+.3f} to {high:+.3f}) by it."
    )


if __name__ == "__main__":
    sys.exit(main())
