"""`python -m edge`."""

import os
import signal
import sys

# Ctrl-C ends it at once and quietly, at any moment. As an exception, it would come out of numpy's
# and OpenCV's imports as an ImportError; and nothing here needs to be undone.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

from edge.cli import main

sys.exit(main())
