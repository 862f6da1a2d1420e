"""`python -m edge`."""

import os
import signal
import sys
from contextlib import suppress

# Ctrl-C ends it at once and quietly, at any moment. As an exception, it would come out of numpy's
# and OpenCV's imports as an ImportError; and nothing here needs to be undone.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

# A daemon that is starting has nothing to load again yet; a shell's `run` ends with its terminal.
if sys.argv[1:2] == ["daemon"]:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

# Between two frames, a second thread of OpenBLAS would spin: a third of a core for nothing.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from edge.lean import bare, later

# Python and numpy 1 load these for whoever may need them, 9 MB with the OpenSSL of numpy's random
# numbers; numpy 2 lets most of them wait. A library leaves its host's modules alone: only the
# program does this.
with later(
    *("inspect", "ipaddress", "pickle"),
    *("numpy.ctypeslib", "numpy.fft", "numpy.ma", "numpy.polynomial", "numpy.random"),
    *("numpy.core._add_newdocs", "numpy.core._add_newdocs_scalars"),
    *("numpy._core._add_newdocs", "numpy._core._add_newdocs_scalars"),  # the same of numpy 2
):
    from edge.cli import main

bare("ai_edge_litert")  # itself, it loads a library of 8 MB that its interpreter never calls

status = main()
# Now, without waiting: a thread may sit in a camera's driver for seconds more.
with suppress(AttributeError, OSError, ValueError):  # stdout may be closed
    sys.stdout.flush()
os._exit(status)
