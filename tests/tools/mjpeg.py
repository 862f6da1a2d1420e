"""A live camera on the network: the sample clip as MJPEG over HTTP, which can be cut and restored.

As a program: `python -m tests.tools.mjpeg PORT`; lines on stdin command it: `cut`, `stall`,
`break`, `restore`.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import cv2
import numpy as np

from edge.cameras.y4m import Y4m

SAMPLE = Path(__file__).resolve().parents[2] / "models" / "sample.y4m"
_HEAD = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"


class Stream:
    """Serves JPEGs, one after the other, for ever; at most `frames_per_second`."""

    def __init__(self, jpegs: list[bytes], frames_per_second: float = 15, port: int = 0) -> None:
        self._jpegs = jpegs
        self._interval_s = 1 / frames_per_second
        self.port = port
        self.state = "restore"
        """What it does now: `restore` plays, `stall` sends nothing, `break` sends broken JPEGs."""
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self.port}/video.mjpg"

    def start(self) -> None:
        """Listen again, on the same port."""
        stream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                stream._play(self.wfile.write)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_: object) -> None:
                pass  # a viewer has gone

        self.state = "restore"
        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def cut(self) -> None:
        """Hang up on all viewers, and refuse new ones."""
        self.state = "cut"
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def command(self, word: str) -> None:
        """`cut`, `stall`, `break` or `restore`."""
        if word == "cut":
            self.cut()
        elif word == "restore" and self._server is None:
            self.start()
        else:
            self.state = word

    def _play(self, write: object) -> None:
        due, index = time.monotonic(), 0
        while self.state != "cut":
            if self.state != "stall":
                jpeg = self._jpegs[index % len(self._jpegs)]
                if self.state == "break" and index % 2:
                    jpeg = jpeg[: len(jpeg) // 3]
                write(_HEAD % len(jpeg) + jpeg + b"\r\n")  # type: ignore[operator]
                index += 1
            due = max(due + self._interval_s, time.monotonic() - 1)
            time.sleep(max(due - time.monotonic(), 0))


def jpegs(count: int = 120) -> list[bytes]:
    """The first frames of the sample clip."""
    frames = []
    for frame in Y4m(SAMPLE):
        picture = np.ascontiguousarray(frame.image[..., ::-1])
        frames.append(cv2.imencode(".jpg", picture)[1].tobytes())
        if len(frames) == count:
            break
    return frames


def moved_right(jpeg: bytes) -> bytes:
    """The picture with half its width of grey at its left."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    border = (0, 0, picture.shape[1] // 2, 0)
    wide = cv2.copyMakeBorder(picture, *border, cv2.BORDER_CONSTANT, value=(128, 128, 128))
    return cv2.imencode(".jpg", wide)[1].tobytes()


if __name__ == "__main__":
    live = Stream(jpegs(), port=int(sys.argv[1]))
    print(live.url, flush=True)
    for line in sys.stdin:
        live.command(line.strip())
        print(line.strip(), flush=True)
