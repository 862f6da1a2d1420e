"""Run in a boot, as root: `tests/systemd/boot.sh OUT_DIR python -m tests.systemd [CHECK…]`.

Installs with `make install`, plays a camera and a broker to it, breaks one thing after the other,
and writes to /out/results.json for each check why it failed, or null, and what was measured.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path

from tests.systemd.checks import CHECKS
from tests.systemd.device import Device, measured

OUT = Path("/out")


def main(names: list[str]) -> int:
    """Run the checks; whether one failed."""
    results: dict[str, str | None] = {}
    device = Device()
    for name in names or CHECKS:
        begun = time.monotonic()
        try:
            CHECKS[name](device)
            results[name] = None
        except Exception as error:
            traceback.print_exc()
            last = "\n".join(line[:120] for line in device.journal.lines[-5:])
            results[name] = f"{error}\nThe journal's last lines:\n{last}"
        print(f"{time.monotonic() - begun:5.1f} s  {name}", flush=True)
        report = {"results": results, "measured": measured}
        (OUT / "results.json").write_text(json.dumps(report, indent=1))
    (OUT / "journal.log").write_text("\n".join(device.journal.lines))
    return any(results.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
