"""Views are drawn from the picture's bytes, and keep its size and type."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from train.views import OTHERS, PLAIN, SIZES, VIEWS, mirror, turn, view


@pytest.mark.parametrize("name", (PLAIN, *OTHERS))
@pytest.mark.parametrize("shape", [(48, 48), (17, 90), (300, 200)])
def test_size_and_type_stay(name: str, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    seen = view(name, image, b"bytes of the file")
    assert seen.shape == image.shape
    assert seen.dtype == np.uint8
    assert seen.flags.c_contiguous


@pytest.mark.parametrize("side", SIZES)
def test_shrunk_by_the_longer_side(side: int) -> None:
    image = np.zeros((48, 96, 3), np.uint8)
    assert view(f"{side}px", image, b"").shape == (side // 2, side, 3)


@pytest.mark.parametrize("name", VIEWS)
def test_the_same_bytes_give_the_same_view(name: str, portrait: np.ndarray) -> None:
    first, again = (view(name, portrait, b"one") for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("name", ["turned", "degraded", "worn"])
def test_another_picture_gives_another_view(name: str, portrait: np.ndarray) -> None:
    assert (view(name, portrait, b"one") != view(name, portrait, b"two")).any()


def test_plain_and_mirrored(portrait: np.ndarray) -> None:
    assert np.array_equal(view(PLAIN, portrait, b""), portrait)
    assert np.array_equal(view("mirrored", portrait, b""), portrait[:, ::-1])
    assert np.array_equal(mirror(mirror(portrait)), portrait)


def test_turned_about_the_centre() -> None:
    """A dot in the middle stays within the shift of 4 %."""
    image = np.zeros((101, 101, 3), np.uint8)
    cv2.circle(image, (50, 50), 4, (255, 255, 255), -1)
    for seed in range(20):
        rows, columns = np.nonzero(turn(image, np.random.default_rng(seed))[..., 0] > 128)
        assert abs(rows.mean() - 50) <= 5.1
        assert abs(columns.mean() - 50) <= 5.1


def test_worn_in_every_way_but_not_always() -> None:
    """A grey face with two dots for eyes: over many draws each change is seen, and its absence."""
    image = np.full((120, 120, 3), 128, np.uint8)
    for x in (42, 70):  # left of the middle, so that a mirrored one is told
        cv2.circle(image, (x, 48), 6, (255, 255, 255), -1)
    seen = [view("worn", image, bytes([number])).astype(float) for number in range(200)]
    share = {
        "mirrored": [
            face[:, 60:].max(axis=2).sum() > face[:, :60].max(axis=2).sum() for face in seen
        ],
        "coloured": [np.ptp(face.mean(axis=(0, 1))) > 15 for face in seen],
        "noisy": [np.abs(np.diff(face[100:], axis=0)).mean() > 1 for face in seen],
        "darker": [face.mean() < 100 for face in seen],
        "brighter": [face.mean() > 160 for face in seen],
        "flat": [face.max() - np.median(face) < 60 for face in seen],
    }
    told = {name: float(np.mean(values)) for name, values in share.items()}
    assert all(0.05 < value < 0.7 for value in told.values()), told
