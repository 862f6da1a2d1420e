"""The limits of `edge.plausible`, fitted on training pictures; validation tells what they cost.

Pose: of the training meshes that the mesh network is sure of, what all but one in 100 keep to
(yaw: half of such a face is out of sight), or one in 500 (pitch: both halves are still there).
Size: 24 pixels, below which the mesh network itself loses faces. Support, for what is said to be a
face crop: what all but one training picture in 80 have. Some of FER-2013's are no face at all
(text, a sign, nothing), in others it is hidden or seen from the side, and hard to read anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.arrays import load
from edge.errors import SetupError
from edge.plausible import Limits
from train.plausible import FILE, stamp

Array = NDArray[Any]
PIXELS = 24.0
"""Height of the smallest face that is read. At 22 pixels twice as many pictures of faces as at full
size have a mesh that the mesh network itself does not believe in (8 %), at 15 pixels six times as
many: `build/train/meshes-validation-*px.npz` of `make limits`."""
ASIDE, NODDED = 0.01, 0.002
"""Shares of the training meshes beyond the limits of yaw, and of pitch, both ways together. The svm
reads 0.41 of the validation faces right that are turned by more than 45°, of 0.59; 0.6 of those
that are nodded by more than 30°."""
DOUBTED = 0.0125
"""Share of the training pictures of a source with less support than the limit: what 3 to 4 of 100
patches of photographs and of textures without a face have more than, too."""
_ARRAYS = ("stamp", "neutral", "neutral_pictures", "source", "pose", "support")
_VALIDATION = (
    "validation_pose",
    "validation_support",
    "validation_group",
    "validation_mirrored",
)


def open_facts(
    folder: Path, of: Mapping[str, Any], pictures: int | None = None
) -> dict[str, Array]:
    """What training left beside what `of` describes: a classifier's description, or a manifest.

    `pictures`: how many validation pictures there are, where that is known.
    Raises SetupError where there is nothing, or of other pictures or another split of them.
    """
    path = folder / FILE
    again = "run `.venv-train/bin/python -m train.plausible DATA…`"
    facts = load(path, [*_ARRAYS, *_VALIDATION], remedy=again)
    counts = {len(facts[name]) for name in _VALIDATION}
    if str(facts["stamp"]) != stamp(of) or counts != {pictures or max(counts)}:
        raise SetupError(
            f"{path}: of other pictures, or of another split of them, than the models: run "
            "`make train DATA=…` to its end"
        )
    return facts


def fit(facts: dict[str, Array]) -> Limits:
    """The limits."""
    yaw, pitch, _ = facts["pose"][np.isinf(facts["support"])].T
    ends = np.quantile(pitch, [NODDED / 2, 1 - NODDED / 2])
    return Limits(
        pixels=PIXELS,
        yaw=round(float(np.quantile(np.abs(yaw), 1 - ASIDE)), 1),
        pitch_up=round(float(-ends[0]), 1),
        pitch_down=round(float(ends[1]), 1),
        support=round(min(_least(facts, str(name)) for name in np.unique(facts["source"])), 2),
    )


def passes(limits: Limits, facts: dict[str, Array], *, cropped: bool) -> Array:
    """(V,) whether each validation picture is told: as a face crop, or as a face in a frame, whose
    mesh is as it is and has to be believed in."""
    yaw, pitch, height = facts["validation_pose"].T
    support = facts["validation_support"]
    if cropped:
        rows: Array = (height >= limits.pixels) & (support >= limits.support)
        return rows
    level = (pitch >= -limits.pitch_up) & (pitch <= limits.pitch_down)
    rows = (height >= limits.pixels) & (np.abs(yaw) <= limits.yaw) & level & np.isinf(support)
    return rows


def entry(
    limits: Limits, facts: dict[str, Array], right: dict[str, Array], source: Array
) -> dict[str, Any]:
    """The manifest's table: the limits, and what they cost on validation.

    `right`: model → (V,) whether its label is; `source` (V,). For each source, read as face crops:
    the share of pictures that become `unknown`, and of right labels that go with them, every
    picture counted, of the model that loses most. As frames: the share of the meshes believed in
    whose pose or size is beyond the limits.
    """
    gone = ~passes(limits, facts, cropped=True)
    beyond = ~passes(limits, facts, cropped=False)
    believed = np.isinf(facts["validation_support"])
    table: dict[str, Any] = {**asdict(limits), "validation": {}}
    for name in np.unique(source):
        ours = source == name
        table["validation"][str(name)] = {
            "crops_unknown": _share(gone[ours]),
            "crops_lost": round(max(float((r & gone)[ours].mean()) for r in right.values()), 4),
            "frames_unknown": _share(beyond[ours & believed]),
        }
    return table


def _share(rows: Array) -> float:
    return round(float(rows.mean()), 4) if len(rows) else 0.0


def _least(facts: dict[str, Array], source: str) -> float:
    """The support that all but DOUBTED of a source's pictures have; of none below, the lowest."""
    ordered = np.sort(facts["support"][facts["source"] == source])
    known = ordered[np.isfinite(ordered)]
    if not len(known):
        return 0.0
    return float(known[min(int(DOUBTED * len(ordered)), len(known) - 1)])
