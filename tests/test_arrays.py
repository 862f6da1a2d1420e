"""Whatever is wrong with an `.npz` file is one line."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge.arrays import load
from edge.errors import SetupError


def test_arrays_come_as_they_were_written(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=np.arange(3), two=np.eye(2))
    found = load(tmp_path / "a.npz", ["two"])
    assert found.keys() == {"two"}
    np.testing.assert_array_equal(found["two"], np.eye(2))


@pytest.mark.parametrize("name", ["one", "one.npy"])
def test_text_in_a_zip_is_no_array(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr(name, "text")
    with pytest.raises(SetupError, match=r"a\.npz") as error:
        load(tmp_path / "a.npz", ["one"])
    assert len(str(error.value).splitlines()) == 1


def test_an_array_larger_than_memory(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 10000000)}"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("one.npy", b"\x93NUMPY\x01\x00\x76\x00" + header)
    with pytest.raises(SetupError, match=r"a\.npz: cannot be read"):
        load(tmp_path / "a.npz", ["one"])


@pytest.mark.parametrize("content", [b"", b"text", np.arange(3).tobytes(), b"PK\x03\x04broken"])
def test_what_is_no_npz(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(SetupError, match=r"a\.npz: cannot be read"):
        load(tmp_path / "a.npz", ["one"])


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="is missing"):
        load(tmp_path / "a.npz", ["one"])
    np.savez(tmp_path / "a.npz", one=np.arange(3))
    with pytest.raises(SetupError, match="array 'two' is missing"):
        load(tmp_path / "a.npz", ["two"])
