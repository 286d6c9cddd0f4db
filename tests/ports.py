"""Free ports for the hubs of tests."""

import socket


def free_port() -> int:
    """Return a port that is free, as are the next two."""
    while True:
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            first.bind(("127.0.0.1", 0))
            at = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", at + 1))
                third.bind(("127.0.0.1", at + 2))
            except (OSError, OverflowError):
                continue
            return at
