"""No picture judges that was trained on, in whatever disguise."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cameras.opencv import decode
from train.dataset import Picture, find_pictures
from train.splits import Verdict, decide, fingerprint, near_pairs, summary, write

HAPPY, SAD = 3, 5


def picture(name: str, label: int = HAPPY, root: str = "fer2013") -> Picture:
    return Picture(Path(root), f"face_x/{name}.jpg", label)


def prints(count: int, seed: int = 0) -> np.ndarray:
    """Fingerprints of pictures that have nothing in common."""
    rows = np.random.default_rng(seed).normal(size=(count, 256)).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def sha(*names: str) -> list[str]:
    return [hashlib.sha256(name.encode()).hexdigest() for name in names]


@pytest.fixture
def crop(portrait: np.ndarray) -> np.ndarray:
    """The face, 48×48, as in FER-2013."""
    return cv2.resize(portrait[40:200, 142:302], (48, 48), interpolation=cv2.INTER_AREA)


def reencoded(image: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)


DISGUISES = {
    "re-encoded": reencoded,
    "darker": lambda image: (image * 0.6 + 20).astype(np.uint8),
    "shifted right": lambda image: np.roll(image, 1, axis=1),
    "shifted up": lambda image: np.roll(image, -1, axis=0),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "grey": lambda image: np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2),
    "enlarged": lambda image: cv2.resize(image, (200, 200), interpolation=cv2.INTER_CUBIC),
    "mirrored and re-encoded": lambda image: reencoded(np.ascontiguousarray(image[:, ::-1])),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_the_same_picture_is_recognised(crop: np.ndarray, disguise: str) -> None:
    rows = np.stack([fingerprint(crop), fingerprint(DISGUISES[disguise](crop))])
    assert near_pairs(rows).tolist()[:1] == [[0, 1]]


def test_other_pictures_are_not_merged(crop: np.ndarray) -> None:
    """Other light, another turn, another place: as two frames of a session differ."""
    matrix = cv2.getRotationMatrix2D((24, 24), 30, 1.0)
    ramp = np.linspace(0.1, 1.2, 48)[None, :, None]
    others = [
        crop,
        cv2.warpAffine(crop, matrix, (48, 48)),
        np.clip(crop * ramp, 0, 255).astype(np.uint8),
        np.roll(crop, 8, axis=0),
        np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8),
    ]
    assert len(near_pairs(np.stack([fingerprint(image) for image in others]))) == 0


def test_real_pictures(datasets: Path) -> None:
    """Of 300 faces nearly every disguise is seen through, and hardly two faces are one."""
    pictures = [
        decode(picture.read_bytes(), picture.id)
        for picture in find_pictures(sorted(datasets.glob("*.zip"))[:1])[0][::120][:300]
    ]
    plain = np.stack([fingerprint(image) for image in pictures])
    assert len(near_pairs(plain)) <= 3
    for name in ("re-encoded", "darker", "mirrored and re-encoded"):
        rows = np.stack([fingerprint(DISGUISES[name](image)) for image in pictures])
        pairs = near_pairs(np.concatenate([plain, rows]))
        seen = {i for i, j in pairs.tolist() if j == i + len(plain)}
        assert len(seen) >= 0.98 * len(plain), name


def test_warped_portraits_are_pictures_of_their_own(tiny_dataset: Path) -> None:
    """Else the tests that train on them would train on next to nothing."""
    pictures, _ = find_pictures([tiny_dataset])
    images = [decode(picture.read_bytes(), picture.id) for picture in pictures]
    looks = np.stack([fingerprint(image) for image in images])
    verdicts = decide(pictures, sha(*(picture.id for picture in pictures)), looks)
    assert Counter(verdict.split for verdict in verdicts) == {"train": 7 * 16, "validation": 7 * 6}


def test_pictures_without_contrast_are_like_nothing() -> None:
    rows = np.stack([fingerprint(np.full((48, 48, 3), value, np.uint8)) for value in (0, 90, 90)])
    assert len(near_pairs(rows)) == 0


def test_near_pairs_over_block_borders() -> None:
    """Against the plain definition, all pairs at once."""
    rows = prints(40)
    rows[33], rows[7] = rows[2], rows[25].reshape(16, 16)[:, ::-1].ravel()
    mirror = rows.reshape(-1, 16, 16)[:, :, ::-1].reshape(40, 256)
    like = np.triu((rows @ rows.T >= 0.94) | (rows @ mirror.T >= 0.94), 1)
    expected = {tuple(pair) for pair in np.argwhere(like).tolist()}
    assert expected == {(2, 33), (7, 25)}
    for block in (1, 7, 8, 40, 2048):
        assert {tuple(pair) for pair in near_pairs(rows, block=block).tolist()} == expected


def test_official_splits_are_kept() -> None:
    names = ["fer2013_Training_1", "fer2013_PublicTest_2", "fer2013_PrivateTest_3"]
    verdicts = decide([picture(name) for name in names], sha(*names), prints(3))
    assert [verdict.split for verdict in verdicts] == ["train", "validation", "test"]


def test_one_of_several_copies_stays() -> None:
    names = ["fer2013_Training_1", "fer2013_Training_2", "fer2013_Training_3"]
    verdicts = decide([picture(n) for n in names], sha("a", "a", "b"), prints(3)[[0, 0, 1]])
    assert [v.split for v in verdicts] == ["train", "dropped", "train"]
    assert [v.why for v in verdicts] == ["", "copy", ""]


def test_copies_with_conflicting_labels_all_go() -> None:
    names = ["fer2013_Training_1", "fer2013_Training_2", "fer2013_Training_3"]
    pictures = [picture(n, label) for n, label in zip(names, (HAPPY, SAD, SAD), strict=True)]
    verdicts = decide(pictures, sha("a", "a", "b"), prints(3)[[0, 0, 1]])
    assert [v.split for v in verdicts] == ["dropped", "dropped", "train"]
    assert verdicts[0].why == verdicts[1].why == "copies with conflicting labels"


@pytest.mark.parametrize("exact", [True, False])
def test_what_judges_has_precedence(exact: bool) -> None:
    """A picture of the test set does not validate, one of the validation set does not train."""
    names = ["fer2013_Training_1", "fer2013_PublicTest_2", "fer2013_PrivateTest_3"]
    contents = sha("a", "a", "a") if exact else sha(*names)
    pictures = [picture(name) for name in names]
    for count, kept in ((3, "test"), (2, "validation")):
        verdicts = decide(pictures[:count], contents[:count], prints(1)[[0] * count])
        assert [v.split for v in verdicts] == ["dropped"] * (count - 1) + [kept]
        assert verdicts[0].why == f"like a picture of the {kept} set"


def test_a_copy_in_another_data_set_follows_the_official_split() -> None:
    pictures = [picture("fer2013_PublicTest_1"), picture("mux_anna_0001", root="mux")]
    verdicts = decide(pictures, sha("a", "b"), prints(1)[[0, 0]])
    assert [verdict.split for verdict in verdicts] == ["validation", "validation"]


def test_a_person_is_on_one_side() -> None:
    people = [f"mux_person{i // 3}_x_{i % 3:04d}" for i in range(300)]
    verdicts = decide([picture(n, root="mux") for n in people], sha(*people), prints(300))
    sides = [{v.split for v in verdicts[i : i + 3]} for i in range(0, 300, 3)]
    assert all(len(side) == 1 for side in sides)
    assert {v.group for v in verdicts[:3]} != {v.group for v in verdicts[3:6]}
    share = sum(side == {"validation"} for side in sides) / 100
    assert 0.05 < share < 0.3  # 15 % are meant


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=30), st.booleans())
def test_groups_never_cross(rows: list[tuple[int, int]], official: bool) -> None:
    """Whatever is a copy, or like another, or of one person: one side only."""
    kinds = ("Training", "PublicTest", "PrivateTest")
    names = [
        f"fer2013_{kinds[i % 3]}_{i}" if official else f"mux_p{person}_x_{i:04d}"
        for i, (_, person) in enumerate(rows)
    ]
    pictures = [picture(name) for name in names]
    looks = prints(10)[[look for look, _ in rows]] if rows else prints(0)
    verdicts = decide(pictures, sha(*names), looks)
    side: dict[object, str] = {}
    for (look, person), verdict in zip(rows, verdicts, strict=True):
        if verdict.split != "dropped":
            for key in (verdict.group, ("look", look), None if official else ("p", person)):
                if key is not None:
                    assert side.setdefault(key, verdict.split) == verdict.split


@settings(max_examples=30)
@given(st.sets(st.integers(0, 99), max_size=60))
def test_unrelated_pictures_move_nobody(others: set[int]) -> None:
    """Results stay comparable when a data set grows."""
    names = [f"mux_person{i}_x_0001" for i in range(100)]
    pictures, contents, looks = [picture(n) for n in names], sha(*names), prints(100)
    alone = [v.split for v in decide(pictures, contents, looks)]
    kept = [i for i in range(100) if i not in others]
    fewer = decide([pictures[i] for i in kept], [contents[i] for i in kept], looks[kept])
    assert [v.split for v in fewer] == [alone[i] for i in kept]
    backwards = decide(pictures[::-1], contents[::-1], looks[::-1])
    assert [v.split for v in backwards][::-1] == alone


def test_nothing_in_nothing_out() -> None:
    assert decide([], [], prints(0)) == []


def test_table_and_summary(tmp_path: Path) -> None:
    pictures = [picture("a,b"), picture("c", SAD)]
    verdicts = [Verdict(0, "train", ""), Verdict(0, "dropped", "copy")]
    write(tmp_path / "splits.csv", pictures, verdicts)
    with (tmp_path / "splits.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1] == ["fer2013/face_x/a,b.jpg", str(HAPPY), "0", "train", ""]
    assert rows[2] == ["fer2013/face_x/c.jpg", str(SAD), "0", "dropped", "copy"]
    assert summary(pictures, verdicts) == ["fer2013: 1 dropped (copy)", "fer2013: 1 train"]
