"""The compiled kernels against their numpy twins, which are used where there is no compiler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import Recognizer, native
from edge.classify.svm import SupportVectorMachine
from edge.mesh.geometry import Cropper, Roi

FOLDER = Path(native.__file__).parent
NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
PICTURE = cv2.GaussianBlur(NOISE, (0, 0), 2)
rois = st.builds(
    Roi,
    cx=st.floats(-90, 160),
    cy=st.floats(-90, 130),
    size=st.floats(0.5, 400),
    angle=st.just(0.0) | st.floats(-np.pi, np.pi),
)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    subprocess.run([FOLDER / "build.sh"], check=True)
    native.load.cache_clear()
    assert native.load() is not None


@given(
    roi=rois,
    outside=st.sampled_from(["edge", "black"]),
    low=st.sampled_from([0, -1]),
    shape=st.sampled_from([(60, 80), (1, 80), (60, 1), (2, 2), (1, 1), (60, 2), (3, 3)]),
)
def test_crop(roi: Roi, outside: str, low: int, shape: tuple[int, int]) -> None:
    image = PICTURE[: shape[0], : shape[1]]
    got, expected = np.empty((2, 48, 48, 3), np.float32)
    guard = np.full((50, 48, 3), 7, np.float32)
    Cropper(48, low=low, outside=outside)(image, roi, guard[1:-1])
    got[...] = guard[1:-1]
    Cropper(48, low=low, outside=outside, compiled=False)(image, roi, expected)
    # Across a black border each 1/256 pixel, to which positions are rounded, is one of 255.
    assert np.abs(got - expected).max() * 255 / (1 - low) <= (1 if outside == "edge" else 6)
    assert (guard[0] == 7).all() and (guard[-1] == 7).all()


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::-1], np.s_[5:50, 3:70], np.s_[..., ::-1]])
def test_crop_of_a_view(view: tuple[slice, ...]) -> None:
    one, other = np.empty((2, 32, 32, 3), np.float32)
    crop, roi = Cropper(32), Roi(30, 25, 70, 0.3)
    crop(PICTURE[view], roi, one)
    crop(np.ascontiguousarray(PICTURE[view]), roi, other)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("far", [1e7, -1e7, 1e12])
def test_a_roi_out_of_reach_is_the_border(far: float) -> None:
    out = np.empty((16, 16, 3), np.float32)
    Cropper(16)(np.full_like(PICTURE, 51), Roi(far, far, 20, 0.3), out)
    np.testing.assert_allclose(out, 0.2, atol=1e-5)


@pytest.mark.parametrize("spread", [0.01, 0.1, 1, 1e3, 1e6])
def test_support_vectors(models_dir: Path, spread: float) -> None:
    path = models_dir / "svm.npz"
    mean = np.load(path)["mean"].astype(np.float32)
    fast = SupportVectorMachine(path, mean.size)
    plain = SupportVectorMachine(path, mean.size, compiled=False)
    library = native.load()
    assert library is not None and (fast._library is not None) == library.halves()
    assert plain._library is None
    rng = np.random.default_rng(1)
    for _ in range(20):
        feature = mean + rng.normal(0, spread, mean.size).astype(np.float32)
        np.testing.assert_allclose(fast(feature), plain(feature), atol=3e-7)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e6])
def test_every_half_is_widened_exactly(factor: float) -> None:
    """Also those below 6e-5, which a processor may take for nought."""
    library = native.load()
    assert library is not None
    if not library.halves():
        pytest.skip("this processor has no instruction for it")
    halves = np.arange(1 << 16).astype(np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    exact = halves.astype(np.float64) * factor
    fit = np.flatnonzero(np.abs(exact) <= 60)
    fit = fit[: len(fit) // native.TOGETHER * native.TOGETHER]
    vectors, point = halves[fit], np.array([factor], np.float32)
    kernel = np.empty(len(fit), np.float32)
    shift = library.kernel(
        *(vectors.ctypes.data, len(fit) // native.TOGETHER, 1, point.ctypes.data),
        *(80, kernel.ctypes.data),
    )
    assert shift == 0 and len(fit) > 1000
    np.testing.assert_allclose(kernel, np.exp(exact[fit]), rtol=1e-5)


@pytest.mark.parametrize("processor", ["old", "this"])
def test_vectors_in_single_precision(
    models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processor: str
) -> None:
    """Another bundle's vectors, or a processor that cannot widen halves: numpy, and the same."""
    with np.load(models_dir / "svm.npz") as file:
        arrays = dict(file)
    expected = SupportVectorMachine(models_dir / "svm.npz", arrays["mean"].size)
    path = models_dir / "svm.npz"
    if processor == "old":
        monkeypatch.setattr(native, "load", lambda: SimpleNamespace(halves=lambda: 0))
    else:
        path = tmp_path / "svm.npz"
        vectors = arrays["support_vectors"].astype(np.float32)
        np.savez(path, **{**arrays, "support_vectors": vectors})
    machine = SupportVectorMachine(path, arrays["mean"].size)
    assert machine._library is None
    feature = arrays["mean"].astype(np.float32) + np.float32(0.01)
    np.testing.assert_allclose(machine(feature), expected(feature), atol=3e-7)


def test_readings_are_the_same(models_dir: Path, portrait: np.ndarray, monkeypatch) -> None:
    readings = [Recognizer(models_dir)(portrait)]
    monkeypatch.setattr(native, "load", lambda: None)
    readings.append(Recognizer(models_dir)(portrait))
    one, other = readings
    assert one.mesh is not None and other.mesh is not None
    assert one.label == other.label
    assert np.abs(one.mesh.landmarks - other.mesh.landmarks).max() < 0.1  # pixels
    assert one.confidence == pytest.approx(other.confidence, abs=0.01)


@pytest.mark.parametrize("content", [None, b"", b"not a library"])
def test_none_or_a_broken_one_is_no_matter(tmp_path: Path, content: bytes | None) -> None:
    name = next(FOLDER.glob("kernels-*.so")).name
    for machine in {
        name,
        f"kernels-{subprocess.check_output(['uname', '-m'], text=True).strip()}.so",
    }:
        if content is not None:
            (tmp_path / machine).write_bytes(content)
    assert native.load.__wrapped__(tmp_path) is None


def test_without_a_compiler_it_is_one_line(tmp_path: Path) -> None:
    for name in ("build.sh", "kernels.c"):
        shutil.copy(FOLDER / name, tmp_path)
    done = subprocess.run([tmp_path / "build.sh", "z80"], capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)
    assert not list(tmp_path.glob("*.so"))
