"""One TFLite network, run by whichever interpreter is installed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import SetupError
from edge.quiet import quiet_stderr

RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
"""Modules with TFLite's `Interpreter`, best first (the second ends at Python 3.11)."""


def runtime(name: str | None = None) -> Any:
    """The interpreter module: `name`, or the first of RUNTIMES that is installed.

    Raises SetupError where none can be imported.
    """
    reasons = []
    for candidate in (name,) if name else RUNTIMES:
        try:
            return importlib.import_module(candidate)
        except ImportError as error:
            reasons.append(f"{candidate.split('.')[0]}: {error}")
    raise SetupError(f"no TFLite runtime ({'; '.join(reasons)}): run `make edge` to install one")


class Network:
    """A TFLite file with one input, all float32, ready to run on `threads` CPU threads."""

    def __init__(self, path: Path, threads: int = 1, runtime_name: str | None = None) -> None:
        module = runtime(runtime_name)
        if not path.is_file():
            raise SetupError(f"{path} is missing")
        try:
            with quiet_stderr():
                self._interpreter = module.Interpreter(model_path=str(path), num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise SetupError(
                f"{path} is not a TFLite network this runtime can run: {reason}"
            ) from None
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        if len(inputs) != 1 or {d["dtype"] for d in (*inputs, *outputs)} != {np.float32}:
            raise SetupError(f"{path}: not a network with one input whose numbers are float32")
        (source,) = inputs
        self._input_index: int = source["index"]
        self.input_shape: tuple[int, ...] = tuple(int(n) for n in source["shape"])
        self._output_index: list[int] = [detail["index"] for detail in outputs]
        self.output_shapes = [tuple(int(n) for n in detail["shape"]) for detail in outputs]

    def input(self) -> NDArray[np.float32]:
        """The input tensor itself, of `input_shape`, to write into. Let go of it before `run`."""
        tensor: NDArray[np.float32] = self._interpreter.tensor(self._input_index)()
        return tensor

    def run(self) -> Sequence[NDArray[np.float32]]:
        """Run on what is in the input; copies of the outputs, in the file's order."""
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._output_index]
