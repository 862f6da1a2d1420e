"""The mean neutral face of what was trained on → `neutral.npz`, for `edge.baseline`.

`make convert` does it; `python -m convert.neutral` adds it to a bundle that is there already.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.plausible import open_facts
from convert.wheels import sha256_of
from edge import disk
from edge.bundle import DEFAULT_DIR, MANIFEST, Bundle
from edge.errors import EdgeError

FILE = "neutral.npz"


def export(facts: Mapping[str, NDArray[Any]], out: Path) -> dict[str, Any]:
    """Write `out`/neutral.npz from `convert.plausible.open_facts`; its manifest entry."""
    np.savez(out / FILE, landmarks=facts["neutral"])
    return {
        "file": FILE,
        "sha256": sha256_of(out / FILE),
        "pictures": int(facts["neutral_pictures"]),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Add it to a bundle; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m convert.neutral", description=__doc__)
    parser.add_argument("--trained", type=Path, default=Path("build/train"))
    parser.add_argument("--models", type=Path, default=DEFAULT_DIR)
    options = parser.parse_args(arguments)
    try:
        manifest = Bundle.open(options.models).manifest
        entry = export(open_facts(options.trained, manifest), options.models)
        text = json.dumps({**manifest, "neutral": entry}, indent=1, ensure_ascii=False)
        disk.write(options.models / MANIFEST, f"{text}\n".encode())
    except EdgeError as error:
        print(f"convert: {error}", file=sys.stderr)
        return 1
    print(f"wrote {options.models / FILE}: {entry['pictures']} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
