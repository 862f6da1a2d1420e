"""Finding labelled pictures, and what is said about a tree that is not quite right."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge.errors import SourceError
from edge.types import CLASSES
from train.dataset import Picture, describe, find_pictures, fingerprint


def tree(root: Path, *names: str, folders: tuple[str, ...] = CLASSES) -> Path:
    """A folder with all class folders and these files."""
    for folder in folders:
        (root / f"face_{folder}").mkdir(parents=True, exist_ok=True)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, name.encode() * 20)
    return path


def test_labels_sources_and_order(tmp_path: Path) -> None:
    one = tree(tmp_path / "b", "face_sad/1.jpg", "face_angry/2.PNG")
    two = zipped(tmp_path / "a.zip", "face_happy/3.jpeg", "face_angry/4.webp")
    pictures, _ = find_pictures([one, two])
    assert [(p.id, CLASSES[p.label]) for p in pictures] == [
        ("a/face_angry/4.webp", "angry"),
        ("a/face_happy/3.jpeg", "happy"),
        ("b/face_angry/2.PNG", "angry"),
        ("b/face_sad/1.jpg", "sad"),
    ]
    assert [p.id for p in find_pictures([two, one])[0]] == [p.id for p in pictures]


def test_a_zip_is_read_like_the_folder(tmp_path: Path) -> None:
    names = ["face_sad/1.jpg", "face_happy/2.jpg"]
    folder = tree(tmp_path / "one" / "data", *names)
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in names:
            file.write(folder / name, name)
    from_folder, from_zip = find_pictures([folder])[0], find_pictures([archive])[0]
    assert [p.id for p in from_folder] == [p.id for p in from_zip]
    assert [p.read_bytes() for p in from_folder] == [p.read_bytes() for p in from_zip]
    assert from_zip[0].read_bytes() == b"face_happy/2.jpg"


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_what_is_left_out_is_told(tmp_path: Path, kind: str) -> None:
    names = ["face_sad/1.jpg", "face_sad/notes.txt", "face_bored/2.jpg", "README.md"]
    if kind == "zip":
        root = zipped(tmp_path / "data.zip", *names)
    else:
        root = tree(tmp_path / "data", *names, folders=("happy",))
    pictures, notes = find_pictures([root])
    assert [p.name for p in pictures] == ["face_sad/1.jpg"]
    assert "data: folder face_angry/ is missing" in notes
    assert "data: unknown class folder face_bored/ left out" in notes
    assert "data: 1 files that are no pictures left out" in notes
    assert ("data: folder face_happy/ is empty" in notes) == (kind == "folder")


def test_wrong_roots(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "whole.zip", "face_sad/1.jpg").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.zip").write_text("hello")
    (tmp_path / "other/cats").mkdir(parents=True)
    for root, said in (
        (tmp_path / "absent", "absent: no such folder or zip"),
        (tmp_path / "cut.zip", "cut.zip: no zip, or only a part of one"),
        (tmp_path / "text.zip", "text.zip: no zip, or only a part of one"),
        (tmp_path / "other", "no class folder; expected some of face_angry.*found cats"),
    ):
        with pytest.raises(SourceError, match=said):
            find_pictures([root])
    with pytest.raises(SourceError, match="make train DATA="):
        find_pictures([])


def test_two_data_sets_of_one_name(tmp_path: Path) -> None:
    """Their pictures' ids, and so their meshes, would be mixed up."""
    one = tree(tmp_path / "x/data", "face_sad/1.jpg")
    two = zipped(tmp_path / "data.zip", "face_sad/1.jpg")
    with pytest.raises(SourceError, match="named 'data'"):
        find_pictures([one, two])
    with pytest.raises(SourceError, match="named 'data'"):
        find_pictures([one, one])


def test_one_data_set_by_two_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree(tmp_path / "data", "face_sad/1.jpg"))
    with pytest.raises(SourceError, match="named 'data'"):
        find_pictures([Path(), tmp_path / "data"])


