"""`python -m edge daemon`: a process, a camera that comes and goes, a manager that listens."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.tools.mjpeg import Stream, jpegs


class Daemon:
    """The process, and what it says: readings, lines on stderr, notices to systemd."""

    def __init__(self, folder: Path, root: Path, settings: str, *arguments: str) -> None:
        self.config = folder / "config.toml"
        self.config.write_text(settings)
        self.readings: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.notices: list[str] = []
        line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        line.bind(str(folder / "notify"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge", "daemon", "--config", str(self.config), *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(root), "NOTIFY_SOCKET": str(folder / "notify")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        out, err = self.process.stdout, self.process.stderr
        assert out is not None
        assert err is not None

        def listen() -> None:
            while True:
                self.notices.append(line.recv(4096).decode())

        def hear() -> None:
            self.readings.extend(json.loads(text) for text in iter(out.readline, ""))

        def see() -> None:
            self.told.extend(
                text.rstrip().removeprefix("edge: ") for text in iter(err.readline, "")
            )

        for work in (listen, hear, see):
            Thread(target=work, daemon=True).start()

    def until(self, condition: Callable[[], object], seconds: float = 15) -> None:
        """Wait for it."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.notices[-3:], self.told, self.readings[-2:])
            time.sleep(0.02)

    def stop(self) -> int:
        """SIGTERM; the exit status, which has to come within a second."""
        self.process.terminate()
        return self.process.wait(timeout=1)


@pytest.fixture
def stream(models_dir: Path) -> Iterator[Stream]:
    """A camera on the network."""
    stream = Stream(jpegs(30))
    yield stream
    stream.cut()


