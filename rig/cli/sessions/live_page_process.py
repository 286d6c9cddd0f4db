"""The process of the live page, which `rig run` starts: `python -m ... FOLDER BROWSER`.

It writes the operator's requests to standard output, one line of JSON each, and `rig run` reads
them. It ends when its standard input is closed, so it never runs longer than the session.
"""

import json
import sys
import threading
from contextlib import suppress
from pathlib import Path

import uvicorn

from rig.cli.sessions.monitor import live_monitor, open_browser
from rig.monitor.serve import LOOPBACK, address_of, announce, bind, read_token, serve, token_file
from rig.monitor.server import application
from rig.settings.config import read_session


def main() -> None:
    """Serve the page until standard input is closed."""
    folder, browser = Path(sys.argv[1]), sys.argv[2] == "1"
    token = read_token(token_file())
    monitor = live_monitor(folder, token, _accept)
    listening = bind(LOOPBACK, None)
    address = address_of(listening, False, token)
    _write({"address": address})
    with suppress(OSError):  # the session has just ended
        announce(read_session(folder).rig.hub_port, address)
    if browser:
        threading.Thread(target=open_browser, args=(address,), daemon=True).start()
    serve(application(monitor), listening, started=_end_with_input)


def _accept(verb: str, text: str, by: str) -> None:
    _write({"verb": verb, "text": text, "by": by})


def _write(update: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(update) + "\n")
    sys.stdout.flush()


def _end_with_input(server: uvicorn.Server) -> None:
    def wait() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main()
