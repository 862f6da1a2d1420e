"""Which picture trains and which one judges: decided once, honestly, and written to disk.

Copies (the same bytes), near copies (the same picture re-encoded, re-cut or mirrored) and, where
names tell, all pictures of one person form one group. A group never crosses a split.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from train.dataset import Picture

NEAR = 0.94
"""Correlation of two fingerprints from which two pictures count as one. Looked at in pairs on
FER-2013 and muxspace: above it nearly all are the same picture, below 0.93 most are not."""
THUMBNAIL = 16
"""Side of the fingerprint, pixels."""
VALIDATION_SHARE = 0.15
"""Of the groups of a source that has no validation set of its own."""
SALT = "3"
"""Goes into the hash that chooses these groups. Of muxspace's people who look disgusted, five have
nearly all the pictures: 3 is the first number with which 10 to 30 % of every class validate."""
_OFFICIAL = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
_RANK = {"train": 0, "validation": 1, "test": 2}


def near_of(manifest: Mapping[str, Any]) -> float:
    """The likeness by which the training of a bundle told near copies; NEAR where none is told."""
    return float((manifest.get("dataset") or {}).get("near", NEAR))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where one picture goes."""

    group: int
    """Number of its group."""
    split: str
    """"train", "validation", "test", or "dropped"."""
    why: str
    """Why it was dropped; empty otherwise."""


def fingerprint(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A perceptual hash in real numbers: the grey 16×16 thumbnail, mean 0, norm 1, (256,).

    Zero for a picture without contrast: it is like nothing, not even like another of its kind.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    vector = small.astype(np.float32).ravel()
    vector -= vector.mean()
    norm = np.linalg.norm(vector)
    return vector / norm if norm > THUMBNAIL else np.zeros_like(vector)


def near_pairs(
    prints: NDArray[np.float32], near: float = NEAR, block: int = 2048
) -> NDArray[np.intp]:
    """Pairs (P, 2) of rows of `prints` (N, 256) that show one picture, also when mirrored."""
    side = prints.reshape(-1, THUMBNAIL, THUMBNAIL)
    mirrored = np.ascontiguousarray(side[:, :, ::-1]).reshape(prints.shape)
    found = [np.empty((0, 2), np.intp)]
    for start in range(0, len(prints), block):
        rows = prints[start : start + block]
        for others in (prints[start:], mirrored[start:]):
            i, j = np.nonzero(rows @ others.T >= near)
            found.append(np.stack([i, j], axis=1)[j > i] + start)
    return np.concatenate(found)


class _Groups:
    """Union-find."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, i: int) -> int:
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        a, b = sorted((self.find(i), self.find(j)))
        self._parent[b] = a


def decide(
    pictures: Sequence[Picture],
    contents: Sequence[str],
    prints: NDArray[np.float32],
    near: float = NEAR,
) -> list[Verdict]:
    """A verdict for each picture.

    `contents` are sha256 of the files, `prints` (N, 256) their fingerprints, `near` the likeness
    from which two pictures count as one. Rules, in order:
    copies whose labels conflict are all dropped; one of several identical files stays; a group
    goes where its official split says (the test set before validation before training), and
    members that officially belong elsewhere are dropped; a group without an official split goes
    by a hash of its name, so that adding pictures moves no other group.
    """
    groups = _Groups(len(pictures))
    by_key: dict[str, int] = {}
    for i, (picture, content) in enumerate(zip(pictures, contents, strict=True)):
        for key in (content, picture.person):
            if key is not None:
                groups.join(by_key.setdefault(key, i), i)
    unique = np.array(sorted({contents[i]: i for i in reversed(range(len(pictures)))}.values()))
    for i, j in unique[near_pairs(prints[unique], near)] if len(unique) else ():
        groups.join(int(i), int(j))

    copies, members = defaultdict(list), defaultdict(list)
    for i in range(len(pictures)):
        copies[contents[i]].append(i)
        members[groups.find(i)].append(i)
    why = [""] * len(pictures)
    for same in copies.values():
        if len({pictures[i].label for i in same}) > 1:
            for i in same:
                why[i] = "copies with conflicting labels"

    split = [""] * len(pictures)
    for group in members.values():
        official = [_OFFICIAL.get(pictures[i].official_split or "") for i in group]
        known = [name for name in official if name]
        place = max(known, key=_RANK.__getitem__) if known else _by_hash(pictures[group[0]])
        for i, own in zip(group, official, strict=True):
            split[i] = place
            if own not in (None, place) and not why[i]:
                why[i] = f"like a picture of the {place} set"
    for same in copies.values():
        for i in [i for i in same if not why[i]][1:]:
            why[i] = "copy"
    return [
        Verdict(groups.find(i), "dropped" if why[i] else split[i], why[i])
        for i in range(len(pictures))
    ]


def _by_hash(picture: Picture) -> str:
    digest = hashlib.sha256((SALT + (picture.person or picture.id)).encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return "validation" if share < VALIDATION_SHARE else "train"


def write(path: Path, pictures: Sequence[Picture], verdicts: Sequence[Verdict]) -> None:
    """The decision as a table that a person can read and check."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "label", "group", "split", "why"))
        for picture, verdict in zip(pictures, verdicts, strict=True):
            rows.writerow((picture.id, picture.label, verdict.group, verdict.split, verdict.why))


def summary(pictures: Sequence[Picture], verdicts: Sequence[Verdict]) -> list[str]:
    """Counts to tell a person, a line each."""
    counts = Counter(
        (picture.source, verdict.split, verdict.why)
        for picture, verdict in zip(pictures, verdicts, strict=True)
    )
    return [
        f"{source}: {count} {split}" + (f" ({why})" if why else "")
        for (source, split, why), count in sorted(counts.items())
    ]
