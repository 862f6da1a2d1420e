"""Pictures, videos, folders and streams through OpenCV."""

from __future__ import annotations

import os
import threading
import time
import zipfile
from collections.abc import Iterator
from errno import EACCES
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.cameras import open_camera
from edge.cameras.opencv import decode, is_picture, list_files, read_file, read_picture
from edge.errors import SourceError
from edge.settings import CameraSettings

SETTINGS = CameraSettings()
SIZE = (64, 48)


def coloured(index: int) -> np.ndarray:
    """Frame `index` of a test video, (48, 64, 3) RGB: red, with blue rising."""
    return np.full((SIZE[1], SIZE[0], 3), (200, 20, 20 * index), np.uint8)


@pytest.fixture(params=["MJPG.avi", "mp4v.mp4", "MJPG.mkv"])
def video(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Ten frames of 64×48 at 10 a second."""
    codec, ending = request.param.split(".")
    path = tmp_path / f"clip.{ending}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10, SIZE)
    assert writer.isOpened()
    for index in range(10):
        writer.write(np.ascontiguousarray(coloured(index)[..., ::-1]))
    writer.release()
    return path


def test_video_frames_in_order_and_rgb(video: Path) -> None:
    frames = list(open_camera(str(video), SETTINGS))
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 10 for i in range(10)])
    assert {frame.source for frame in frames} == {str(video)}
    for index, frame in enumerate(frames):
        assert frame.image.dtype == np.uint8
        difference = np.abs(frame.image.astype(int) - coloured(index)).mean(axis=(0, 1))
        assert (difference < 12).all(), index


def test_frames_do_not_share_memory(video: Path) -> None:
    """Whoever keeps a frame must not find the next one in it."""
    frames = [frame.image for frame in read_file(video)]
    assert frames[0][..., 2].mean() < 30
    assert frames[9][..., 2].mean() > 150


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".ppm", ".webp", ".jpg", ".JPG"])
def test_picture_is_rgb(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"red{ending}"
    assert cv2.imwrite(str(path), np.ascontiguousarray(coloured(0)[..., ::-1]))
    frame = read_picture(path)
    assert (frame.source, frame.index, frame.time_s) == (str(path), 0, 0.0)
    assert frame.image.shape == (48, 64, 3)
    assert (np.abs(frame.image.astype(int) - (200, 20, 0)).mean(axis=(0, 1)) < 12).all()


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 4)])
def test_grey_and_transparent_pictures_become_rgb(shape: tuple[int, ...]) -> None:
    image = np.full(shape, 90, np.uint8)
    got = decode(cv2.imencode(".png", image)[1].tobytes(), "x")
    np.testing.assert_array_equal(got, np.full((48, 64, 3), 90, np.uint8))


def test_sixteen_bits_become_eight() -> None:
    image = np.full((4, 4), 90 * 257, np.uint16)
    got = decode(cv2.imencode(".png", image)[1].tobytes(), "x")
    assert (got.dtype, int(got[0, 0, 0])) == (np.uint8, 90)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_cut_picture_is_refused(
    portrait: np.ndarray, capfd: pytest.CaptureFixture[str], ending: str, share: float
) -> None:
    """OpenCV would fill the rest with grey, and a grey half face has an expression, too."""
    data = cv2.imencode(ending, portrait)[1].tobytes()
    with pytest.raises(SourceError, match=r"^that one: not a picture"):
        decode(data[: int(len(data) * share)], "that one")
    assert capfd.readouterr().err == ""  # no second line by libjpeg or libpng


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_film_behind_a_picture_does_not_matter(portrait: np.ndarray, progressive: int) -> None:
    """Phones append one. It may hold any bytes, also those of a scan that does not end."""
    kind = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    data = cv2.imencode(".jpg", portrait, kind)[1].tobytes()
    whole = decode(data, "x")
    np.testing.assert_array_equal(decode(data + b"film\xff\xda\x00\x08film", "x"), whole)
    # Nor does a preview before it, which ends where the picture does not.
    preview = b"\xff\xe1\x00\x0bExif\xff\xda\xff\xd9\xff"
    with_preview = data[:2] + preview + data[2:]
    np.testing.assert_array_equal(decode(with_preview, "x"), whole)
    with pytest.raises(SourceError):
        decode(with_preview[:-300], "x")


def test_list_files_sorts_and_leaves_others_out(tmp_path: Path) -> None:
    names = ["b.jpg", "a/z.PNG", "a/b/c.mp4", "10.jpeg", "9.y4m"]
    (tmp_path / "folder.jpg").mkdir()
    for name in [*names, "notes.txt", "a/.jpg.part", "noending"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in list_files(tmp_path)]
    assert found == ["10.jpeg", "9.y4m", "a/b/c.mp4", "a/z.PNG", "b.jpg"]
    assert list_files(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and the rest is listed. (Who runs the tests as root can read every folder.)"""
    cv2.imwrite(str(tmp_path / "a.png"), coloured(0))
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def locked(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    told: list[SourceError] = []
    assert list_files(tmp_path, told.append) == [tmp_path / "a.png"]
    assert list_files(tmp_path / "locked", told.append) == []
    line = f"{tmp_path / 'locked'}: cannot be read: Permission denied"
    assert [str(error) for error in told] == [line, line]
    with pytest.raises(SourceError, match="Permission denied"):
        list_files(tmp_path)


def test_a_folder_plays_all_it_can(tmp_path: Path) -> None:
    for index, name in enumerate(["a.png", "c.png"]):
        cv2.imwrite(str(tmp_path / name), coloured(index))
    (tmp_path / "b.png").write_text("hello")
    told: list[SourceError] = []
    frames = list(open_camera(str(tmp_path), SETTINGS, told.append))
    assert [Path(frame.source).name for frame in frames] == ["a.png", "c.png"]
    assert [str(error) for error in told] == [
        f"{tmp_path / 'b.png'}: not a picture that can be read"
    ]
    with pytest.raises(SourceError, match=r"b\.png"):
        list(open_camera(str(tmp_path), SETTINGS))


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("v4l2:front", "is named v4l2:0, or v4l2:/dev"),
        ("v4l2:", "is named v4l2:0, or v4l2:/dev"),
        ("v4l2:987", "cannot be opened"),
        ("http://127.0.0.1:9/stream", "cannot be opened"),
        ("absent.jpg", "no such file"),
        ("gopher:", "no such file"),
        ("0", "a USB camera is named v4l2:0"),
        ("/dev/video98", "a USB camera is named v4l2:98"),
    ],
)
def test_what_cannot_be_opened(
    uri: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=said) as error:
        open_camera(uri, SETTINGS)
    assert str(error.value).startswith(uri)
    assert len(str(error.value).splitlines()) == 1
    assert capfd.readouterr().err == ""


