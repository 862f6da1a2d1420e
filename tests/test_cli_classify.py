"""`python -m edge classify`: JSON lines out, one line for each mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge import CLASSES

Command = Callable[..., Any]
Save = Callable[[Path, np.ndarray], Path]
STAGES = ["crop", "mesh", "features", "classify"]
KEYS = [
    "source",
    "frame",
    "time_s",
    "camera",
    "face",
    "label",
    "reason",
    "confidence",
    "probabilities",
    "presence",
    "age_s",
    "held_s",
    "timings_ms",
]


def pictures(folder: Path) -> dict[str, np.ndarray]:
    """What was written into a folder, decoded, by name."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}
    return {name: cv2.imread(str(path)) for name, path in sorted(found.items())}


@pytest.fixture
def video(tmp_path: Path, small: np.ndarray) -> Path:
    """Four frames, 10 a second."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (200, 200))
    for _ in range(4):
        writer.write(np.ascontiguousarray(small[..., ::-1]))
    writer.release()
    return path


def test_classify_schema_and_order(
    command: Command, tmp_path: Path, save: Save, small: np.ndarray, video: Path
) -> None:
    save(tmp_path / "z.jpg", small)
    save(tmp_path / "folder/b.png", np.full((90, 90, 3), 128, np.uint8))
    save(tmp_path / "folder/a/c.png", small)
    result = command("classify", "z.jpg", "folder", "clip.avi")
    assert (result.returncode, result.stderr) == (0, "")
    got = result.readings
    assert all(list(line) == KEYS for line in got)
    expected = [("z.jpg", 0), ("folder/a/c.png", 0), ("folder/b.png", 0)]
    expected += [("clip.avi", index) for index in range(4)]
    assert [(line["source"], line["frame"]) for line in got] == expected
    assert [line["time_s"] for line in got] == [0, 0, 0, 0, 0.1, 0.2, 0.3]
    for line in got:
        if line["source"] == "folder/b.png":
            assert line["face"] is False
            assert (line["label"], line["reason"]) == ("unknown", "no face")
            assert {line[key] for key in ("confidence", "probabilities", "presence")} == {None}
            assert list(line["timings_ms"]) == ["capture", "detect"]
        else:
            assert (line["face"], line["label"]) == (True, "happy")
            assert tuple(line["probabilities"]) == CLASSES
            assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5)
            assert line["confidence"] == line["probabilities"]["happy"]
            assert 0.5 <= line["presence"] <= 1
            stages = list(line["timings_ms"])
            assert stages[0] == "capture"
            assert [s for s in stages[1:] if s != "detect"] == STAGES
            # The detector is asked where no face is tracked.
            assert ("detect" in stages) == (line["frame"] == 0)


def test_classify_cropped(command: Command, tmp_path: Path, save: Save, small: np.ndarray) -> None:
    """A 48×48 crop is read; a grey one is looked at, too, and shows no face."""
    crop = cv2.resize(small[20:180, 20:180], (48, 48), interpolation=cv2.INTER_AREA)
    save(tmp_path / "a.png", crop)
    save(tmp_path / "b.png", np.full((48, 48, 3), 128, np.uint8))
    result = command("classify", "--cropped", "a.png", "b.png")
    assert (result.returncode, result.stderr) == (0, "")
    assert [line["face"] for line in result.readings] == [True, False]
    assert [line["presence"] is None for line in result.readings] == [False, False]
    assert [line["label"] for line in result.readings] == ["happy", "unknown"]
    assert [line["reason"] for line in result.readings] == [None, "not a face"]


def test_every_mistake_is_one_line_and_the_rest_is_read(
    command: Command, tmp_path: Path, save: Save, small: np.ndarray
) -> None:
    jpeg = save(tmp_path / "good.jpg", small).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "text.mp4").write_text("hello")
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.jpg").mkdir()
    bad = ["cut.jpg", "empty.png", "text.jpg", "text.mp4", "text.txt", "folder", "absent.jpg"]
    bad.append("x" * 300 + ".jpg")  # longer than any file system takes
    result = command("classify", *bad, "folder.jpg", "good.jpg")
    assert result.returncode == 1
    told = result.complaints
    for name in (*bad, "folder.jpg"):
        assert len([line for line in told if line.startswith(f"{name}: ")]) == 1, name
    assert len(told) == len(bad) + 1
    assert [line["source"] for line in result.readings] == ["good.jpg"]


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (["--model", "cnn"], "classify.model = 'cnn': the bundle has svm, gnn, both", 78),
        (["--models", "nowhere"], "classify.bundle: nowhere/manifest.json is missing", 78),
        (["--config", "nowhere.toml"], "nowhere.toml: cannot be read", 78),
        (["--config", "wrong.toml"], "wrong.toml: mesh.threads = 0", 78),
    ],
)
def test_wrong_setup(
    command: Command,
    tmp_path: Path,
    save: Save,
    small: np.ndarray,
    arguments: list[str],
    said: str,
    status: int,
) -> None:
    save(tmp_path / "a.jpg", small)
    (tmp_path / "wrong.toml").write_text("[mesh]\nthreads = 0")
    result = command("classify", *arguments, "a.jpg")
    assert (result.returncode, result.stdout) == (status, "")
    (told,) = result.complaints
    assert said in told


def test_each_model_by_its_name(
    command: Command, tmp_path: Path, save: Save, small: np.ndarray
) -> None:
    save(tmp_path / "a.jpg", small)
    read = {}
    for model in ("svm", "gnn", "both"):
        result = command("classify", "--model", model, "a.jpg")
        assert (result.returncode, result.stderr) == (0, "")
        (read[model],) = result.readings
        assert read[model]["label"] == "happy"
    (plain,) = command("classify", "a.jpg").readings
    assert plain["probabilities"] == read["svm"]["probabilities"]
    assert len({reading["confidence"] for reading in read.values()}) == 3


def test_settings_are_used(command: Command, tmp_path: Path, save: Save, small: np.ndarray) -> None:
    save(tmp_path / "a.jpg", small)
    (tmp_path / "strict.toml").write_text("[mesh]\nmin_detection = 0.99")
    result = command("classify", "--config", "strict.toml", "a.jpg")
    assert result.readings[0]["face"] is False


def test_annotate(
    command: Command, tmp_path: Path, save: Save, small: np.ndarray, video: Path
) -> None:
    """A larger picture for every input; none takes the place of another."""
    names = ["a/x.jpg", "b/x.jpg", "b/x.png", "b/x.webp"]
    for name in names:
        save(tmp_path / name, small)
    result = command("classify", *names, "clip.avi", "--annotate", "out/deep")
    assert (result.returncode, result.stderr) == (0, "")
    got = pictures(tmp_path / "out")
    assert len(got) == len(names) + 4
    for name, picture in got.items():
        assert picture is not None, name
        assert picture.shape[0] > 200, name
        assert picture.shape[1] > 200, name
    # The mesh is drawn over the face: the left part is not just the input enlarged.
    plain = cv2.resize(small[..., ::-1], (480, 480), interpolation=cv2.INTER_CUBIC)
    assert np.abs(got["deep/a/x.jpg"][:, :480].astype(int) - plain).max() > 60


def test_annotated_videos_of_one_name(command: Command, tmp_path: Path, video: Path) -> None:
    (tmp_path / "v").mkdir()
    for ending in ("avi", "mkv"):
        (tmp_path / f"v/clip.{ending}").write_bytes(video.read_bytes())
    assert command("classify", "v", "--annotate", "out").returncode == 0
    assert len(pictures(tmp_path / "out")) == 8


def test_annotate_writes_nowhere_else(
    command: Command, tmp_path: Path, save: Save, small: np.ndarray
) -> None:
    """Least of all over the user's own pictures."""
    save(tmp_path / "x.jpg", small)
    own = save(tmp_path / "work/x.jpg", small).read_bytes()
    save(tmp_path / "work/y.jpg", small)
    command("classify", "../x.jpg", "y.jpg", "--annotate", "out", cwd=tmp_path / "work")
    assert (tmp_path / "work/x.jpg").read_bytes() == own
    assert len(pictures(tmp_path / "work/out")) == 2


