"""The page as a person has it: a real Chromium, a real daemon, the sample clip over and over.

What is seen is kept in build/page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tools.browser import PROGRAM, Browser, Tab
from tests.tools.mjpeg import Stream, jpegs, moved_right
from tests.tools.ports import free_port
from tests.tools.served import (
    CONTRAST,
    PIXELS,
    Program,
    at_rest,
    bars,
    changes,
    drawing,
    face,
    live,
    text,
)

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no chromium (apt install chromium): the page was not looked at"
)
SEEN = Path(__file__).resolve().parents[2] / "build" / "page"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def stream(models_dir: Path) -> Iterator[Stream]:
    stream = Stream(jpegs())
    yield stream
    stream.cut()


@pytest.fixture(scope="module")
def launch(
    models_dir: Path, stream: Stream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Program]]:
    begun: list[Program] = []

    def begin(*arguments: str, source: str = "") -> Program:
        folder = tmp_path_factory.mktemp("daemon")
        begun.append(Program(models_dir.parent, folder, source or stream.url, *arguments))
        return begun[-1]

    yield begin
    for program in begun:
        program.kill()


@pytest.fixture(scope="module")
def program(launch: Callable[..., Program]) -> Program:
    return launch()


@pytest.fixture
def look(browser: Browser, program: Program) -> Iterator[Callable[..., Tab]]:
    """Opens a tab, and waits until it is live."""
    tabs: list[Tab] = []

    def open_tab(url: str = program.url, *size: int, **media: str) -> Tab:
        tabs.append(browser.tab(url, *size, **media))
        live(tabs[-1])
        return tabs[-1]

    yield open_tab
    for tab in tabs:
        tab.close()


def test_it_lives(look: Callable[..., Tab], stream: Stream) -> None:
    tab = look()
    tab.until("document.getElementById('label').textContent == 'happy'")
    assert changes(tab, drawing)
    assert changes(tab, bars)
    assert changes(tab, lambda tab: drawing(tab, "past"))
    assert sum(bars(tab)) == pytest.approx(100, abs=4)
    # The face fills the part of the canvas where the camera saw it, once it has come to rest.
    tab.run("document.getElementById('pause').click()")
    at_rest(tab)
    left, right, count = face(tab)
    width = int(text(tab, "figures").split()[1]) / 400  # of the clip's frames
    assert count > 500
    assert right - left == pytest.approx(width, abs=0.02)
    tab.run("document.getElementById('pause').click()")
    assert "% sure, for" in text(tab, "sure")
    tab.until("document.getElementById('rate').textContent.includes('a second')")
    assert 0 < float(text(tab, "rate").split()[0]) < 20  # 15, where the machine is not busy
    assert text(tab, "camera") == f"ok: {stream.url}"
    assert text(tab, "broker") == "none"
    for stage in ("crop", "mesh", "classify"):
        assert f"{stage} " in text(tab, "stages")
    assert "for it to come" in text(tab, "total")
    tab.run("scrollTo(0, 0)")
    time.sleep(2)
    tab.picture(SEEN / "light.png")
    assert tab.complaints() == []


def test_dark(look: Callable[..., Tab]) -> None:
    tab = look(prefers_color_scheme="dark")
    tab.until("document.getElementById('rate').textContent.includes('a second')")
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(14, 19, 24)"
    tab.picture(SEEN / "dark.png")
    assert tab.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(look: Callable[..., Tab], scheme: str) -> None:
    tab = look(prefers_color_scheme=scheme)
    least, words = tab.run(CONTRAST)
    assert least >= 4.5, words


@pytest.mark.parametrize("width", [390, 320])
def test_on_a_phone(look: Callable[..., Tab], program: Program, width: int) -> None:
    tab = look(program.url, width, 844)
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run(
        "[...document.querySelectorAll('button')].filter(b => b.checkVisibility())"
        ".every(b => b.clientHeight >= 42)"
    )
    assert tab.run("parseFloat(getComputedStyle(document.getElementById('label')).fontSize)") >= 48
    tab.picture(SEEN / f"phone-{width}.png")
    assert tab.complaints() == []


def test_the_label_is_large(look: Callable[..., Tab], program: Program) -> None:
    """Two metres from a 96 dpi screen, 70 px letters stand half a degree high."""
    tab = look(program.url, 1280, 900)
    assert tab.run("parseFloat(getComputedStyle(document.getElementById('label')).fontSize)") >= 90


def test_by_keyboard(look: Callable[..., Tab]) -> None:
    tab = look()
    for name in ("mirror", "pause"):  # the third is off: there is nowhere to write to
        tab.key("Tab", 9)
        assert tab.run("document.activeElement.id") == name
        assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    pressed = "document.getElementById('pause').getAttribute('aria-pressed')"
    assert tab.run(pressed) == "false"
    tab.key(" ", 32, " ")
    assert tab.run(pressed) == "true"
    tab.until("document.getElementById('state').textContent == 'paused'")
    at_rest(tab)  # the last movement ends
    assert not changes(tab, drawing, 1)
    tab.key(" ", 32, " ")
    assert changes(tab, drawing)


def test_the_mirror_mirrors(look: Callable[..., Tab], launch: Callable[..., Program]) -> None:
    aside = Stream([moved_right(jpegs(1)[0])])
    tab = look(launch(source=aside.url).url)
    tab.until("document.getElementById('label').textContent == 'happy'")
    tab.run("document.getElementById('pause').click()")
    at_rest(tab)
    left, right, _ = face(tab)
    assert (left, right) == pytest.approx((0.285, 0.37), abs=0.02)  # mirrored from the beginning
    for expected in ((1 - right, 1 - left), (left, right)):
        tab.run("document.getElementById('mirror').click()")
        assert face(tab)[:2] == pytest.approx(expected, abs=0.01)
    aside.cut()


def test_calibration(look: Callable[..., Tab], launch: Callable[..., Program]) -> None:
    still = Stream(jpegs(61)[60:])
    program = launch(
        "--set", "classify.baseline=face.npz", "--set", "classify.baseline_strength=1.0",
        source=still.url,
    )  # fmt: skip
    tab = look(program.url)
    told = "document.getElementById('calibration').textContent"
    tab.until(f"{told} == 'Resting face: not calibrated yet'")
    tab.until("document.getElementById('label').textContent == 'happy'")
    tab.run("document.getElementById('calibrate').click()")
    tab.until(f"{told}.includes('relax your face')")
    tab.until(f"{told}.includes('keep still … 4')")
    assert tab.run("document.getElementById('calibrate').disabled")
    tab.picture(SEEN / "calibrating.png")
    tab.until(f"{told}.includes('kept the mean of ')")
    assert not tab.run("document.getElementById('calibrate').disabled")
    # She smiles; that is how she looks at rest, now.
    tab.until("document.getElementById('label').textContent == 'neutral'")
    assert tab.complaints() == []
    program.end()
    program.start()  # and it is remembered
    live(tab)
    tab.until(f"{told} == 'Resting face: your resting face is known'")
    tab.until("document.getElementById('label').textContent == 'neutral'")
    still.cut()


def test_what_a_screen_reader_finds(look: Callable[..., Tab]) -> None:
    tab = look()
    tab.ask("Accessibility.enable")
    nodes = tab.ask("Accessibility.getFullAXTree")["nodes"]
    found: dict[str, list[str]] = {}
    for node in nodes:
        if not node.get("ignored"):
            role, name = (node.get(key, {}).get("value", "") for key in ("role", "name"))
            found.setdefault(str(role), []).append(str(name))
    names = ["angry", "disgusted", "fear", "happy", "neutral", "sad", "surprised"]
    assert found["meter"] == names
    for role in ("image", "button", "heading", "region"):
        assert all(found[role]), (role, found[role])
    assert len(found["image"]) == 2
    assert found["main"] == [""]
    assert tab.run("document.documentElement.lang") == "en"
    assert tab.run("document.querySelectorAll('h1').length") == 1
    identifiers = "[...document.querySelectorAll('[id]')].map(one => one.id)"
    assert len(set(tab.run(identifiers))) == len(tab.run(identifiers))
    # What is read aloud by itself does not chatter.
    heard = "document.getElementById('news').textContent"
    tab.until(f"{heard}.includes('happy')")
    quiet = tab.run(heard)
    assert not changes(tab, lambda tab: tab.run(heard) != quiet, 2)
    living = "[...document.querySelectorAll('[aria-live], [role=status]')].map(one => one.id)"
    assert sorted(tab.run(living)) == ["news", "state"]


def test_reduced_motion(look: Callable[..., Tab]) -> None:
    tab = look(prefers_reduced_motion="reduce")
    assert tab.run("getComputedStyle(document.querySelector('#bars u')).transitionDuration") == "0s"
    seen = {drawing(tab)}
    end = time.monotonic() + 3
    while time.monotonic() < end:
        seen.add(drawing(tab))
        time.sleep(0.05)
    assert 2 <= len(seen) <= 8


def test_two_viewers(look: Callable[..., Tab]) -> None:
    one, other = look(), look()
    for tab in (one, other):
        assert changes(tab, bars)
        tab.front()
        assert changes(tab, drawing)
    assert one.complaints() == other.complaints() == []


def test_a_daemon_that_starts_again(
    look: Callable[..., Tab], launch: Callable[..., Program]
) -> None:
    program = launch()
    tab = look(program.url)
    program.end()
    tab.until("document.getElementById('state').textContent == 'connection lost'")
    tab.until("parseInt(document.getElementById('age').textContent.slice(4)) >= 3")
    assert text(tab, "label") == "unknown"
    tab.picture(SEEN / "lost.png")
    program.start()
    live(tab)
    assert changes(tab, drawing)
    ours = [one for one in tab.complaints() if "Failed to load resource" not in one]
    assert ours == []  # Chromium itself tells that nobody answered
    program.end()


def test_a_camera_and_a_broker_that_are_lost(
    look: Callable[..., Tab], launch: Callable[..., Program]
) -> None:
    camera = Stream(jpegs(30))
    nobody = ("--set", "mqtt.host=127.0.0.1", "--set", f"mqtt.port={free_port()}")
    tab = look(launch(*nobody, source=camera.url).url)
    tab.until("document.getElementById('broker').textContent.startsWith('away, ')")
    camera.cut()
    tab.until("document.getElementById('camera').textContent.startsWith('lost: ')")
    assert "camera lost" in text(tab, "advice")
    assert text(tab, "label") == "unknown"
    camera.start()
    tab.until("document.getElementById('camera').textContent.startsWith('ok: ')")
    tab.until("document.getElementById('label').textContent == 'happy'")
    camera.cut()


def test_the_picture_is_shown_in_red_only_if_asked_for(
    look: Callable[..., Tab], launch: Callable[..., Program]
) -> None:
    tab = look()
    assert tab.run("document.getElementById('picture').hidden")
    assert "no picture" in text(tab, "footing")
    shown = look(launch("--page-picture").url)
    shown.until("!document.getElementById('picture').hidden")
    assert shown.run("getComputedStyle(document.getElementById('picture')).color") == (
        "rgb(179, 25, 31)"
    )
    # The canvas is covered with it now.
    assert shown.until(
        """(() => {
          const canvas = document.getElementById('mesh');
          const data = PIXELS(canvas);
          let n = 0;
          for (let i = 3; i < data.length; i += 4) n += data[i] > 250;
          return n > 0.9 * data.length / 4;
        })()""".replace("PIXELS", PIXELS)
    )
    assert shown.complaints() == []


def test_the_token_is_asked_for(
    browser: Browser, launch: Callable[..., Program], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("correct-horse-battery")
    program = launch("--set", f"page.token_file={tmp_path / 'token'}")
    tab = browser.tab(program.url)
    tab.until("document.activeElement?.id == 'token'")
    tab.picture(SEEN / "token.png")
    tab.ask("Input.insertText", text="correct-horse-battery")
    tab.key("Enter", 13, "\r")
    live(tab)
    assert tab.run("location.href") == program.url
    assert "correct" not in str(tab.run("document.cookie"))
    tab.close()
