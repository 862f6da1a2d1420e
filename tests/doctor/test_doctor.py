"""`python -m edge doctor`: finds what is wrong, says what to do, and never breaks down itself."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge import doctor
from edge.doctor import LOOKS, WAITING, program
from edge.doctor.check import Case, Check, Verdict, bad, ok
from edge.errors import SettingsError, SetupError
from edge.settings import Settings
from edge.settings.load import Loaded, load
from tests.tools.doctor import case, needs_remedy

Command = Callable[..., Any]


# The command


def test_all_is_well(command: Command, models_dir: Path) -> None:
    """A checkout without a service, reading a file: nothing is bad."""
    flag = f"camera.source={models_dir / 'sample.y4m'}"
    result = command("doctor", "--set", flag)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    lines = result.stdout.splitlines()
    assert [line.split()[1] for line in lines] == [*LOOKS, *WAITING]
    assert {line.split()[0] for line in lines} <= {"ok", "warn"}


def test_json(command: Command, models_dir: Path) -> None:
    result = command("doctor", "--json", "--set", f"camera.source={models_dir / 'sample.y4m'}")
    found = json.loads(result.stdout)
    assert [list(check) for check in found] == [["name", "state", "detail", "remedy"]] * len(found)
    assert {type(value) for check in found for value in check.values()} == {str}
    assert [check["name"] for check in found] == [*LOOKS, *WAITING]
    for check in found:
        assert check["state"] in ("ok", "warn", "bad")
        assert (check["state"] != "ok") == bool(check["remedy"]), check
        assert check["detail"] and "\n" not in check["detail"]


def test_something_is_bad(command: Command, tmp_path: Path) -> None:
    result = command("doctor", "--set", "camera.source=nowhere.mp4", "--json")
    assert (result.returncode, result.stderr) == (1, "")
    wrong = {check["name"] for check in json.loads(result.stdout) if check["state"] == "bad"}
    assert wrong == {"camera"}


def test_wrong_settings_are_a_finding(command: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[mqtt]\nhots = 'broker'\n")
    result = command("doctor", "--config", "bad.toml", "--json")
    assert (result.returncode, result.stderr) == (1, "")
    found = {check["name"]: check for check in json.loads(result.stdout)}
    assert found["settings"]["state"] == "bad"
    assert found["settings"]["detail"].startswith("bad.toml: mqtt.hots = 'broker': unknown key")
    assert found["inference"]["state"] == "ok"  # the others go on


def test_a_broken_bundle(command: Command, bundle_copy: Path) -> None:
    data = (bundle_copy / "svm.npz").read_bytes()
    (bundle_copy / "svm.npz").unlink()
    (bundle_copy / "svm.npz").write_bytes(data[:-1])
    (bundle_copy / "face_landmark.tflite").unlink()
    result = command("doctor", "--models", bundle_copy, "--json")
    assert (result.returncode, result.stderr) == (1, "")
    found = {check["name"]: check for check in json.loads(result.stdout)}
    assert found["models"]["state"] == found["inference"]["state"] == "bad"
    assert "face_landmark.tflite is missing (and 1 more)" in found["models"]["detail"]
    assert found["models"]["remedy"].startswith("run `make models` and copy")


def test_a_terminal_without_arrows() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")

    def unset() -> Loaded:
        raise SettingsError("ü: unknown key")

    assert doctor.report(unset, out) == 1
    assert b"bad  settings     ?: unknown key ? mend it" in raw.getvalue()


# A check that misbehaves


def examine(total_s: float = 1.0, **looks: doctor.Look) -> dict[str, Check]:
    """Outcomes of some checks; those named `wait…` are done at the same time."""
    waiting = {name: look for name, look in looks.items() if name.startswith("wait")}
    first = {name: look for name, look in looks.items() if name not in waiting}
    checks = doctor.examine(case(), first, waiting, total_s, total_s / 2)
    return {check.name: check for check in checks}


def test_an_exception_is_one_bad_line() -> None:
    def fails(case: Case) -> Verdict:
        raise ValueError("numpy.dtype size changed,\n may indicate binary incompatibility")

    def refuses(case: Case) -> Verdict:
        raise SetupError("x is missing: run `make models`")

    found = examine(one=fails, two=refuses, three=lambda case: ok("fine"))
    assert found["one"].state == "bad"
    assert found["one"].detail == (
        "ValueError: numpy.dtype size changed, may indicate binary incompatibility"
    )
    assert (found["two"].detail, found["two"].remedy) == ("x is missing", "run `make models`")
    assert found["three"] == Check("three", "ok", "fine")


def test_what_hangs_is_left_behind() -> None:
    """The whole takes no longer than said, and who comes later still has a turn."""
    end = threading.Event()

    def hangs(case: Case) -> Verdict:
        end.wait(20)
        return ok("too late")

    def slow(case: Case) -> Verdict:
        time.sleep(0.1)
        return ok("fine")

    start = time.monotonic()
    found = examine(2.0, one=hangs, two=slow, wait1=hangs, wait2=hangs, wait3=slow)
    took = time.monotonic() - start
    end.set()
    assert took < 2.5
    states = {name: check.state for name, check in found.items()}
    assert states == {"one": "bad", "two": "ok", "wait1": "bad", "wait2": "bad", "wait3": "ok"}
    assert "no answer" in found["one"].detail
    assert needs_remedy(found["one"])


def test_an_address_is_told_without_its_password() -> None:
    """People show these lines around."""
    uri = "rtsp://user:secret@10.0.0.7/live"
    (check,) = examine(one=lambda case: bad(f"{uri}: gone", f"open {uri}")).values()
    assert "secret" not in check.detail + check.remedy
    assert "10.0.0.7/live" in check.detail


# The program


def test_settings_tell_where_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("[camera]\nwidth = 320\nheight = 240\n")
    loaded = load(tmp_path / "my.toml", ["mqtt.port=8883"], {"FER_EDGE_MQTT_TLS": "true"})
    verdict = program.settings(Case(loaded.settings, loaded))
    assert verdict == ok(f"valid; set: 2 by {tmp_path / 'my.toml'}, 1 by environment, 1 by --set")


def test_a_model_that_is_not_in_the_bundle(models_dir: Path) -> None:
    verdict = program.models(case(classify__model="cnn"))
    assert verdict.state == "bad"
    assert "'cnn'" in verdict.detail
    assert verdict.remedy == "set classify.model to one of svm, gnn, both"


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    verdict = program.models(case(classify__bundle=tmp_path))
    assert verdict.state == "bad"
    assert needs_remedy(verdict)


def test_every_model_of_the_bundle_is_run(models_dir: Path) -> None:
    verdict = program.inference(case())
    assert verdict.state == "ok"
    assert all(f"{name} " in verdict.detail for name in ("svm", "gnn", "both"))


def test_a_machine_too_slow_for_the_settings(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_milliseconds", lambda recognise, picture: 130.0)
    verdict = program.inference(case())
    assert verdict.state == "warn"
    assert verdict.remedy == "lower the setting camera.frames_per_second to 7"


@pytest.mark.parametrize(
    ("source", "state"), [("auto", "warn"), ("v4l2:0", "bad"), ("picamera2:", "ok")]
)
def test_opencv_is_missed_where_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, source: str, state: str
) -> None:
    def absent(name: str) -> None:
        raise ImportError("No module named 'cv2'")

    monkeypatch.setattr(program, "import_module", absent)
    monkeypatch.setattr(program, "find_spec", lambda name: None)
    assert program.opencv(case(camera__source=source)).state == state
    monkeypatch.setattr(program, "find_spec", lambda name: name == "picamera2")
    assert program.opencv(case(camera__source="auto")).state == "ok"


@pytest.mark.parametrize("compiled", [True, False])
def test_kernels_are_told(monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    monkeypatch.setattr(program.native, "load", lambda: object() if compiled else None)
    assert program.kernels(case()).state == ("ok" if compiled else "warn")


def test_a_newer_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_NEWEST", (3, 10))
    assert program.python(case()).state == "warn"


def test_no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.interpreter.RUNTIMES", ("no_such_runtime",))
    verdict = program.tflite(case())
    assert (verdict.state, verdict.remedy) == ("bad", "run `make edge` to install one")


def test_the_default_settings_stand_in(tmp_path: Path) -> None:
    def fails() -> Loaded:
        raise SettingsError("x: unknown key")

    assert doctor.open_case(fails).settings == Settings()
