"""The y4m reader: OpenCV's colours, and one line about a file that is none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge.cameras import yuv
from edge.cameras.y4m import Y4m
from edge.cameras.yuv import rgb_from_yuv420
from edge.errors import SourceError

HEADER = b"YUV4MPEG2 W4 H2 F15:1 Ip A1:1 C420jpeg\n"
FRAME = b"FRAME\n" + bytes(range(8)) + bytes([100, 110]) + bytes([120, 130])


def clip(folder: Path, data: bytes) -> Path:
    path = folder / "clip.y4m"
    path.write_bytes(data)
    return path


def planes(packed: np.ndarray, height: int, width: int) -> tuple[np.ndarray, ...]:
    """OpenCV's I420 (3/2 H, W) as its three planes."""
    flat = packed.ravel()
    pixels = height * width
    chroma = flat[pixels:].reshape(2, height // 2, width // 2)
    return flat[:pixels].reshape(height, width), chroma[0], chroma[1]


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
        lambda half: hnp.arrays(np.uint8, (half[0] * 3, half[1] * 2))
    )
)
def test_colours_are_opencvs(packed: np.ndarray) -> None:
    height, width = packed.shape[0] * 2 // 3, packed.shape[1]
    expected = cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_I420)
    got = rgb_from_yuv420(*planes(packed, height, width))
    assert np.abs(got.astype(int) - expected).max() <= 2
    np.testing.assert_array_equal(
        rgb_from_yuv420(*planes(packed, height, width), compiled=False), got
    )


def test_every_luma_with_extreme_chroma() -> None:
    """Where 16 bits could overflow: all of Y, with U and V at their ends."""
    ends = np.array([0, 1, 16, 127, 128, 129, 240, 254, 255], np.uint8)
    u, v = np.meshgrid(ends, ends)
    for y in range(0, 256, 5):
        packed = np.concatenate([np.full(81 * 4, y, np.uint8), u.ravel(), v.ravel()])
        packed = packed.reshape(27, 18)
        expected = cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_I420)
        for compiled in (True, False):
            got = rgb_from_yuv420(*planes(packed, 18, 18), compiled=compiled)
            assert np.abs(got.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("layout", ["YUV420", "NV12"])
@pytest.mark.parametrize("width", [2, 318, 640, 1030])
def test_a_cameras_buffer_is_read_as_by_opencv(layout: str, width: int) -> None:
    """With padding at the ends of its rows."""
    buffer = np.random.default_rng(0).integers(0, 256, (12 * 3 // 2, width + 22), np.uint8)
    code = cv2.COLOR_YUV2RGB_I420 if layout == "YUV420" else cv2.COLOR_YUV2RGB_NV12
    expected = cv2.cvtColor(buffer, code)[:, :width]
    for compiled in (True, False):
        got = rgb_from_yuv420(*yuv.planes(buffer, layout, width), compiled=compiled)
        assert got.shape == (12, width, 3)
        assert np.abs(got.astype(int) - expected).max() <= 2


def test_a_clip_plays_as_in_opencv(models_dir: Path) -> None:
    capture = cv2.VideoCapture(str(models_dir / "sample.y4m"))
    frames = Y4m(models_dir / "sample.y4m")
    for index, frame in zip(range(10), frames, strict=False):
        there, expected = capture.read()
        assert there
        # FFmpeg blends chroma between pixels, so edges differ; the picture does not.
        difference = np.abs(frame.image.astype(int) - expected[..., ::-1])
        assert difference.mean() < 3
        assert frame.index == index
        assert frame.time_s == pytest.approx(index / 15)
        assert frame.source == str(models_dir / "sample.y4m")
    frames.close()


def test_frames_do_not_share_memory(tmp_path: Path) -> None:
    other = b"FRAME\n" + bytes(range(200, 208)) + bytes(4)
    frames = list(Y4m(clip(tmp_path, HEADER + FRAME + other + FRAME)))
    assert [frame.index for frame in frames] == [0, 1, 2]
    np.testing.assert_array_equal(frames[0].image, frames[2].image)
    assert (frames[0].image != frames[1].image).any()
    assert frames[0].image.shape == (2, 4, 3)


def test_a_rate_that_is_a_fraction(tmp_path: Path) -> None:
    header = HEADER.replace(b"F15:1", b"F30000:1001")
    frames = list(Y4m(clip(tmp_path, header + FRAME * 4)))
    assert frames[3].time_s == pytest.approx(3 * 1001 / 30000)


def test_header_without_the_optional_fields_and_frame_with_some(tmp_path: Path) -> None:
    frame = FRAME.replace(b"FRAME\n", b"FRAME Ip\n")
    assert len(list(Y4m(clip(tmp_path, b"YUV4MPEG2 H2 W4 F15:1\n" + frame)))) == 1


@pytest.mark.parametrize("cut", [1, 5, 7, 12, 17])
def test_a_cut_clip_says_where(tmp_path: Path, cut: int) -> None:
    frames = iter(Y4m(clip(tmp_path, HEADER + FRAME + FRAME[:cut])))
    assert next(frames).index == 0
    with pytest.raises(SourceError, match="ends inside frame 1"):
        next(frames)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\n",
        b"hello\n",
        b"YUV4MPEG2\n",
        b"YUV4MPEG2 W4 H2\n",
        b"YUV4MPEG2 W4 Hx F15:1\n",
        b"YUV4MPEG2 W0 H2 F15:1\n",
        b"YUV4MPEG2 W-4 H2 F15:1\n",
        b"YUV4MPEG2 W999999 H2 F15:1\n",
        b"YUV4MPEG2 W4 H2 F15:0\n",
        b"YUV4MPEG2 W4 H2 F0:1\n",
        b"YUV4MPEG2 W4 H2 F15:1 C444\n",
        b"YUV4MPEG2 W4 H2 F15:1 C420p10\n",
        b"YUV4MPEG3 W4 H2 F15:1\n",
        b"\xff\xd8\xff\xe0" + bytes(2000),
    ],
)
def test_other_headers_are_refused(tmp_path: Path, header: bytes) -> None:
    path = clip(tmp_path, header + FRAME)
    with pytest.raises(SourceError, match="not a YUV4MPEG2 video") as error:
        Y4m(path)
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("size", [b"W3 H2", b"W4 H3"])
def test_odd_sizes_are_refused(tmp_path: Path, size: bytes) -> None:
    with pytest.raises(SourceError, match="even"):
        Y4m(clip(tmp_path, HEADER.replace(b"W4 H2", size) + FRAME))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"absent\.y4m: cannot be read"):
        Y4m(tmp_path / "absent.y4m")


def test_a_clip_without_a_frame_is_no_video(tmp_path: Path) -> None:
    """As every other video without a frame."""
    with pytest.raises(SourceError):
        list(Y4m(clip(tmp_path, HEADER)))


@settings(max_examples=40)
@given(st.binary(max_size=80))
def test_any_bytes_play_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    for start in (b"", b"YUV4MPEG2 W4 H2 F15:1 ", HEADER, HEADER + b"FRAME\n"):
        path = clip(tmp_path_factory.getbasetemp(), start + data)
        try:
            for frame in Y4m(path):
                assert frame.image.shape[2] == 3
        except SourceError as error:
            assert len(str(error).splitlines()) == 1
