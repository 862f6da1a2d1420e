"""`make bundle`: what another machine needs is worked out for that machine."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import pytest

from convert import pack
from convert.pack import REPO
from edge.baseline import mean_neutral
from edge.bundle import Bundle
from edge.errors import SetupError

Pip = dict[str, list[str]]


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Pip:
    """pip as it would be with these packages alone: name → what each requires."""
    packages: Pip = {}

    def pip(what: str, *arguments: str) -> None:
        folder = next(Path(a.removeprefix("--dest=")) for a in arguments if a.startswith("--dest="))
        for wanted in (a for a in arguments[1:] if not a.startswith("-")):
            name, _, version = wanted.partition("==")
            with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
                requires = "".join(f"Requires-Dist: {line}\n" for line in packages.get(name, []))
                wheel.writestr(f"{name}-{version}.dist-info/METADATA", f"Name: {name}\n{requires}")

    monkeypatch.setattr(pack, "_pip", pip)
    return packages


def wheels(folder: Path, machine: str, python: str) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    pack.collect(folder, machine, python)
    names = [path.stem.rsplit("-", 4) for path in folder.glob("*.whl")]
    return {name: version for name, version, *_ in names}


def test_markers_are_the_devices_not_the_workstations(index: Pip, tmp_path: Path) -> None:
    """pip would take the pins and the needs of the Python that runs it."""
    index["ai-edge-litert"] = [
        'backports-strenum; python_version < "3.12"',
        'colorama; platform_system == "Windows"',
        'neon; platform_machine == "aarch64"',
    ]
    old = wheels(tmp_path / "old", "aarch64", "3.11")
    new = wheels(tmp_path / "new", "x86_64", "3.13")
    assert old["numpy"] == "1.26.4"
    assert new["numpy"] == "2.2.6"
    assert "backports-strenum" in old and "backports-strenum" not in new
    assert "neon" in old and "neon" not in new
    assert "colorama" not in old


def test_what_is_needed_by_what_is_needed_comes_too(index: Pip, tmp_path: Path) -> None:
    index |= {"tqdm": ["one"], "one": ["two", "tqdm"], "two": ["one"]}
    found = wheels(tmp_path, "aarch64", "3.13")
    assert {"one", "two", "paho-mqtt", "ai-edge-litert", "opencv-python-headless"} <= set(found)


def test_models_are_complete(models_dir: Path, tmp_path: Path) -> None:
    pack.copy_models(tmp_path / "models")
    bundle = Bundle.open(tmp_path / "models")
    for name in bundle.manifest["networks"]:
        bundle.network(name)
    assert mean_neutral(bundle).shape == (468, 3)
    assert not list(tmp_path.glob("models/sample.*"))


def test_our_wheel_takes_what_is_no_module() -> None:
    """The page is served from files beside its code."""
    project = tomllib.loads((REPO / "pyproject.toml").read_text())
    taken = {"edge": [], **project["tool"]["setuptools"]["package-data"]}
    for path in (REPO / "edge").rglob("*"):
        if path.is_dir() or path.suffix in (".py", ".pyc") or path.parent.name == "native":
            continue
        package = ".".join(path.parent.relative_to(REPO).parts)
        assert any(path.match(pattern) for pattern in taken.get(package, [])), path


def test_no_network_is_one_line_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    kept = tmp_path / "bundle" / "kept"
    kept.parent.mkdir()
    kept.touch()
    with pytest.raises(SetupError, match=r"cannot be had; is there a network\? ERROR"):
        pack.pack(kept.parent, "aarch64", ["3.11"])
    assert kept.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
