"""python -m benchmarks.arm64: counts, compares with this machine and with the baseline."""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.arm64 import scenes
from benchmarks.arm64.counter import BUILD, CPUS, REPO, Case, Count, counted, here
from benchmarks.arm64.guest import SCENES
from edge.arguments import number

BASELINE = REPO / "benchmarks/arm64-baseline.json"
TOLERANCE = 0.005
"""Share of a whole frame by which it, or a stage of it, may grow."""
FAR = 0.02
"""Pixels by which a landmark may differ from this machine's."""
CASES = (
    *(Case(cpu, "ai-edge-litert", model) for cpu in CPUS for model in ("svm", "gnn", "both")),
    *(Case(cpu, "tflite-runtime", "svm") for cpu in CPUS),
    Case("cortex-a72", "ai-edge-litert", "svm", "numpy"),
)
Counts = dict[str, dict[str, dict[str, int]]]
"""Case → scene → stage → instructions a frame."""


def regressions(baseline: Counts, found: Counts) -> list[str]:
    """A line for everything that takes more than it did."""
    lines = []
    for case, scene_counts in found.items():
        for scene, counts in scene_counts.items():
            before = baseline.get(case, {}).get(scene)
            if before is None:
                lines.append(f"{case}, {scene}: not in the baseline; --accept writes it")
                continue
            allowed = TOLERANCE * before["whole"]
            for stage, count in counts.items():
                more = count - before.get(stage, 0)
                if more > allowed:
                    lines.append(
                        f"{case}, {scene}: {stage} takes {count / 1e6:.3f} M instructions, "
                        f"{more / 1e6:.3f} M more than the baseline"
                    )
    return lines


def differences(expected: list[dict[str, Any]], told: list[dict[str, Any]]) -> tuple[int, float]:
    """Frames with another label or face, and how far the landmarks differ at most, in pixels."""
    labels, far = 0, 0.0
    for ours, theirs in zip(expected, told, strict=True):
        faces = [frame["landmarks"] is None for frame in (ours, theirs)]
        if ours["label"] != theirs["label"] or faces[0] != faces[1]:
            labels += 1
        elif not faces[0]:
            far = max(far, float(np.abs(np.subtract(ours["landmarks"], theirs["landmarks"])).max()))
    return labels, far


def table(found: Counts) -> str:
    """Millions of instructions, a row a case, for each scene."""
    lines = []
    for scene in SCENES:
        stages = list(next(iter(found.values()))[scene])
        lines += [f"\n{scene}, millions of instructions a frame", " | ".join(("", *stages))]
        for case, counts in found.items():
            cells = [f"{counts[scene].get(stage, 0) / 1e6:.2f}" for stage in stages]
            lines.append(f"{case}: " + " | ".join(cells))
    return "\n".join(lines)


def main() -> int:
    """Count; 1 where something got slower or reads otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arm64", description=__doc__)
    parser.add_argument("--cpu", choices=CPUS, help="only this one")
    parser.add_argument("--model", choices=("svm", "gnn", "both"), help="only this one")
    parser.add_argument("--accept", action="store_true", help="make what is found the baseline")
    parser.add_argument("--jobs", type=number(int, 1), default=2, help="at a time")
    options = parser.parse_args()
    try:
        baseline: Counts = json.loads(BASELINE.read_text()) if BASELINE.is_file() else {}
    except (OSError, ValueError) as error:
        raise SystemExit(f"benchmark-arm64: {BASELINE}: cannot be read: {error}") from None
    wanted = [
        case
        for case in CASES
        if options.cpu in (None, case.cpu) and options.model in (None, case.model)
    ]
    work = BUILD / "counts"
    work.mkdir(parents=True, exist_ok=True)
    pictures = work / "scenes.npz"
    scenes.save(pictures, REPO / "models/sample.png")
    found: Counts = {}
    wrong: list[str] = []

    def count(case: Case) -> tuple[Case, Count]:
        return case, counted(case, pictures, work)

    with ThreadPoolExecutor(options.jobs) as pool:
        for case, result in pool.map(count, wanted):
            found[str(case)] = result.instructions
            expected = here(
                Case("here", "ai-edge-litert", case.model, case.kernels), pictures, work
            )
            labels, far = differences(expected, result.told)
            print(f"{case}: landmarks within {far:.5f} pixels of this machine's", file=sys.stderr)
            if labels or far > FAR:
                wrong.append(f"{case}: {labels} other labels, landmarks {far:.3f} pixels away")
    print(table(found))
    if options.accept:
        BASELINE.write_text(json.dumps(baseline | found, indent=1) + "\n")
    else:
        wrong += regressions(baseline, found)
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        kept = (
            "is the baseline now" if options.accept else f"within {TOLERANCE:.1%} of the baseline"
        )
        print(f"\nall of it {kept}, with this machine's labels")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("benchmark-arm64: stopped", file=sys.stderr)
        sys.exit(130)
