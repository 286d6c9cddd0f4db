"""The process of the simulated card, and the handle with which a test controls it."""

import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
from concurrent import futures
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[5]
WIRES = {
    "tongue": ["port0/line0", "PFI0"],
    "frame": ["port0/line1"],
    "exposure": ["PFI5"],
    "port2/line6": ["port0/line7"],
}
"""The wiring of docs/how-to/wiring.md: lick sensor, frame clock, camera, the valve's own line."""
MODULE = "tests.behavior.devices.nidaq.simulated_card.process"


class Handle:
    """Controls a card from outside, over a socket."""

    def __init__(self, control: str) -> None:
        host, port = control.split(":")
        self._socket = socket.create_connection((host, int(port)))
        self._lines = self._socket.makefile("rw")

    def do(self, act: str, **keys: Any) -> Any:
        """Send a command to the card; return its answer."""
        self._lines.write(json.dumps({"act": act, **keys}) + "\n")
        self._lines.flush()
        return json.loads(self._lines.readline())

    def put(self, line: str, up: bool) -> int:
        """Raise or lower a line; return when (ns, monotonic)."""
        return int(self.do("put", line=line, up=up))

    def fail(self, code: int, call: str = "") -> None:
        """Make one call, or all calls, fail with an NI error code; code 0 ends this."""
        self.do("fail", code=code, call=call)

    def openings(self, line: str) -> list[tuple[int, float]]:
        """Return (t in ns, ms) of each finished pulse of a line."""
        changes = self.do("changes", line=line)
        rises = [t for t, up in changes if up]
        falls = [t for t, up in changes if not up]
        return [(t, (fall - t) / 1e6) for t, fall in zip(rises, falls, strict=False)]

    def disconnect(self) -> None:
        """Close the socket."""
        self._lines.close()
        self._socket.close()


class SimulatedCard(Handle):
    """One card in its own process; its address is that of NI's gRPC device server."""

    def __init__(
        self,
        model: str = "full",
        drift_ppm: float = 40.0,
        wires: dict[str, list[str]] | None = None,
    ) -> None:
        config = {"device": "Dev1", "model": model, "drift_ppm": drift_ppm}
        config["wires"] = {**WIRES, **(wires or {})}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.behavior.devices.nidaq.simulated_card.process",
                json.dumps(config),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        served = json.loads(self.process.stdout.readline())
        self.address: str = served["address"]
        self.control: str = served["control"]
        super().__init__(self.control)

    def hang(self) -> None:
        """Stop the server without ending it."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Continue."""
        os.kill(self.process.pid, signal.SIGCONT)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        self.disconnect()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def main() -> None:
    """Serve until standard input is closed."""
    import grpc

    from tests.behavior.devices.nidaq.simulated_card.outside import obey
    from tests.behavior.devices.nidaq.simulated_card.served import generic_handler
    from tests.behavior.devices.nidaq.simulated_card.service import Service
    from tests.behavior.devices.nidaq.simulated_card.signals import Signals

    config = json.loads(sys.argv[1])
    signals = Signals(config["wires"], config["drift_ppm"])
    service = Service(signals, config["device"], config["model"])
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((generic_handler(service),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    class Obey(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                answer = obey(json.loads(line), signals, service)
                self.wfile.write(json.dumps(answer).encode() + b"\n")

    outside = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Obey)
    outside.daemon_threads = True
    control = f"127.0.0.1:{outside.server_address[1]}"
    print(json.dumps({"address": f"127.0.0.1:{port}", "control": control}), flush=True)
    with futures.ThreadPoolExecutor(1) as pool:
        pool.submit(outside.serve_forever)
        sys.stdin.read()
        outside.shutdown()


if __name__ == "__main__":
    main()
