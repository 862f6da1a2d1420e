"""The graph network as TFLite against Keras, in both runtimes, and files that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from convert.gnn import quantised
from convert.trained import Trained
from edge import Recognizer
from edge.classify.gnn import ARRAYS, GraphNetwork
from edge.errors import SetupError
from edge.features import aligned_xy
from edge.interpreter import RUNTIMES

# A probability may be so far from Keras' own. In eight bits a logit is off by about one part in
# 256 of the widest one; the probabilities of two even classes follow with half of it.
WITHIN = {"float32": 1e-4, "dynamic": 0.03, "int8": 0.15}  # the farthest faces saturate


class Example(NamedTuple):
    """A trained network, and its files."""

    trained: Trained
    folder: Path

    def open(self, name: str, runtime: str | None = None) -> GraphNetwork:
        return GraphNetwork(self.folder / f"{name}.tflite", self.folder / "normaliser.npz", runtime)


@pytest.fixture(
    scope="module",
    params=[
        {"seed": 0},
        {"seed": 1},
        {"seed": 2, "channels": 4, "layers": 2, "regions": 16, "hidden": 64},
    ],
    ids=["as shipped", "other weights", "another shape"],
)
def example(
    request: pytest.FixtureRequest,
    teach: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Example:
    from train.graph import Shape

    shape = dict(request.param)
    folder = tmp_path_factory.mktemp("network")
    teach(folder, "gnn", seed=shape.pop("seed"), shape=Shape(**shape), epochs=10, batch=32)
    trained = Trained.open(folder / "gnn.npz", "gnn")
    np.savez(folder / "normaliser.npz", **dict(zip(ARRAYS, trained.arrays(*ARRAYS), strict=True)))
    for name, content in quantised(trained).items():
        (folder / f"{name}.tflite").write_bytes(content)
    return Example(trained, folder)


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    """Each of the two; tflite_runtime is there for Python 3.11 only."""
    pytest.importorskip(request.param)
    return str(request.param)


def answers(network: GraphNetwork, meshes: np.ndarray) -> np.ndarray:
    return np.stack([network(aligned_xy(mesh)) for mesh in meshes])


@pytest.mark.parametrize("name", WITHIN)
def test_probabilities_are_those_of_keras(example: Example, name: str, runtime: str) -> None:
    expected = example.trained.probabilities
    got = answers(example.open(name, runtime), example.trained.landmarks)
    assert (got.shape, got.dtype) == (expected.shape, np.float32)
    np.testing.assert_allclose(got, expected, atol=WITHIN[name])
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-6)
    best = np.sort(expected, axis=1)[:, -2:]
    clear = best[:, 1] - best[:, 0] > 2 * WITHIN[name]
    np.testing.assert_array_equal(got[clear].argmax(axis=1), expected[clear].argmax(axis=1))
    # Else equal labels would say little, and so would equal probabilities.
    assert len(set(expected[clear].argmax(axis=1))) >= 5
    assert (expected.max(axis=1) < 0.99).mean() > 0.1


@pytest.mark.parametrize("name", WITHIN)
def test_nothing_but_built_in_operators(example: Example, name: str) -> None:
    """A Flex or custom operator would not run on the device."""
    assert_plain(example.folder / f"{name}.tflite")


def assert_plain(path: Path) -> None:
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    codes = {max(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes}
    assert schema.BuiltinOperator.FULLY_CONNECTED in codes
    assert schema.BuiltinOperator.CUSTOM not in codes
    (graph,) = model.subgraphs
    ends = [graph.tensors[i] for i in (*graph.inputs, *graph.outputs)]
    assert [tuple(tensor.shape) for tensor in ends] == [(1, 468, 2), (1, 7)]
    assert {tensor.type for tensor in ends} == {schema.TensorType.FLOAT32}


def test_the_shipped_network_is_plain(models_dir: Path) -> None:
    assert_plain(models_dir / "gnn.tflite")
    assert (models_dir / "gnn.tflite").stat().st_size <= 400_000


def test_both_runtimes_run_the_shipped_network_alike(
    models_dir: Path, draw_faces: Callable[..., Any], portrait: np.ndarray
) -> None:
    for name in RUNTIMES:
        pytest.importorskip(name)
    mesh = Recognizer(models_dir)(portrait).mesh
    assert mesh is not None
    meshes = np.concatenate([mesh.landmarks[None], draw_faces().validation_landmarks])
    files = models_dir / "gnn.tflite", models_dir / "gnn.npz"
    one, other = (answers(GraphNetwork(*files, name), meshes) for name in RUNTIMES)
    np.testing.assert_array_equal(one.argmax(axis=1), other.argmax(axis=1))
    np.testing.assert_allclose(one, other, atol=WITHIN["int8"])
    assert len(set(one.argmax(axis=1))) >= 3
    assert one[0].argmax() == 3  # she smiles


def test_a_reading_far_from_all_is_still_a_probability(models_dir: Path, runtime: str) -> None:
    network = GraphNetwork(models_dir / "gnn.tflite", models_dir / "gnn.npz", runtime)
    for value in (0.0, 1e3, -1e6):
        got = network(np.full(936, value, np.float32))
        assert np.isfinite(got).all()
        assert got.sum() == pytest.approx(1, abs=1e-6)


@pytest.fixture
def arrays(models_dir: Path) -> dict[str, np.ndarray]:
    with np.load(models_dir / "gnn.npz") as file:
        return dict(file)


@pytest.fixture
def refusal(models_dir: Path, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Opens a network with other arrays, or another network; what is said."""

    def refuse(network: Path = models_dir / "gnn.tflite", **arrays: np.ndarray) -> str:
        normaliser = models_dir / "gnn.npz"
        if arrays:
            normaliser = tmp_path / "odd.npz"
            np.savez(normaliser, **arrays)
        with pytest.raises(SetupError) as error:
            GraphNetwork(network, normaliser)
        message = str(error.value)
        assert str(normaliser if arrays else network) in message
        assert len(message.splitlines()) == 1
        return message

    return refuse


