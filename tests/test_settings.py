"""Settings: what a user may write into the file, and what is said about the rest."""

from __future__ import annotations

import ast
import inspect
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edge.settings
from edge.errors import SettingsError, SetupError
from edge.settings import CameraSettings, MeshSettings, Settings
from edge.settings.load import TABLES, Loaded, as_toml
from edge.settings.load import load as load_all

KEYS = sorted({key for keys in TABLES.values() for key in keys})


def load(path: Path) -> Settings:
    return load_all(path, environment={}).settings


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    path = written(folder, text)
    with pytest.raises(SetupError) as error:
        load(path)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert str(path) in message
    return message


def test_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == Settings()


def test_defaults_are_allowed_values(tmp_path: Path) -> None:
    """Whoever writes the defaults out in full gets the defaults."""
    assert load(written(tmp_path, as_toml(Loaded(Settings(), {})))) == Settings()


def test_what_is_written_is_what_is_loaded(tmp_path: Path) -> None:
    text = """
    [mesh]
    backend = "mediapipe"
    min_detection = 0.7
    select = "surest"
    threads = 4
    [camera]
    width = 1280
    frames_per_second = 5
    """
    assert load(written(tmp_path, text)) == Settings(
        mesh=MeshSettings(backend="mediapipe", min_detection=0.7, select="surest", threads=4),
        camera=CameraSettings(width=1280, frames_per_second=5),
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[mash]\nthreads = 2", ("mash", "mesh", "camera")),
        ("threads = 2", ("threads", "put it under [mesh]")),
        ("width = 640\n[mesh]\nthreads = 2", ("width", "put it under [camera]")),
        ("thread = 2", ("thread", "mesh, camera")),
        ("[[mesh]]\nthreads = 2", ("mesh",)),
        ("[mesh]\nthread = 2", ("mesh.thread", "2", "threads")),
        ("[mesh]\nthreads = 0", ("mesh.threads", "0", "1 to 16")),
        ("[mesh]\nthreads = 17", ("mesh.threads", "17", "1 to 16")),
        ("[mesh]\nthreads = 2.0", ("mesh.threads", "2.0", "int")),
        ("[mesh]\nthreads = true", ("mesh.threads", "True", "int")),
        ("[mesh]\nmin_detection = nan", ("mesh.min_detection", "nan", "0.01 to 0.99")),
        ("[mesh]\nmin_detection = inf", ("mesh.min_detection", "inf", "0.01 to 0.99")),
        ("[mesh]\nmin_detection = '0.5'", ("mesh.min_detection", "'0.5'", "float")),
        ("[mesh]\nselect = 'both'", ("mesh.select", "'both'", "'largest', 'surest'")),
        ("[mesh]\nselect = '''a\nb'''", ("mesh.select", "'largest', 'surest'")),
        ("[mesh]\nselect = ['largest']", ("mesh.select", "['largest']", "str")),
        ("[camera]\nwidth = 63", ("camera.width", "63", "64 to 4096")),
        ("[camera]\nwidth = 1979-05-27", ("camera.width", "1979", "64 to 4096")),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, named: tuple[str, ...]) -> None:
    message = refusal(tmp_path, text)
    assert all(part in message for part in named)


@pytest.mark.parametrize("text", ['[mesh]\n"a\\nb" = 1', '["a\\nb"]'])
def test_a_line_break_in_a_name_does_not_break_the_line(tmp_path: Path, text: str) -> None:
    refusal(tmp_path, text)


@pytest.mark.parametrize("text", ["[mesh", "a = ", "[mesh]\nthreads = 1\nthreads = 2"])
def test_broken_toml(tmp_path: Path, text: str) -> None:
    assert "TOML" in refusal(tmp_path, text)


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "x = " + "9" * 5000])
def test_absurd_toml(tmp_path: Path, text: str) -> None:
    refusal(tmp_path, text)


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes("[mesh] # é".encode("latin-1"))
    for name in ("absent.toml", "latin.toml", "."):
        with pytest.raises(SetupError, match="cannot be read") as error:
            load(tmp_path / name)
        assert len(str(error.value).splitlines()) == 1
        assert str(error.value).count(str(tmp_path / name)) == 1


def toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    return repr(value)


# Control characters in names break the line of the message: see the test of that above.
WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=8)
PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from(["tflite", "mediapipe", "largest", "surest"]),
    WORDS,
    st.integers(0, 20),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
TABLE = st.dictionaries(st.sampled_from(KEYS) | WORDS, VALUES, max_size=4) | VALUES


@given(st.dictionaries(st.sampled_from(list(TABLES)) | WORDS, TABLE, max_size=3))
def test_any_toml_loads_or_is_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, tables: dict[str, object]
) -> None:
    text = "\n".join(f"{toml(name)} = {toml(value)}" for name, value in tables.items())
    path = written(tmp_path_factory.getbasetemp(), text)
    try:
        settings = load(path)
    except SetupError as error:
        assert len(str(error).splitlines()) == 1
        return
    for table, keys in TABLES.items():
        for key, field in keys.items():
            assert field.metadata["check"](getattr(getattr(settings, table), key))


