"""Graph network → TFLite: float32, dynamic-range, full-integer, compared; one is shipped.

Each variant runs through the device's own code over the whole validation set. The smallest that
gives Keras' label for 99 % of the meshes and loses at most 0.3 points of accuracy is shipped.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convert.trained import Answer, Trained
from edge.classify.gnn import ARRAYS, GraphNetwork
from edge.errors import SetupError
from edge.quiet import quiet_stderr
from edge.types import LANDMARKS

FILE, NORMALISER = "gnn.tflite", "gnn.npz"
LAST = "Identity"
"""The last layer, as the converter names it."""
LIMIT = 400_000
"""Bytes that the shipped network may have."""
AGREEMENT, LOSS = 0.99, 0.003
"""What a variant has to keep: the share of Keras' labels, and accuracy but for so much."""
RANGES = {"int8": 0.9, "int8-half": 0.5}
"""Share of the sample faces that the ranges of eight bits are measured on: the farthest would make
every step of the others coarser. About one label in a hundred changes, a few more or less by luck:
where the first loses one too many, the second may not."""


def convert(trained: Trained, folder: Path) -> tuple[dict[str, Any], np.ndarray, Answer]:
    """Write network and normaliser into `folder`; the manifest's entry, answers (V, 7), itself."""
    arrays = dict(zip(ARRAYS, trained.arrays(*ARRAYS), strict=True))
    np.savez_compressed(folder / NORMALISER, **arrays)
    features, known = trained.features(), trained.probabilities.argmax(axis=1)
    judged = trained.judged
    exact = float((known == trained.label)[judged].mean())
    variants, answers = {}, {}
    with quiet_stderr():  # TensorFlow tells how it converts
        made = quantised(trained)
    for name, content in made.items():
        path = folder / f"{name}.tflite"
        path.write_bytes(content)
        network = GraphNetwork(path, folder / NORMALISER)
        answers[name] = got = np.stack([network(feature) for feature in features])
        accuracy = float((got.argmax(axis=1) == trained.label)[judged].mean())
        variants[name] = {
            "bytes": len(content),
            "accuracy": round(accuracy, 4),
            "lost": round(exact - accuracy, 4),
            "same_label_as_keras": round(float((got.argmax(axis=1) == known).mean()), 4),
            "largest_difference": round(float(np.abs(got - trained.probabilities).max()), 5),
            **cost(path),
        }
        print(f"  {name}: {variants[name]}", flush=True)
    chosen = choose(variants)
    (folder / f"{chosen}.tflite").replace(folder / FILE)
    for name in variants:
        (folder / f"{name}.tflite").unlink(missing_ok=True)
    entry = {
        "kind": "gnn",
        "file": FILE,
        "bytes": variants[chosen]["bytes"],
        "quantisation": chosen,
        "normaliser": {"file": NORMALISER, "bytes": (folder / NORMALISER).stat().st_size},
        **trained.entry(),
        "parameters": trained.description["training"]["parameters"],
        "variants": variants,
    }
    return entry, answers[chosen], GraphNetwork(folder / FILE, folder / NORMALISER)


def choose(variants: dict[str, dict[str, Any]]) -> str:
    """The smallest variant that is as good as Keras. Raises SetupError where there is none."""
    good = [
        name
        for name, variant in variants.items()
        if variant["same_label_as_keras"] >= AGREEMENT
        and variant["lost"] <= LOSS
        and variant["bytes"] <= LIMIT
    ]
    if not good:
        seen = ", ".join(
            f"{name}: {of['same_label_as_keras']:.2%}, {of['lost']:.2%}, {of['bytes']:,}"
            for name, of in variants.items()
        )
        raise SetupError(
            f"no variant of the graph network keeps {AGREEMENT:.0%} of Keras' labels and all but "
            f"{LOSS:.1%} of its accuracy in {LIMIT:,} bytes ({seen}): not written. Train on more "
            "pictures, or give --only svm"
        )
    return min(good, key=lambda name: variants[name]["bytes"])


def quantised(trained: Trained) -> dict[str, bytes]:
    """The network as TFLite files: built-in operators only, batch of one."""
    try:
        from train.graph import Shape, build, keras, tf
    except ImportError as error:
        raise SetupError(
            f"{trained.path} cannot be converted here ({error}): it needs TensorFlow and Spektral, "
            "which `make convert` installs where Python is 3.11 or 3.12"
        ) from None

    matrix, samples = trained.arrays("adjacency", "samples")
    keras.backend.clear_session()  # names of layers are counted, and are in the file
    try:
        shape = Shape(**trained.description["training"]["settings"]["shape"])
        model = build(shape, matrix, np.zeros((shape.regions, LANDMARKS)), batch=1)
        names = [f"weight_{i:03d}" for i in range(len(model.get_weights()))]
        model.set_weights(trained.arrays(*names))
    except (KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise SetupError(
            f"{trained.path}: not this version's graph network ({reason}): train again"
        ) from None

    # Spektral's call takes its inputs as one list, which from_keras_model does not survive.
    call = tf.function(lambda mesh: model(mesh, training=False))
    function = call.get_concrete_function(tf.TensorSpec((1, LANDMARKS, 2), tf.float32))

    far = (samples**2).mean(axis=(1, 2))

    def representative(share: float) -> Iterator[list[np.ndarray]]:
        for sample in samples[far <= np.quantile(far, share)]:
            yield [sample[None]]

    found = {}
    for name in ("float32", "dynamic", *RANGES):
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if name != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if name not in RANGES:
            # A scale for each row came after tflite-runtime, which is what 32-bit Arm has.
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True
            found[name] = converter.convert()
            continue
        # Input and output are float32: the file quantises them itself. So is the last layer's
        # 7 × 256: in eight bits the two likeliest classes of one face in sixty are even.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = partial(representative, RANGES[name])
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=converter.representative_dataset,
            debug_options=tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=[LAST]),
        )
        found[name] = debugger.get_nondebug_quantized_model()
    return found


def cost(path: Path) -> dict[str, float | None]:
    """Time and memory of one network, on one thread, in a process of its own."""
    line = [sys.executable, "-m", "convert.cost", str(path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"{path.name} does not run: {done.stderr.strip().splitlines()[-1:]}")
    figures: dict[str, float | None] = json.loads(done.stdout)
    return figures
