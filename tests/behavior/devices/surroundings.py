"""What is wired to a simulated board: mouse, microscope, photodiode."""

import heapq
import threading
import time
from itertools import count
from types import TracebackType
from typing import Any, Protocol

import zmq

from behavior.animals.simulated_mouse import SimulatedMouse
from rig.clock import monotonic_ns
from rig.errors import Refused
from rig.messages import Flip, Pulse, Start
from rig.transport.envelope import unpack
from tests.hubs import observer

MS = 1_000_000
POLL_MS = 2
TOUCH_MS = 30
FRAME_PULSE_MS = 10
LIGHT_DELAY_MS = 25
"""Delay from a flip to the change of the photodiode; longer than a message takes, ms."""


class Wires(Protocol):
    """The wires of a board."""

    def turn(self, counts: int) -> None:
        """Turn the wheel."""

    def put(self, line: str, up: bool) -> None:
        """Raise or lower "lick", "frame_clock" or "photodiode"."""


class Surroundings:
    """Moves a board's inputs, in a thread, according to the messages of a session.

    The simulated mouse runs on the wheel and licks at the spout, the simulated microscope's Pulse
    messages come as edges of the frame clock, and flips as changes of the photodiode. The rig's
    processes see all of this only through the board.
    """

    def __init__(self, wires: Wires, hub_port: int) -> None:
        self._wires = wires
        self._mouse = SimulatedMouse(
            SimulatedMouse.Settings(
                rest_s=0.2, stride_sd_cm_s=1.0, reacts_after_s=0.1, anticipates_after_s=0.5
            )
        )
        self._context: zmq.Context[Any] = zmq.Context()
        self._hub_port = hub_port
        self._t0: int | None = None
        self._turned = 0
        self._bright = False
        self._due: list[tuple[int, int, str, bool]] = []
        self._order = count()
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Surroundings":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._over = True
        self._thread.join()
        self._context.destroy(linger=0)

    def _connected(self) -> zmq.Socket[Any] | None:
        """Wait for the session's hub; return a socket on what moves a mouse."""
        while not self._over:
            try:
                connected = observer(self._context, self._hub_port)
            except Refused:
                time.sleep(POLL_MS / 1000)
                continue
            for name in (b"Start", b"TrialStart", b"TrialEnd", b"Cue", b"Valve", b"Pulse", b"Flip"):
                connected.subscribe(name + b" ")
            return connected
        return None

    def _run(self) -> None:
        connected = self._connected()
        while not self._over and connected is not None:
            while connected.poll(POLL_MS):
                self._handle(connected.recv())
            now = monotonic_ns()
            while self._due and self._due[0][0] <= now:
                _, _, line, up = heapq.heappop(self._due)
                self._wires.put(line, up)
            if self._t0 is not None:
                self._move(now - self._t0)
        if connected is not None:
            connected.close(linger=0)

    def _handle(self, frame: bytes) -> None:
        _, message = unpack(frame[frame.index(b" ") + 1 :])
        match message:
            case Start():
                self._t0 = int(message.session["t0_ns"])
            case Pulse(line=str(line)):
                self._pulse(line, FRAME_PULSE_MS)
            case Flip() if self._t0 is not None and message.bright != self._bright:
                self._bright = message.bright
                self._later(self._t0 + message.t + LIGHT_DELAY_MS * MS, "photodiode", self._bright)
        self._mouse.handle(message)

    def _move(self, now: int) -> None:
        counts = self._mouse.counts(now)
        if counts != self._turned:
            self._wires.turn(counts - self._turned)
            self._turned = counts
        if self._mouse.licks(now):
            self._pulse("lick", TOUCH_MS)

    def _pulse(self, line: str, ms: int) -> None:
        self._wires.put(line, True)
        self._later(monotonic_ns() + ms * MS, line, up=False)

    def _later(self, t: int, line: str, up: bool) -> None:
        heapq.heappush(self._due, (t, next(self._order), line, up))
