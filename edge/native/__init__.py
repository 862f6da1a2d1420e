"""The compiled twins of a few slow loops, where they were compiled: see `kernels.c`.

`make native` writes `kernels-aarch64.so` or the like beside this file. Without one all is done in
numpy, with the same readings.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

VERSION = 4
"""Of the functions' arguments; `kernels.c` has the same number."""

LONGEST = 512
"""Side of a crop, pixels, as in `kernels.c`."""
LONGEST_SQUARE = 256
"""Side of a square of sums, pixels, as in `kernels.c`."""
TOGETHER = 32
"""Support vectors that lie side by side, as in `kernels.c`."""


@cache
def load(folder: Path = Path(__file__).parent) -> ctypes.CDLL | None:
    """The library for this machine, or None where there is none that fits."""
    path = folder / f"kernels-{os.uname().machine}.so"
    if not path.exists():
        return None
    try:
        library = ctypes.CDLL(str(path))
        if library.version() != VERSION:
            return None
    except (OSError, AttributeError):  # made for another system, or something else altogether
        return None
    pointer, whole, real = ctypes.c_void_p, ctypes.c_int32, ctypes.c_double
    single = ctypes.c_float
    library.crop.argtypes = [pointer, ctypes.c_int64, whole, whole, whole, real, real, real, real]
    library.crop.argtypes += [whole, single, single, pointer]
    far = ctypes.c_int64
    library.rgb.argtypes = [pointer, far, pointer, pointer, far, far, whole, whole, pointer]
    library.squares.argtypes = [pointer, ctypes.c_int64, whole, whole, whole, pointer]
    if library.halves():
        library.kernel.argtypes = [pointer, whole, whole, pointer, single, pointer]
        library.kernel.restype = single
    return library
