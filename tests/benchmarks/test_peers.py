"""Peers: who is chosen, their environments, a run with the real ones that are at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.arm64 import guest as counted
from benchmarks.arm64 import scenes
from benchmarks.arm64.guest import END, FRAMES, SCENES
from benchmarks.figures import Figures
from benchmarks.peers import __main__ as command
from benchmarks.peers import arm64, environments, guest, measure, table, worker
from benchmarks.peers.listing import PEERS, TASK, chosen
from edge.errors import SetupError
from tests.conftest import REPO

BY_NAME = {peer.name: peer for peer in PEERS}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("", [peer.name for peer in PEERS]),
        ("ours", ["ours-mesh", "ours-svm", "ours-gnn", "ours-both"]),
        ("facemesh, ours-svm", ["ours-svm", "facemesh"]),
        ("fer", ["fer"]),
    ],
)
def test_who_is_chosen(given: str, names: list[str]) -> None:
    assert [peer.name for peer in chosen(given)] == names


def test_a_peer_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["--only", "ours,facemash"])
    assert caught.value.code == 2
    assert "no peer 'facemash'; there are: ours, ours-mesh," in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in environments.NAMES if name != "ours"])
def test_pins_are_whole(name: str) -> None:
    """One version of each package, and the size of the download."""
    lines = (environments.PINS / f"{name}.txt").read_text().splitlines()
    assert any(line.startswith("# download: ") for line in lines)
    pins = [line.partition("==") for line in lines if not line.startswith("#")]
    assert all(version for _, _, version in pins)
    assert len({package.lower() for package, _, _ in pins}) == len(pins)


def test_every_peer_has_its_environment() -> None:
    assert {peer.environment for peer in PEERS} == set(environments.NAMES)
    assert environments.versions(environments.NAMES).keys() == {
        "mediapipe", "scikit-learn", "fer", "tensorflow",
    }  # fmt: skip


def test_an_environment_is_made_once_and_holds_what_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a package on this disk: no network."""
    package = tmp_path / "small"
    package.mkdir()
    (package / "pyproject.toml").write_text('[project]\nname = "small"\nversion = "1"\n')
    (package / "small.py").write_text("WORD = 'here'\n" + "#" * 1_000_000)
    wheels = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", *wheels, str(package)], check=True)
    pins = tmp_path / "tiny.txt"
    pins.write_text(f"# download: 1 kB\n{tmp_path}/small-1-py3-none-any.whl\n")
    monkeypatch.setattr(environments, "PINS", tmp_path)
    for told in ("(1 kB)", ""):
        python = environments.python("tiny", tmp_path)
        assert told in capsys.readouterr().err
    line = [python, "-c", "import small; print(small.WORD)"]
    done = subprocess.run(line, capture_output=True, text=True, env={})
    assert done.stdout == "here\n"
    assert 1.0 < environments.size_mb("tiny", tmp_path) < 1.1
    pins.write_text("# download: 1 kB\n/nowhere/none-1-py3-none-any.whl\n")
    with pytest.raises(SetupError, match=r"tiny cannot be installed: .*nowhere") as caught:
        environments.python("tiny", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_peer_is_given_one_thread_and_nothing_of_ours() -> None:
    given = {"PATH": "/bin", "FER_EDGE_MODEL": "x", "PYTHONHOME": "y", "OMP_NUM_THREADS": "8"}
    found = environments.variables(given)
    assert found["PATH"] == "/bin"
    assert found["OMP_NUM_THREADS"] == "1"
    assert not {"FER_EDGE_MODEL", "PYTHONHOME"} & found.keys()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    measure.write_frames(folder)
    return folder


def test_frames_go_round_in_the_colours_asked(folder: Path) -> None:
    rgb = worker.frames(folder / "tracked.rgb", "rgb")
    images = [next(rgb) for _ in range(61)]
    assert images[0].shape == (480, 640, 3)
    assert (images[60] == images[0]).all()
    assert (images[1] != images[0]).any()
    assert (next(worker.frames(folder / "tracked.rgb", "bgr"))[..., ::-1] == images[0]).all()
    assert {peer.name for peer in PEERS if worker.order(peer.name) == "bgr"} == {"fer", "fer-keras"}


def test_a_peer_that_dies_is_told_and_the_others_go_on(folder: Path) -> None:
    """Before its first reading, in the middle, or by having no package."""
    ours = measure.line(BY_NAME["ours-svm"], Path(sys.executable), folder, {})
    falls = "import sys; print('{}', flush=True); sys.stdin.readline(); sys.exit('out of luck')"
    lines = {
        BY_NAME["ours-svm"]: ours,
        BY_NAME["fer"]: [sys.executable, "-c", falls],
        BY_NAME["landmarker"]: [sys.executable, "-c", "raise SystemExit('no such file')"],
    }
    figures = Figures()
    measure.frames(figures, lines, measure.last_core(), 2, 3, lambda done: None)
    assert sorted(figures.failures) == [
        "MediaPipe FaceLandmarker ended (1) no such file",
        "fer ended (1) out of luck",
    ]
    assert len(figures.rounds["time/ours-svm/empty/p50"]) == 2
    assert figures.rounds["faces/ours-svm/tracked"] == [1, 1]
    assert figures.rounds["faces/ours-svm/empty"] == [0, 0]
    assert figures.rounds["ratio/ours-svm/tracked/time"] == [1, 1]
    starts = Figures()
    measure.starts(starts, lines, measure.last_core(), 1, lambda done: None)
    assert len(starts.failures) == 2
    assert 0 < starts.rounds["start/ours-svm"][0] < 60
    assert 20 < starts.rounds["rss/ours-svm"][0] < 500
    assert not starts.select("start", "fer")


def test_a_real_peer(folder: Path) -> None:
    """MediaPipe, as the test environment has it, finds the same faces as ours."""
    if find_spec("mediapipe") is None:
        pytest.skip("mediapipe 0.10.18 has no wheel for this Python")
    peers = [BY_NAME["ours-mesh"], BY_NAME["ours-svm"], BY_NAME["facemesh"]]
    lines = {peer: measure.line(peer, Path(sys.executable), folder, {}) for peer in peers}
    figures = Figures()
    measure.frames(figures, lines, measure.last_core(), 2, 8, lambda done: None)
    assert not figures.failures
    for peer in peers:
        assert figures.rounds[f"faces/{peer.name}/tracked"] == [1, 1]
        assert figures.rounds[f"faces/{peer.name}/empty"] == [0, 0]
        assert 0 < figures.rounds[f"work/{peer.name}/tracked"][0] < 1000
    held = [line for line in table.goals(figures) if "FaceMesh's time" in line]
    assert len(held) == 1


def test_the_command(
    tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Ours in this environment; a peer whose model is missing, one that cannot be installed."""

    def python(name: str) -> Path:
        if name == "fer":
            raise SetupError("fer cannot be installed: no network")
        return Path(sys.executable)

    monkeypatch.setattr(environments, "python", python)
    given = ["--only", "ours-svm,landmarker,fer", "--rounds", "1", "--frames", "3", "--starts", "1"]
    status = command.main([*given, "--task", "/nowhere/x.task", "--out", str(tmp_path)])
    assert status == 1
    out = capsys.readouterr().out
    assert "| ours, svm " in out
    assert "- MediaPipe FaceLandmarker left out: no /nowhere/x.task; get https://" in out
    assert "- **fer cannot be installed: no network**" in out
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".md", ".png"]
    (path,) = tmp_path.glob("*.json")
    result = json.loads(path.read_text())
    assert result["kind"] == "peers"
    assert len(result["figures"]["start/ours-daemon"]) == 1
    assert len(result["figures"]["disk/ours-svm"]) == 1
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert path.with_suffix(".png").name in path.with_suffix(".md").read_text()


def test_nothing_at_all_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"benchmark-peers: nothing to measure: .*left out"):
        monkeypatch.setattr(environments, "python", lambda name: Path(sys.executable))
        command.main(["--only", "landmarker", "--task", str(tmp_path / TASK)])


def measured() -> Figures:
    figures = Figures()
    for name, ratio in (("ours-svm", 1.0), ("facemesh", 2.0), ("precursor", 4.0)):
        for value in (ratio, ratio * 1.1):
            figures.add(f"time/{name}/tracked/p50", value)
            figures.add(f"time/{name}/tracked/p95", 2 * value)
            figures.add(f"ratio/{name}/tracked/time", ratio)
        figures.add(f"start/{name}", ratio)
        figures.add(f"rss/{name}", 100 * ratio)
    figures.add("start/ours-daemon", 1.0)
    figures.add("rss/ours-daemon", 80.0)
    return figures


def test_the_table() -> None:
    head, _, ours, *rest = table.lines(measured(), list(PEERS), {}, [])
    assert [cell.strip() for cell in head.split("|")[1:4]] == ["peer", "gives", "tracked, ms"]
    assert [cell.strip() for cell in ours.split("|")[1:5]] == [
        "ours, svm", "label", "1.05 (2.10)", "1.00",
    ]  # fmt: skip
    assert [line.split("|")[1].strip() for line in rest[:3]] == [
        "MediaPipe FaceMesh", "FaceMesh + scikit-learn", "ours, the daemon with svm",
    ]  # fmt: skip


def test_goals_are_held_or_missed_where_both_sides_were_measured() -> None:
    told = table.goals(measured())
    assert [line.split(": ")[-1] for line in told] == ["held", "held", "**missed**"]
    assert "0.50, at most 0.70" in told[0]
    assert "0.20, at most 0.25" in told[1]
    assert table.goals(Figures()) == []


def test_what_is_counted_on_arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest as it runs under the emulator, here without one: frames, marks, what was told."""
    pictures, out = tmp_path / "scenes.npz", tmp_path / "told.json"
    scenes.save(pictures, REPO / "models/sample.png")
    marks: list[int] = []
    monkeypatch.setattr(counted, "_call", lambda number, tag: marks.append(tag))
    monkeypatch.setattr(guest, "_call", lambda number, tag: marks.append(tag))
    guest.main("ours-mesh", pictures, out, "")
    told = json.loads(out.read_text())
    assert told == {"tracked": ["mesh"] * 5, "empty": [None] * 5}
    frame, expected = [0, 1], []  # begins, ends
    for scene in ("tracked", "empty"):
        warm, count = FRAMES[scene]
        begun = -1 - SCENES.index(scene)
        expected += [*frame * warm, begun, *frame * count, END]
    assert marks == expected


@pytest.mark.parametrize("environment", ["mediapipe", "precursor", "fer"])
def test_pins_for_arm_need_no_window_system(environment: str) -> None:
    pins = arm64.pins(environment)
    assert any(pin.startswith("opencv-contrib-python-headless==") for pin in pins)
    assert not any(pin.startswith(("opencv-contrib-python==", "jaxlib", "#")) for pin in pins)


def test_what_was_counted_is_not_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it has changed, and ours always."""
    pictures, ran = tmp_path / "scenes.npz", []
    pictures.write_bytes(b"one")

    def emulate(cpu: str, arguments: list[str], sites: object, log: Path) -> str:
        ran.append(arguments[1])
        told = {"tracked": ["mesh"], "empty": [None if len(ran) < 4 else "mesh"]}
        Path(arguments[3]).write_text(json.dumps(told))
        return "-1 0\n0 10\n1 310\n-100 320\n-3 330\n0 340\n1 370\n-100 380\n"

    monkeypatch.setattr(arm64, "emulate", emulate)
    monkeypatch.setattr(arm64, "site", lambda environment: tmp_path)
    for name in ("facemesh", "facemesh", "ours-mesh", "ours-mesh"):
        counts = arm64.count(BY_NAME[name], "cortex-a72", pictures, {})
        assert counts == {"tracked": 100, "empty": 10}
    assert ran == ["facemesh", "ours-mesh", "ours-mesh"]
    pictures.write_bytes(b"other")
    with pytest.raises(SetupError, match=r"FaceMesh on aarch64: empty frames read as \['mesh'\]"):
        arm64.count(BY_NAME["facemesh"], "cortex-a72", pictures, {})


def test_counts_are_a_table() -> None:
    counts = {
        "ours-svm": {"tracked": 25_000_000, "empty": 20_000_000},
        "facemesh": {"tracked": 30_000_000, "empty": 22_500_000},
    }
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in arm64.lines(counts)[2:]]
    assert rows == [
        ["ours, svm", "label", "25.0", "1.00", "20.0"],
        ["MediaPipe FaceMesh", "468 points", "30.0", "1.20", "22.5"],
    ]
