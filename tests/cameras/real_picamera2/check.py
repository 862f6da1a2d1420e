"""The adapter and picamera2 itself, as far as a camera that is none can tell.

The virtual camera delivers NV12 as fast as it is asked to: neither a Pi's rate nor its YUV420 with
padded rows is seen here (the latter is made up below, and goes through picamera2's own code), nor
what a real sensor and its driver do when they fail. Stalls are made by keeping picamera2's event
loop from its work. `run.sh` runs this.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import virtual_camera

import edge.cameras.picamera2 as adapter
from edge.cameras import find_camera, open_camera
from edge.cameras.live import Live
from edge.cameras.yuv import planes, rgb_from_yuv420
from edge.errors import SourceError
from edge.settings import CameraSettings
from edge.types import Frame

SETTINGS = CameraSettings(width=640, height=480, timeout_seconds=0.5)
BARS = ["fff", "ff0", "0ff", "0f0", "f0f", "f00", "00f", "000"]
"""libcamera's colour bars from left to right; they move one column to the left each frame."""


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Each test begins and ends without a camera."""
    virtual_camera.prepare()
    yield
    shared = adapter._shared
    if shared.user is not None:
        shared.user.close()
    if shared.device is not None:
        shared.device.close()
        shared.device = None


def real() -> Any:
    """The Picamera2 object beneath."""
    assert adapter._shared.device is not None
    return adapter._shared.device._camera


def descriptors() -> int:
    """Files that this process has open."""
    gc.collect()  # picamera2 leaves a selector in a cycle at each stop
    return len(list(Path("/proc/self/fd").iterdir()))


def test_it_is_found() -> None:
    assert adapter.cameras() == ["virtual"]
    assert find_camera() == "picamera2:"


@pytest.mark.parametrize("size", [(640, 480), (320, 240)])
def test_frames_have_the_colours_of_the_test_picture(size: tuple[int, int]) -> None:
    width, height = size
    camera = open_camera("picamera2:", CameraSettings(width=width, height=height))
    for index, frame in enumerate(islice(camera, 30)):
        assert frame.index == index
        assert frame.image.shape == (height, width, 3)
        assert 0 <= time.monotonic() - frame.clock_s < 0.5
        assert 0 <= time.time() - frame.time_s < 0.5
    row = frame.image[height // 2]
    pure = row[np.abs(row.astype(int) - np.where(row > 127, 255, 0)).max(axis=1) <= 3]
    assert len(pure) > 0.9 * width  # all but where two bars share a sample of chroma
    names = ["".join("f" if value > 127 else "0" for value in pixel) for pixel in pure]
    order = [name for i, name in enumerate(names) if name != names[i - 1]]
    first = order.index("fff")
    assert order[first:] + order[:first] == BARS
    assert (frame.image == row).mean() > 0.99


def test_a_size_that_the_camera_adjusts() -> None:
    """Frames are as large as libcamera says, not as was asked for."""
    camera = open_camera("picamera2:", CameraSettings(width=501, height=301))
    assert next(iter(camera)).image.shape == (480, 640, 3)


def test_opened_again_it_is_the_same_configured_camera() -> None:
    first = open_camera("picamera2:", SETTINGS)
    next(iter(first))
    device = real()
    fds = descriptors()
    threads = threading.active_count()
    for camera in [first] + [None] * 10:
        camera = camera or open_camera("picamera2:", SETTINGS)
        assert len(list(islice(camera, 5))) == 5
        camera.close()
        camera.close()
    assert real() is device
    assert device.configure_count == 1
    camera = open_camera("picamera2:", SETTINGS)
    next(iter(camera))
    assert descriptors() == fds
    assert threading.active_count() == threads


def test_other_settings_configure_anew() -> None:
    for size in [(640, 480), (320, 240), (640, 480)]:
        camera = open_camera("picamera2:", CameraSettings(width=size[0], height=size[1]))
        assert next(iter(camera)).image.shape == (*size[::-1], 3)
        camera.close()


def test_a_stall_is_overcome_by_a_restart() -> None:
    camera = open_camera("picamera2:", SETTINGS)
    frames = iter(camera)
    next(frames)
    device = real()
    stop_preview = device.stop_preview

    def heal() -> None:
        stop_preview()
        del device.process_requests, device.stop_preview

    device.process_requests = lambda display: None  # as if no request were ever completed …
    device.stop_preview = heal  # … before the next stop
    start = time.monotonic()
    assert next(frames).index == 1
    assert SETTINGS.timeout_seconds <= time.monotonic() - start < 2.5
    assert device.configure_count == 1
    assert len(list(islice(frames, 20))) == 20


def test_two_stalls_in_a_row_are_told_and_opening_again_helps() -> None:
    camera = open_camera("picamera2:", SETTINGS)
    frames = iter(camera)
    next(frames)
    device = real()
    device.process_requests = lambda display: None
    with pytest.raises(SourceError, match="ribbon"):
        next(frames)
    camera.close()
    del device.process_requests
    camera = open_camera("picamera2:", SETTINGS)
    assert len(list(islice(camera, 20))) == 20
    assert real() is device
    assert device.configure_count == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_picamera2s_event_loop_may_die() -> None:
    """It ends with the first exception, and then nothing answers, not even `stop`."""
    camera = open_camera("picamera2:", SETTINGS)
    frames = iter(camera)
    next(frames)
    device = real()

    def fail(display: object) -> None:
        del device.process_requests
        raise KeyError(19)

    device.process_requests = fail
    assert len(list(islice(frames, 20))) == 20
    assert device.configure_count == 1


@pytest.mark.parametrize("stalled", [False, True])
def test_close_from_another_thread_ends_iterating(stalled: bool) -> None:
    camera = open_camera("picamera2:", CameraSettings(timeout_seconds=10))
    frames = iter(camera)
    next(frames)
    if stalled:
        real().process_requests = lambda display: None
    ended = threading.Event()

    def work() -> None:
        for _ in frames:
            pass
        ended.set()

    threading.Thread(target=work, daemon=True).start()
    time.sleep(0.3)
    assert not ended.is_set()
    start = time.monotonic()
    camera.close()
    assert time.monotonic() - start < 0.5
    assert ended.wait(0.5)


def test_a_camera_in_use_is_told_and_can_be_had_later() -> None:
    from picamera2 import Picamera2

    other = Picamera2()
    with pytest.raises(SourceError, match="busy") as error:
        open_camera("picamera2:", SETTINGS)
    assert len(str(error.value).splitlines()) == 1
    other.close()
    assert next(iter(open_camera("picamera2:", SETTINGS))).index == 0


def test_live_reads_it_at_its_own_pace_and_lets_go() -> None:
    live = Live(CameraSettings(source="auto", frames_per_second=20, timeout_seconds=0.5))
    frames = iter(live)
    next(frames)
    start = time.monotonic()
    assert all(isinstance(frame, Frame) for frame in islice(frames, 10))
    assert 0.4 <= time.monotonic() - start < 1.5
    live.close()
    end = time.monotonic() + 2
    while adapter._shared.user is not None:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert real().started is False


@pytest.mark.parametrize("stride", [324, 384, 448])
def test_picamera2s_yuv420_with_a_stride_of_its_own(stride: int) -> None:
    """What the Pi's ISPs deliver: rows padded to 64 or 128 bytes. Cut as picamera2 itself does."""
    from picamera2.request import Helpers

    width, height = 324, 242
    memory = np.random.default_rng(0).integers(0, 256, stride * height * 3 // 2, np.uint8)
    config = {"format": "YUV420", "size": (width, height), "stride": stride}
    padded = Helpers(None).make_array(memory, config)
    rows = padded.reshape(padded.shape[0] * 2, stride // 2)
    chroma = rows[2 * height :, : width // 2]  # U's rows, then V's
    tight = np.concatenate([padded[:height, :width].ravel(), chroma.ravel()])
    np.testing.assert_array_equal(
        rgb_from_yuv420(*planes(padded, "YUV420", width)),
        rgb_from_yuv420(*planes(tight.reshape(-1, width), "YUV420", width)),
    )


@pytest.mark.parametrize("closed", ["camera.close()", "pass"])
def test_a_program_says_nothing_and_ends_by_itself(closed: str) -> None:
    code = (
        "import edge.cameras.picamera2, virtual_camera; virtual_camera.prepare()\n"
        "from edge.cameras import open_camera\nfrom edge.settings import CameraSettings\n"
        f"camera = open_camera('picamera2:', CameraSettings()); next(iter(camera)); {closed}\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20
    )
    assert result.returncode == 0
    lines = [line for line in result.stderr.splitlines() if "any dma-buf provider" not in line]
    assert lines == []  # but for libcamera's error, true here, about /dev/dma_heap
