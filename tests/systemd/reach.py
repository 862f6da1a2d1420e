"""Run as the service: which of these addresses it may send to."""

import socket
import sys

for address in sys.argv[1:]:
    try:
        socket.socket(type=socket.SOCK_DGRAM).sendto(b"", (address, 9))
        print(address, "reached", flush=True)
    except OSError as error:
        print(address, error.strerror, flush=True)
