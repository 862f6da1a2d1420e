"""What a wrong call of `train` or `train.search` costs: one line, and no minutes of extraction."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from errno import EACCES, ENOSPC
from pathlib import Path

import pytest

from edge.errors import SetupError
from train import __main__ as training
from train import command, meshes, search

Main = Callable[[list[str]], int]


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (SetupError("x is missing: run y"), 1, "x is missing: run y"),
        (OSError(ENOSPC, "No space left on device"), 1, "kept: No space left on device"),
        (OSError(EACCES, "Permission denied", "a.npz"), 1, "a.npz: Permission denied"),
        (KeyboardInterrupt(), 130, "stopped; the same command goes on from here"),
    ],
    ids=["ours", "disk", "file", "Ctrl-C"],
)
@pytest.mark.parametrize("module", ["train.search", "benchmarks.robustness"])
def test_how_it_ends(
    capsys: pytest.CaptureFixture[str], module: str, error: BaseException, status: int, told: str
) -> None:
    def fails(options: Namespace) -> None:
        raise error

    parser = ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--out", default="kept")
    assert command.finish(parser, [], lambda options: None) == 0
    assert command.finish(parser, [], fails) == status
    assert capsys.readouterr().err == f"{module.removeprefix('benchmarks.')}: {told}\n"


@pytest.fixture(params=[training.main, search.main], ids=["train", "train.search"])
def refused(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    """Runs a command that has to be refused before any mesh is made; what it said."""
    main: Main = request.param
    monkeypatch.setattr(meshes, "extract", lambda *_, **__: pytest.fail("meshes are made"))

    def run(*arguments: object) -> str:
        assert main([*map(str, arguments), "--out", str(tmp_path / "out")]) == 1
        (told,) = capsys.readouterr().err.splitlines()
        return told.removeprefix("train: " if main is training.main else "train.search: ")

    return run


def test_no_data_set(refused: Callable[..., str], tmp_path: Path) -> None:
    assert refused(tmp_path / "absent") == f"{tmp_path / 'absent'}: no such folder or zip"


def test_an_unknown_source(refused: Callable[..., str], tiny_dataset: Path) -> None:
    told = refused(tiny_dataset, "--train-on", "tinny")
    assert told == "--train-on tinny: no such source; there are: ['tiny']"


@pytest.mark.parametrize(("split", "name"), [("Training", "train"), ("PublicTest", "validation")])
def test_a_class_without_pictures(
    refused: Callable[..., str], tiny_dataset: Path, split: str, name: str
) -> None:
    """In one of the splits: file names tell that already."""
    for picture in (tiny_dataset / "face_fear").glob(f"*_{split}_*"):
        picture.unlink()
    assert refused(tiny_dataset) == f"the {name} set has no picture of: fear; add some"


def test_a_class_that_only_others_have(
    refused: Callable[..., str], tiny_dataset: Path, tmp_path: Path
) -> None:
    """It is no help to a training on one source."""
    (tmp_path / "other").mkdir()
    (tiny_dataset / "face_sad").rename(tmp_path / "other/face_sad")
    told = refused(tiny_dataset, tmp_path / "other", "--train-on", "tiny")
    assert told == "the train set has no picture of: sad; add some"


@pytest.mark.parametrize(
    ("main", "flag", "value", "allowed"),
    [
        (training.main, "--jobs", "0", "a whole number from 1 on"),
        (search.main, "--near", "-0.1", "a number from 0 on"),
        (search.main, "--near", "much", "a number from 0 on"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(
    capsys: pytest.CaptureFixture[str], main: Main, flag: str, value: str, allowed: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["data", flag, value])
    assert capsys.readouterr().err.endswith(f"argument {flag}: {value}: has to be {allowed}\n")
