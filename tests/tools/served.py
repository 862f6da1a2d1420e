"""The page in a browser: the daemon that serves it, and what is to be seen of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.tools.browser import Tab
from tests.tools.ports import free_port

CONTRAST = """(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (one) => {
    const colour = getComputedStyle(one).backgroundColor;
    return colour === 'rgba(0, 0, 0, 0)' ? ground(one.parentElement) : colour;
  };
  return [...document.querySelectorAll('h1, h2, p, li, dt, dd, button, span, b')]
    .filter((one) => one.checkVisibility() && one.id !== 'news' && one.textContent.trim())
    .map((one) => {
      const [a, b] = [light(getComputedStyle(one).color), light(ground(one))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.textContent];
    }).sort((a, b) => a[0] - b[0])[0];
})()"""
"""WCAG's contrast of the text that has least."""
PIXELS = """((canvas) => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext(
    '2d', {willReadFrequently: true});
  copy.drawImage(canvas, 0, 0);
  return copy.getImageData(0, 0, canvas.width, canvas.height).data;
})"""
"""The bytes of a canvas, out of a copy: a browser complains of one that is read again and again."""


class Program:
    """A daemon with a page, at one port for all its lives."""

    def __init__(self, root: Path, folder: Path, source: str, *arguments: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._line = [sys.executable, "-m", "edge", "daemon", "--source", source]
        self._line += ["--page", f"127.0.0.1:{self.port}", *arguments]
        self._options = {"cwd": folder, "env": {**os.environ, "PYTHONPATH": str(root)}}
        self.start()

    def start(self) -> None:
        """Begin a life; back when the page is served."""
        self._process = subprocess.Popen(
            self._line,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **self._options,
        )
        assert self._process.stderr is not None
        lines = iter(self._process.stderr.readline, "")
        assert any(line.startswith("edge: page: http://") for line in lines)

    def end(self) -> None:
        """SIGTERM, which has to be obeyed within a second."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(timeout=2) == 0

    def kill(self) -> None:
        """At once."""
        self._process.kill()
        self._process.wait()


def live(tab: Tab) -> None:
    """Wait until it shows readings."""
    tab.until("document.readyState == 'complete' && Boolean(document.getElementById('state'))")
    tab.until("document.getElementById('state').textContent == 'live'")
    tab.until("document.querySelectorAll('[role=meter]').length == 7")


def text(tab: Tab, name: str) -> str:
    return str(tab.run(f"document.getElementById('{name}').innerText"))


def drawing(tab: Tab, name: str = "mesh") -> str:
    return str(tab.run(f"document.getElementById('{name}').toDataURL()"))


def face(tab: Tab) -> tuple[float, float, int]:
    """Left and right end of what is drawn in the colour of "happy", 0 to 1, and its pixels."""
    left, right, count = tab.run(
        """(() => {
          const canvas = document.getElementById('mesh');
          const data = PIXELS(canvas);
          let [x0, x1, n] = [canvas.width, 0, 0];
          for (let i = 0; i < data.length; i += 4) {
            if (data[i + 3] > 200 && data[i] - data[i + 2] > 100) {
              const x = i / 4 % canvas.width;
              [x0, x1, n] = [Math.min(x0, x), Math.max(x1, x), n + 1];
            }
          }
          return [x0 / canvas.width, x1 / canvas.width, n];
        })()""".replace("PIXELS", PIXELS)
    )
    return float(left), float(right), int(count)


def changes(tab: Tab, look_at: Callable[[Tab], object], seconds: float = 20) -> bool:
    before, end = look_at(tab), time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.1)
        if look_at(tab) != before:
            return True
    return False


def at_rest(tab: Tab) -> None:
    """Wait until the mesh of a paused page moves no more."""
    end = time.monotonic() + 20
    while changes(tab, drawing, 0.5):
        assert time.monotonic() < end, "still moving"


def bars(tab: Tab) -> list[int]:
    found = tab.run(
        "[...document.querySelectorAll('[role=meter]')].map(m => m.getAttribute('aria-valuenow'))"
    )
    return [int(value) for value in found]