def test_a_folder_may_be_named_like_a_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0").mkdir()
    cv2.imwrite(str(tmp_path / "0/a.png"), coloured(0))
    monkeypatch.chdir(tmp_path)
    assert len(list(open_camera("0", SETTINGS))) == 1


@pytest.mark.parametrize("name", ["notes.txt", "README", "empty.mp4"])
def test_a_file_that_is_neither(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("" if "empty" in name else "hello\n" * 99)
    with pytest.raises(SourceError, match=f"{name}: neither a picture nor a video"):
        list(read_file(tmp_path / name))


def test_a_zip_is_no_video(tmp_path: Path) -> None:
    """FFmpeg finds the JPEGs in it, and would play them with no time of their own."""
    cv2.imwrite(str(tmp_path / "a.jpg"), coloured(0))
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as file:
        for index in range(9):
            file.write(tmp_path / "a.jpg", f"{index}.jpg")
    with pytest.raises(SourceError, match=r"faces\.zip: a zip: unpack it") as error:
        list(read_file(tmp_path / "faces.zip"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["picture", "picture.txt"])
def test_a_picture_by_another_name(tmp_path: Path, name: str) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), coloured(3))
    (tmp_path / "a.jpg").rename(tmp_path / name)
    assert is_picture(tmp_path / name)
    (frame,) = read_file(tmp_path / name)
    assert (frame.index, frame.time_s) == (0, 0.0)


def test_frames_without_a_time_follow_the_frame_rate(tmp_path: Path) -> None:
    """Bare JPEGs one after the other, as cameras record them."""
    cv2.imwrite(str(tmp_path / "a.jpg"), coloured(0))
    (tmp_path / "clip.mjpg").write_bytes((tmp_path / "a.jpg").read_bytes() * 5)
    frames = list(read_file(tmp_path / "clip.mjpg"))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 25 for i in range(5)])
    assert [frame.clock_s for frame in frames] == [frame.time_s for frame in frames]


@pytest.mark.parametrize("name", ["text.mp4", "empty.avi", "cut.y4m"])
def test_a_video_that_is_none(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_text("" if "empty" in name else "hello")
    with pytest.raises(SourceError, match=name):
        list(read_file(tmp_path / name))
    assert capfd.readouterr().err == ""


@pytest.fixture
def stream() -> Iterator[str]:
    """URL of an IP camera: MJPEG in a multipart answer, cut after twelve frames.

    `…/stalls.mjpg` is not cut: it only falls silent.
    """

    stop = threading.Event()

    class IpCamera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for index in range(12):
                jpeg = cv2.imencode(".jpg", np.ascontiguousarray(coloured(index)[..., ::-1]))[1]
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {jpeg.size}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg.tobytes() + b"\r\n")
            self.wfile.flush()
            if "stalls" in self.path:
                stop.wait(60)

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    server = HTTPServer(("127.0.0.1", 0), IpCamera)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/video.mjpg"
    stop.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_live_stream_ends_with_an_error(stream: str) -> None:
    """Frames, then the cut is told: a device that falls silent would pass for one without faces."""
    camera = open_camera(stream, SETTINGS)
    frames = []
    with pytest.raises(SourceError, match="gone") as error:
        for frame in camera:
            frames.append(frame)
    camera.close()
    assert stream in str(error.value)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert len(frames) >= 10  # FFmpeg may drop the last one, which nothing follows
    assert {frame.source for frame in frames} == {stream}
    assert frames[0].time_s > 1.6e9  # seconds since the epoch, not since the start
    for index in (0, 9):
        difference = np.abs(frames[index].image.astype(int) - coloured(index)).mean(axis=(0, 1))
        assert (difference < 12).all()


def test_a_silent_stream_counts_as_lost(stream: str) -> None:
    """After `camera.timeout_seconds`, as every camera."""
    camera = open_camera(stream.replace("video", "stalls"), CameraSettings(timeout_seconds=1.0))
    last = time.monotonic()
    with pytest.raises(SourceError):
        for _ in camera:
            last = time.monotonic()
    assert time.monotonic() - last < 5
