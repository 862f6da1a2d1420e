"""Which pictures there are, which of them trained the bundle, and which are scored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.arrays import load
from edge.bundle import Bundle
from edge.cameras.opencv import decode
from edge.errors import SetupError, SourceError
from train import splits, spread
from train.dataset import Picture, fingerprint
from train.fitted import store
from train.splits import THUMBNAIL

Array = NDArray[Any]
SPLITS = ("unseen", "validation", "test", "all")
"""Which pictures are scored, see `chosen`."""
FACES = ("auto", "cropped", "photographs")
"""How pictures are read: for "cropped" a picture is a face, for "photographs" it has one."""
CROP_BELOW = 96
"""Median longer side, pixels, below which the pictures of a source are taken for face crops."""
VERSION = 1
"""Raised whenever `look` gives other columns."""


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What the files themselves tell, before anything is read in them. One row a picture."""

    pictures: Sequence[Picture]
    """N that can be decoded."""
    content: Array
    """(N,) sha256 of the file."""
    side: Array
    """(N,) longer side, pixels."""
    group: Array
    """(N,) copies, near copies and pictures of one person have the same number."""
    split: Array
    """(N,) "train", "validation", "test" or "dropped": see `train.splits`."""
    seen: Array
    """(N,) whether the picture, or one of its group, trained the bundle."""
    certain: bool
    """Whether these are the very pictures that the bundle was made with."""
    notes: Sequence[str]
    """What a person should be told."""

    @property
    def source(self) -> Array:
        """(N,) names of data sets."""
        return np.array([picture.source for picture in self.pictures])


def survey(pictures: Sequence[Picture], bundle: Bundle, folder: Path) -> Survey:
    """Groups and splits of `pictures`, and which of them trained `bundle`; kept in `folder`."""
    rows = spread.table(
        folder / "survey.npz",
        {
            "id": [picture.id for picture in pictures],
            "stamp": [picture.stamp() for picture in pictures],
        },
        lambda i: (pictures[i].id, pictures[i].stamp(), pictures[i].data()),
        look,
        columns=("id", "stamp", "content", "fingerprint", "side"),
        made_by=f"survey {VERSION}",
        what="looking at files",
    )
    good = rows["side"] > 0
    if not good.any():
        raise SourceError("none of the pictures can be read")
    broken = rows["id"][~good]
    notes = []
    if len(broken):
        notes.append(f"{len(broken)} unreadable pictures left out, such as {broken[0]}")
    kept = [picture for picture, keep in zip(pictures, good, strict=True) if keep]
    rows = {name: column[good] for name, column in rows.items()}
    trained = bundle.manifest.get("dataset") or {}
    verdicts = _verdicts(kept, rows, splits.near_of(bundle.manifest), folder)
    split = np.array([verdict.split for verdict in verdicts])
    group = np.array([verdict.group for verdict in verdicts])
    # One of several copies stays, maybe that of another source: its copies may have trained, too.
    copy = np.array([verdict.why == "copy" for verdict in verdicts])
    learnt = _of_training(kept, trained) & ((split == "train") | copy)
    learnt &= np.isin(group, group[split == "train"])
    return Survey(
        kept,
        rows["content"],
        rows["side"],
        group,
        split,
        np.isin(group, group[learnt]),
        trained.get("fingerprint") == fingerprint(zip(rows["id"], rows["content"], strict=True)),
        notes,
    )


def look(some: Sequence[tuple[str, str, bytes]]) -> spread.Columns:
    """Content, perceptual hash and size of files (id, stamp, bytes); size 0 where undecodable."""
    prints, sides = [], []
    for name, _, data in some:
        try:
            image = decode(data, name)
        except SourceError:
            prints.append(np.zeros(THUMBNAIL**2, np.float32))
            sides.append(0)
            continue
        prints.append(splits.fingerprint(image).astype(np.float32))
        sides.append(max(image.shape[:2]))
    return {
        "id": np.array([name for name, _, _ in some]),
        "stamp": np.array([stamp for _, stamp, _ in some]),
        "content": np.array([hashlib.sha256(data).hexdigest() for _, _, data in some]),
        "fingerprint": np.stack(prints),
        "side": np.array(sides, np.int32),
    }


def chosen(found: Survey, split: str, bundle: Bundle) -> Array:
    """(N,) which pictures are scored.

    "validation" and "test" are as in training. "unseen", the default, is validation for sources
    that the bundle was trained on, and of other sources every picture that is like none that
    trained it. Only "test" reads a test set, and only "all" scores pictures that trained it.
    """
    if split == "all":
        return np.full(len(found.pictures), True)
    rows = found.split == split
    if split == "unseen":
        trained = _of_training(found.pictures, bundle.manifest.get("dataset") or {})
        rows = np.where(trained, found.split == "validation", ~found.seen)
    if not rows.any():
        raise SourceError(
            f"no picture to score with --split {split}; --split all also scores what trained "
            "the bundle"
        )
    return rows


def reads_cropped(found: Survey, faces: str) -> dict[str, bool]:
    """For each source, whether its pictures are read as face crops."""
    return {
        str(name): (
            float(np.median(found.side[found.source == name])) < CROP_BELOW
            if faces == "auto"
            else faces == "cropped"
        )
        for name in np.unique(found.source)
    }


def _of_training(pictures: Sequence[Picture], trained: dict[str, Any]) -> Array:
    """(N,) whether a picture is of a source that trained the bundle.

    One of these sources may be here under another name: FER-2013's own file names tell.
    """
    sources = set(trained.get("train_on") or [])
    absent = sources - {picture.source for picture in pictures}
    return np.array(
        [
            picture.source in sources or bool(absent and picture.official_split == "Training")
            for picture in pictures
        ]
    )


def _verdicts(
    pictures: Sequence[Picture], rows: spread.Columns, near: float, folder: Path
) -> list[splits.Verdict]:
    """`splits.decide`, which takes half a minute for 40,000 pictures, kept in `folder`."""
    named = fingerprint(zip(rows["id"], rows["content"], strict=True))
    labels = "".join(str(picture.label) for picture in pictures)
    made_by = json.dumps([named, near, hashlib.sha256(labels.encode()).hexdigest()])
    path = folder / "splits.npz"
    try:
        kept = load(path, ["made_by", "group", "split", "why"])
        if str(kept["made_by"]) == made_by:
            columns = (kept[name].tolist() for name in ("group", "split", "why"))
            return [splits.Verdict(*row) for row in zip(*columns, strict=True)]
    except SetupError:
        pass
    verdicts = splits.decide(pictures, rows["content"].tolist(), rows["fingerprint"], near)
    store(
        path,
        made_by=np.array(made_by),
        group=np.array([verdict.group for verdict in verdicts]),
        split=np.array([verdict.split for verdict in verdicts]),
        why=np.array([verdict.why for verdict in verdicts]),
    )
    return verdicts
