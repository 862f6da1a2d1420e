"""What viewers of the live page cost the daemon: `python -m benchmarks.viewers`, three minutes.

One daemon reads the sample clip from a stream at 15 frames a second. None, one and five viewers
take turns, so that what else goes on at the machine hits all alike.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread

import psutil
from tqdm import tqdm

from tests.tools.mjpeg import Stream, jpegs

REPO = Path(__file__).resolve().parent.parent
VIEWERS = (0, 1, 5)
_SETTLE_S, _WINDOW_S = 1.0, 6.0


class Viewer:
    """Takes all that comes, and counts it."""

    def __init__(self, port: int) -> None:
        self.taken = 0
        self._end = Event()
        self._line = socket.create_connection(("127.0.0.1", port))
        self._line.settimeout(0.5)
        self._line.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        self._thread = Thread(target=self._take)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self._line.close()

    def _take(self) -> None:
        while not self._end.is_set():
            try:
                size = len(self._line.recv(65536))
            except TimeoutError:
                continue
            self.taken += size


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.viewers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args(arguments)
    stream = Stream(jpegs())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    line = [sys.executable, "-m", "edge", "daemon", "--source", stream.url]
    line += ["--page", f"127.0.0.1:{port}", "--set", "output.stdout=frames"]
    daemon = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=REPO)
    assert daemon.stdout is not None
    loop_ms: list[float] = []

    def listen() -> None:
        for text in daemon.stdout or ():
            timings = json.loads(text)["timings_ms"]
            loop_ms.append(sum(ms for stage, ms in timings.items() if stage != "capture"))

    Thread(target=listen, daemon=True).start()
    found: dict[int, list[tuple[float, float, float, float]]] = {n: [] for n in VIEWERS}
    process = psutil.Process(daemon.pid)
    time.sleep(5)
    for _ in tqdm(range(options.rounds), disable=not sys.stderr.isatty(), unit="round"):
        for count in VIEWERS:
            viewers = [Viewer(port) for _ in range(count)]
            time.sleep(_SETTLE_S)
            frames, taken = len(loop_ms), sum(viewer.taken for viewer in viewers)
            cpu_s, began = sum(process.cpu_times()[:2]), time.monotonic()
            time.sleep(_WINDOW_S)
            passed = time.monotonic() - began
            share = (sum(process.cpu_times()[:2]) - cpu_s) / passed
            mine = loop_ms[frames:]
            sent = sum(viewer.taken for viewer in viewers) - taken
            found[count].append(
                (share, statistics.median(mine), len(mine) / passed, sent / passed / max(count, 1))
            )
            for viewer in viewers:
                viewer.close()
    resident = process.memory_info().rss / 1e6
    daemon.terminate()
    daemon.wait()
    stream.cut()
    print("| viewers | share of a core | loop, ms a frame | frames/s | kB/s a viewer |")
    print("| --- | --- | --- | --- | --- |")
    for count, rows in found.items():
        share, loop, rate, sent = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {count} | {share:.1%} | {loop:.2f} | {rate:.1f} | {sent / 1e3:.0f} |")
    print(f"\nmemory at the end: {resident:.0f} MB (OpenCV reads the stream)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