def test_annotate_into_what_is_no_folder(
    command: Command, tmp_path: Path, save: Save, small: np.ndarray
) -> None:
    save(tmp_path / "a.jpg", small)
    (tmp_path / "out").write_text("a file")
    result = command("classify", "a.jpg", "--annotate", "out")
    assert result.returncode == 1
    (told,) = result.complaints
    assert told == "--annotate out: is no folder"
    assert (tmp_path / "out").read_text() == "a file"


def test_annotation_never_replaces_the_picture(
    command: Command, tmp_path: Path, save: Save, small: np.ndarray
) -> None:
    picture = save(tmp_path / "a.jpg", small)
    before = picture.read_bytes()
    result = command("classify", "--annotate", tmp_path, picture)
    assert result.returncode == 1
    assert "choose another" in result.complaints[0]
    assert picture.read_bytes() == before


def test_annotation_replaces_only_what_it_drew(
    command: Command, tmp_path: Path, save: Save, small: np.ndarray
) -> None:
    """Another photograph of the same name stays; a second run replaces the first one's."""
    save(tmp_path / "in/a.jpg", small)
    own = save(tmp_path / "a.jpg", small).read_bytes()
    result = command("classify", "--annotate", ".", "in/a.jpg")
    assert result.returncode == 1
    assert result.complaints == ["a.jpg: is there already: choose another --annotate folder"]
    assert (tmp_path / "a.jpg").read_bytes() == own
    for _ in range(2):
        assert command("classify", "--annotate", "out", "in/a.jpg").returncode == 0
    assert list(pictures(tmp_path / "out")) == ["a.jpg"]


def test_names_that_would_collide(
    command: Command, tmp_path: Path, save: Save, small: np.ndarray
) -> None:
    for name in ("b.png", "b.png.jpg"):
        save(tmp_path / "in" / name, small)
    for _ in range(2):
        assert command("classify", "--annotate", "out", "in").returncode == 0
        assert list(pictures(tmp_path / "out")) == ["b.png.jpg", "b.png_.jpg"]


def test_a_stream_is_no_file(command: Command) -> None:
    result = command("classify", "http://camera/x.jpg")
    assert (result.returncode, result.stdout) == (2, "")
    assert "http://camera/x.jpg: is no file; `run --source` reads streams" in result.stderr


def test_a_very_wide_picture_is_drawn(command: Command, tmp_path: Path, save: Save) -> None:
    picture = save(tmp_path / "wide.png", np.zeros((1, 512, 3), np.uint8))
    result = command("classify", "--annotate", tmp_path / "out", picture)
    assert result.returncode == 0
    assert (tmp_path / "out" / "wide.png.jpg").stat().st_size > 0


@pytest.mark.parametrize("arguments", [("",), ("z.jpg", ""), ("--annotate", "", "z.jpg")])
def test_an_empty_path_is_not_the_folder(
    command: Command, tmp_path: Path, save: Save, small: np.ndarray, arguments: tuple[str, ...]
) -> None:
    """What an unset variable leaves."""
    save(tmp_path / "z.jpg", small)
    result = command("classify", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert "an empty path" in result.stderr.splitlines()[-1]