def test_stamp_changes_with_the_file(tmp_path: Path) -> None:
    root = tree(tmp_path / "data", "face_sad/1.jpg", "face_sad/2.jpg")
    one, two = find_pictures([root])[0]
    before = one.stamp(), two.stamp()
    path = root / one.name
    path.write_bytes(b"face_sad/X.jpg")  # as long as before
    os.utime(path, ns=(1, 1))
    assert one.stamp() != before[0]
    assert two.stamp() == before[1]


def test_unreadable_picture(tmp_path: Path) -> None:
    root = tree(tmp_path / "data", "face_sad/1.jpg")
    with pytest.raises(SourceError, match=r"data/face_sad/9\.jpg: cannot be read"):
        Picture(root, "face_sad/9.jpg", 0).read_bytes()


def damaged(path: Path) -> Path:
    """A zip whose second picture does not unpack."""
    names = ["face_sad/1.jpg", "face_sad/2.jpg"]
    zipped(path, *names)
    data = bytearray(path.read_bytes())
    start = data.index(names[1].encode()) + len(names[1])
    data[start : start + 12] = b"\xff" * 12
    path.write_bytes(data)
    return path


def test_damaged_picture_in_a_zip(tmp_path: Path) -> None:
    one, two = find_pictures([damaged(tmp_path / "data.zip")])[0]
    assert one.read_bytes()
    with pytest.raises(SourceError, match=r"data/face_sad/2\.jpg: cannot be read"):
        two.read_bytes()


@pytest.mark.parametrize(
    ("name", "split", "person"),
    [
        ("fer2013_Training_123.jpg", "Training", None),
        ("fer2013_PublicTest_1_0001.jpg", "PublicTest", None),
        ("fer2013_PrivateTest_9.jpg", "PrivateTest", None),
        ("muxspace_Aaron_Eckhart_0001.jpg", None, "data/Aaron_Eckhart"),
        ("muxspace_HrithikRoshan_7.jpg", None, "data/HrithikRoshan"),
        ("muxspace_Avinash_0007_12.jpg", None, "data/Avinash_0007"),
        ("muxspace_facial-expressions_2868588k.jpg", None, None),
        ("muxspace_happy_12.jpg", None, None),
        ("0001.jpg", None, None),
    ],
)
def test_what_names_tell(name: str, split: str | None, person: str | None) -> None:
    picture = Picture(Path("data.zip"), f"face_sad/{name}", 5)
    assert (picture.official_split, picture.person) == (split, person)


def test_fingerprint_of_a_data_set() -> None:
    rows = [("a", "1"), ("b", "2")]
    assert fingerprint(rows) == fingerprint(rows[::-1])
    assert len({fingerprint(r) for r in (rows, rows[:1], [("a", "2"), ("b", "1")])}) == 3


def test_describe_counts(tmp_path: Path) -> None:
    root = tree(tmp_path / "data", "face_sad/1.jpg", "face_sad/2.jpg", "face_fear/3.jpg")
    head, row = describe(find_pictures([root])[0]).splitlines()
    assert head.split() == list(CLASSES)
    assert row.split() == ["data", "0", "0", "1", "0", "0", "2", "0"]


def test_the_real_data_sets_are_as_the_code_takes_them(datasets: Path) -> None:
    """FER-2013 tells its split in every name; muxspace tells no split, but the person."""
    found = {path.stem: find_pictures([path])[0] for path in datasets.glob("*.zip")}
    for source, pictures in found.items():
        assert {picture.label for picture in pictures} == set(range(7)), source
        official = [picture.official_split for picture in pictures]
        if source == "fer2013":
            assert (
                {"Training", "PublicTest"}
                <= set(official)
                <= {
                    "Training",
                    "PublicTest",
                    "PrivateTest",
                }
            )
        elif source == "muxspace":
            assert set(official) == {None}
            assert np.mean([picture.person is not None for picture in pictures]) > 0.999