@pytest.fixture
def start(tmp_path: Path, models_dir: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts daemons; the test need not end them."""
    started: list[Daemon] = []

    def begin(settings: str, *arguments: str) -> Daemon:
        started.append(Daemon(tmp_path, models_dir.parent, settings, *arguments))
        return started[-1]

    yield begin
    for daemon in started:
        daemon.process.kill()
        daemon.process.wait()


def camera(stream: Stream, more: str = "") -> str:
    return f'[camera]\nsource = "{stream.url}"\n{more}'


def test_a_life(start: Callable[..., Daemon], stream: Stream) -> None:
    """Ready, readings, camera lost and back, and a clean end."""
    daemon = start(camera(stream))
    daemon.until(lambda: "READY=1" in daemon.notices)
    daemon.until(lambda: daemon.readings)
    assert (daemon.readings[0]["label"], daemon.readings[0]["camera"]) == ("happy", "ok")
    daemon.until(lambda: any("WATCHDOG=1\nSTATUS=happy for" in n for n in daemon.notices))

    stream.cut()
    cut_s = time.monotonic()
    daemon.until(lambda: daemon.readings[-1]["camera"] != "ok", 2)
    assert time.monotonic() - cut_s < 2
    lost = daemon.readings[-1]
    assert (lost["label"], lost["reason"], lost["face"]) == ("unknown", "camera lost", False)
    daemon.until(lambda: daemon.told and daemon.told[0].startswith("camera: lost: "))
    before = len(daemon.notices)
    time.sleep(2)
    alive = [n for n in daemon.notices[before:] if "WATCHDOG=1" in n]
    assert alive  # lost, but retried: no reason to be killed
    assert "camera lost" in alive[-1]

    stream.start()
    daemon.until(lambda: daemon.readings[-1]["camera"] == "ok", 5)
    assert daemon.readings[-1]["label"] == "happy"
    daemon.until(lambda: daemon.told[-1] == "camera: back")
    assert len(daemon.readings) <= 5  # changes, not frames

    assert daemon.stop() == 0
    assert daemon.notices[-1] == "STOPPING=1"
    assert not [line for line in daemon.told if "Traceback" in line]


def test_a_camera_that_is_absent_from_the_start(
    start: Callable[..., Daemon], stream: Stream
) -> None:
    """It waits, tells so, and is ready when the first frame has been read, not before."""
    stream.cut()
    daemon = start(camera(stream))
    daemon.until(lambda: any(n.startswith("EXTEND_TIMEOUT_USEC=") for n in daemon.notices))
    assert "READY=1" not in daemon.notices
    assert daemon.readings[0]["reason"] == "camera lost"
    stream.start()
    daemon.until(lambda: "READY=1" in daemon.notices, 6)
    assert daemon.stop() == 0


def test_stopping_while_the_camera_hangs(start: Callable[..., Daemon], stream: Stream) -> None:
    daemon = start(camera(stream))
    daemon.until(lambda: daemon.readings)
    stream.command("stall")
    time.sleep(0.3)
    assert daemon.stop() == 0


def test_settings_are_loaded_again(start: Callable[..., Daemon], stream: Stream) -> None:
    daemon = start(camera(stream))
    daemon.until(lambda: "READY=1" in daemon.notices)

    daemon.config.write_text("[camera]\nsauce = 1\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: any("sauce" in line for line in daemon.told))
    assert daemon.told[-1].endswith("the old settings stay")
    assert str(daemon.config) in daemon.told[-1]

    daemon.config.write_text(camera(stream, '[classify]\nmodel = "gmm"\n'))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: any("gmm" in line for line in daemon.told))
    daemon.config.write_text(camera(stream, '[mqtt]\nhost = "x"\npassword_file = "/no/such"\n'))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: any("/no/such" in line for line in daemon.told))
    before = len(daemon.readings)

    daemon.config.write_text(camera(stream, '[output]\nstdout = "frames"\n'))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: len(daemon.readings) > before + 10)
    assert "settings loaded again" in daemon.told
    daemon.until(lambda: daemon.notices.count("READY=1") == 5)
    assert sum(n.startswith("RELOADING=1\nMONOTONIC_USEC=") for n in daemon.notices) == 4

    stream.cut()  # another camera
    other = Stream(jpegs(10))
    daemon.config.write_text(camera(other))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: daemon.readings[-1]["source"] == other.url)
    other.cut()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("[camera]\nwidth = 1\n", "config.toml: camera.width = 1: allowed is int 64 to 4096"),
        ("[camera", "config.toml: not valid TOML"),
    ],
)
def test_bad_settings(start: Callable[..., Daemon], settings: str, said: str) -> None:
    daemon = start(settings)
    assert daemon.process.wait(timeout=20) == 78
    daemon.until(lambda: daemon.told)
    assert len(daemon.told) == 1
    assert said in daemon.told[0]


@pytest.mark.parametrize("source", ["sample", "camera", ""])
def test_a_source_for_run_alone(start: Callable[..., Daemon], source: str) -> None:
    daemon = start(f'[camera]\nsource = "{source}"\n')
    assert daemon.process.wait(timeout=20) == 78
    daemon.until(lambda: daemon.told)
    (line,) = daemon.told
    assert f"camera.source = {source!r}: the daemon takes 'auto', or" in line


def test_a_model_that_is_not_there(start: Callable[..., Daemon]) -> None:
    daemon = start("", "--model", "nn")
    assert daemon.process.wait(timeout=20) == 78  # systemd does not try again
    daemon.until(lambda: daemon.told)
    (line,) = daemon.told
    assert "classify.model = 'nn'" in line


def test_a_clip_ends(start: Callable[..., Daemon], models_dir: Path) -> None:
    """Played at its own speed, so 8 s; then there is nothing left to do."""
    began = time.monotonic()
    daemon = start("", "--source", str(models_dir / "sample.y4m"), "--set", "output.stdout=frames")
    assert daemon.process.wait(timeout=30) == 0
    assert time.monotonic() - began > 7.5
    daemon.until(lambda: daemon.readings[-1]["frame"] == 119)
    assert len(daemon.readings) > 100


def test_idling_takes_few_frames(start: Callable[..., Daemon], stream: Stream) -> None:
    """Nobody there: three frames a second, as the settings say."""
    empty = Stream([grey()])
    settings = "[pace]\nidle_after_seconds = 1.0\n"
    daemon = start(camera(empty, settings))
    daemon.until(lambda: any("slowed down: no face" in n for n in daemon.notices))
    daemon.until(lambda: ", 3.0 frames/s" in daemon.notices[-1] or ", 2.9" in daemon.notices[-1])
    assert daemon.readings[-1]["reason"] == "no face"
    empty.cut()


def grey() -> bytes:
    """A JPEG without a face."""
    import cv2
    import numpy as np

    return cv2.imencode(".jpg", np.full((480, 640, 3), 128, np.uint8))[1].tobytes()


@pytest.mark.parametrize("pause_s", [0.0, 0.02, 0.05, 0.1, 0.3])
def test_a_stop_during_a_reload_is_obeyed(
    start: Callable[..., Daemon], stream: Stream, pause_s: float
) -> None:
    daemon = start(camera(stream))
    daemon.until(lambda: "READY=1" in daemon.notices)
    daemon.config.write_text(camera(stream, 'width = 320\n[classify]\nmodel = "both"\n'))
    daemon.process.send_signal(signal.SIGHUP)
    time.sleep(pause_s)
    assert daemon.stop() == 0


def test_a_reload_while_starting_does_not_kill(
    start: Callable[..., Daemon], stream: Stream
) -> None:
    daemon = start(camera(stream))
    status, first = Path(f"/proc/{daemon.process.pid}/status"), 1 << (signal.SIGHUP - 1)
    # Before Python itself has started, nothing of ours could keep a signal from ending it.
    while not int(status.read_text().split("SigIgn:")[1].split()[0], 16) & first:
        time.sleep(0.005)
    for _ in range(10):
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    daemon.until(lambda: daemon.readings)
    assert daemon.stop() == 0


def test_a_journal_that_is_gone_is_a_failure(
    tmp_path: Path, models_dir: Path, stream: Stream
) -> None:
    """Not the end of `| head`: systemd has to start it again."""
    line = [sys.executable, "-m", "edge", "daemon", "--source", stream.url]
    line += ["--set", "output.stdout=frames"]
    environment = {**os.environ, "PYTHONPATH": str(models_dir.parent)}
    read, write = os.pipe()
    with subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=write) as process:
        os.close(write)
        os.read(read, 10)
        os.close(read)
        assert process.wait(timeout=10) == 1


def test_no_password_is_told(start: Callable[..., Daemon]) -> None:
    daemon = start("", "--source", "http://me:hunter2@127.0.0.1:9/video")
    daemon.until(lambda: daemon.readings and any("lost" in n for n in daemon.notices))
    assert daemon.stop() == 0
    everything = str(daemon.readings) + str(daemon.told) + str(daemon.notices)
    assert "http://…@127.0.0.1:9/video" in everything
    assert "hunter2" not in everything


def test_a_broken_clip_is_no_camera(
    start: Callable[..., Daemon], models_dir: Path, tmp_path: Path
) -> None:
    """It would break at the same frame the next time."""
    whole = (models_dir / "sample.y4m").read_bytes()
    (tmp_path / "cut.y4m").write_bytes(whole[: len(whole) // 30])
    daemon = start("", "--source", "cut.y4m")
    assert daemon.process.wait(timeout=20) == 1
    daemon.until(lambda: daemon.told)
    assert daemon.told[-1].startswith("cut.y4m: ends inside frame")
