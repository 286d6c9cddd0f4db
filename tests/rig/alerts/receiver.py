"""A channel whose texts a test can read: a local server for apprise's json:// addresses."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Receiver:
    """The received texts: (title, body)."""

    def __init__(self, port: int) -> None:
        self.address = f"json://127.0.0.1:{port}/"
        self.received: queue.Queue[tuple[str, str]] = queue.Queue()

    def next(self) -> tuple[str, str]:
        return self.received.get(timeout=60)


@contextmanager
def receiver(status: int = 200, stalled: bool = False) -> Iterator[Receiver]:
    """Serve a channel that answers with a status, or never if it is stalled."""
    release = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if stalled:
                release.wait()
            found.received.put((body["title"], body["message"]))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Receiver(server.server_address[1])
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield found
        finally:
            release.set()
            server.shutdown()


def write_alerts(config: Path, *channels: str, more: str = "") -> Path:
    """Write alerts.toml below a configuration folder."""
    path = config / "rig" / "alerts.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"channels = {json.dumps(channels)}\n{more}")
    path.chmod(0o600)
    return path
