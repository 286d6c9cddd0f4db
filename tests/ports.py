"""Free ports for the hubs of tests."""

import socket


def free_port() -> int:
    """Return a port that is free, as is the next one."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            at = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", at + 1))
            except (OSError, OverflowError):
                continue
            return at