def test_a_password_in_the_wrong_place_is_not_told(tmp_path: Path) -> None:
    assert "hunter2" not in refusal(tmp_path, "[mqtt]\npassword = 'hunter2'")


def test_a_mark_of_a_windows_editor_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf[camera]\nwidth = 320\n")
    assert load(tmp_path / "bom.toml").camera.width == 320


def test_a_name_of_many_pages_is_refused(tmp_path: Path) -> None:
    for key in ("topic", "username"):
        refusal(tmp_path, f"[mqtt]\n{key} = '{'x' * 70_000}'")


def test_the_command_line_goes_before_the_environment_before_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[camera]\nwidth = 320\nheight = 240\n[mqtt]\nport = 1\ntls = true")
    environment = {"FER_EDGE_CAMERA_HEIGHT": "480", "FER_EDGE_MQTT_PORT": "2", "HOME": "/root"}
    loaded = load_all(path, ["mqtt.port=3", "mqtt.host=broker=x"], environment)
    assert (loaded.settings.camera.width, loaded.settings.camera.height) == (320, 480)
    assert (loaded.settings.mqtt.port, loaded.settings.mqtt.tls) == (3, True)
    assert loaded.settings.mqtt.host == "broker=x"
    assert loaded.origins["camera", "width"] == str(path)
    assert loaded.origins["camera", "height"] == "environment: FER_EDGE_CAMERA_HEIGHT"
    assert loaded.origins["mqtt", "port"] == "--set mqtt.port=3"
    assert ("camera", "source") not in loaded.origins
    lines = as_toml(loaded).splitlines()
    assert f"width = 320  # {path}" in lines
    assert "port = 3  # --set mqtt.port=3" in lines
    assert 'source = "auto"  # default' in lines


@pytest.mark.parametrize(
    ("flags", "environment", "named"),
    [
        (["mqtt.port=0"], {}, ("--set mqtt.port=0", "int 1 to 65535")),
        (["mqtt.port=x"], {}, ("--set mqtt.port=x", "int 1 to 65535")),
        (["mqtt.tls=yes"], {}, ("mqtt.tls=yes", "true or false")),
        (["mqtt.porte=1"], {}, ("mqtt.porte=1", "unknown key", "port")),
        (["mqt.port=1"], {}, ("mqt.port=1", "unknown table", "mqtt")),
        (["mqtt.port"], {}, ("--set mqtt.port", "TABLE.KEY=VALUE")),
        (["port=1"], {}, ("--set port=1", "TABLE.KEY=VALUE")),
        (["mqtt.topic=a b"], {}, ("mqtt.topic=a b", "letters")),
        (["mqtt.topic=/a"], {}, ("mqtt.topic=/a", "letters")),
        (["camera.source=a\nb"], {}, ("camera.source", "allowed")),
        ([], {"FER_EDGE_MQTT_PORT": "0"}, ("FER_EDGE_MQTT_PORT = '0'", "int 1 to 65535")),
        ([], {"FER_EDGE_MQTT": "0"}, ("FER_EDGE_MQTT", "FER_EDGE_TABLE_KEY")),
        ([], {"FER_EDGE_MQTT_PROT": "0"}, ("FER_EDGE_MQTT_PROT", "unknown")),
    ],
)
def test_a_mistake_outside_the_file_is_named(
    flags: list[str], environment: dict[str, str], named: tuple[str, ...]
) -> None:
    with pytest.raises(SettingsError) as error:
        load_all(None, flags, environment)
    assert len(str(error.value).splitlines()) == 1
    assert all(part in str(error.value) for part in named)


@given(
    st.lists(st.sampled_from([f"{t}.{k}=" for t in TABLES for k in TABLES[t]]) | WORDS),
    st.lists(WORDS | st.sampled_from(["1", "true", "0.5", "\n", "svm", "[1]", "1979-05-27"])),
    st.dictionaries(
        st.sampled_from([f"FER_EDGE_{t}_{k}".upper() for t in TABLES for k in TABLES[t]]) | WORDS,
        st.text(st.characters(blacklist_categories=("Cs",)), max_size=8),
        max_size=3,
    ),
)
def test_any_flags_and_variables_load_or_are_refused_in_one_line(
    names: list[str], values: list[str], environment: dict[str, str]
) -> None:
    flags = [name + value for name, value in zip(names, values, strict=False)]
    try:
        loaded = load_all(None, flags, environment)
    except SettingsError as error:
        assert len(str(error).splitlines()) == 1
        return
    assert tomllib.loads(as_toml(loaded))  # and what is printed is a file again
    assert set(loaded.origins) <= {(table, key) for table in TABLES for key in TABLES[table]}


def test_every_field_says_what_it_is() -> None:
    """Python drops the strings under the fields; people and editors read them in the source."""
    tree = ast.parse(inspect.getsource(edge.settings))
    seen = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for entry, following in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(entry, ast.AnnAssign):
                    assert isinstance(following, ast.Expr), ast.unparse(entry)
                    assert isinstance(following.value, ast.Constant), ast.unparse(entry)
                    assert str(following.value.value).endswith(".")
                    seen.add(ast.unparse(entry.target))
    assert seen >= set(KEYS)