@pytest.mark.parametrize("name", ARRAYS)
def test_missing_array(
    refusal: Callable[..., str], arrays: dict[str, np.ndarray], name: str
) -> None:
    del arrays[name]
    assert name in refusal(**arrays)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", np.zeros(935)),
        ("mean", np.full(936, np.nan)),
        ("mean", np.full(936, "a")),
        ("basis", np.zeros(936)),
        ("basis", np.zeros((936, 3))),
        ("gain", np.array(1.0)),
        ("gain", np.full(100, np.inf)),
        ("temperature", np.ones(1)),
        ("temperature", np.array(0.0)),
        ("temperature", np.array(-1.0)),
        ("temperature", np.array(np.nan)),
    ],
)
def test_odd_arrays(
    refusal: Callable[..., str], arrays: dict[str, np.ndarray], name: str, value: np.ndarray
) -> None:
    message = refusal(**{**arrays, name: value})
    assert name in message or value.dtype.kind == "U"


def test_a_missing_network(refusal: Callable[..., str], tmp_path: Path) -> None:
    assert "missing" in refusal(tmp_path / "absent.tflite")


@pytest.mark.parametrize("size", [0, 3, 1000, 200_000, -1])
def test_a_truncated_network(
    refusal: Callable[..., str], models_dir: Path, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes((models_dir / "gnn.tflite").read_bytes()[:size])
    assert "not a TFLite network" in refusal(path)


def test_another_network(refusal: Callable[..., str], models_dir: Path) -> None:
    assert "make convert" in refusal(models_dir / "face_landmark.tflite")


def test_a_network_of_whole_numbers(
    refusal: Callable[..., str], tensorflow: Any, tmp_path: Path
) -> None:
    """It would take a mesh for noughts and ones without a word."""
    tf = tensorflow
    function = tf.function(lambda mesh: tf.reshape(mesh, (1, 936))[:, :7])
    concrete = function.get_concrete_function(tf.TensorSpec((1, 468, 2), tf.int32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    (tmp_path / "whole.tflite").write_bytes(converter.convert())
    assert "float32" in refusal(tmp_path / "whole.tflite")
