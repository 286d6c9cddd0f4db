"""A simulated mouse on the simulated board: it hears the session, and moves the board's pins."""

import threading
from types import TracebackType
from typing import Any

import zmq

from behavior.animals.simulated_mouse import SimulatedMouse
from rig.clock import monotonic_ns
from rig.messages import Start
from rig.transport.envelope import unpack
from tests.behavior.simavr.avr import Avr

_LOOK_EVERY_MS = 4
_TOUCH_US = 40_000


class MouseOnAvr:
    """Runs on the encoder and licks at the spout, in a thread, as the words of the hub move it.

    It is outside the rig's processes: all that they know of it comes through the board.
    """

    def __init__(self, avr: Avr, hub_port: int) -> None:
        self._avr = avr
        self._mouse = SimulatedMouse(SimulatedMouse.Settings(rest_s=0.3))
        self._context: zmq.Context[Any] = zmq.Context()
        self._ear = self._context.socket(zmq.SUB)
        self._ear.rcvhwm = 0
        for message in (b"Start", b"TrialStart", b"TrialEnd", b"Cue", b"Valve"):
            self._ear.subscribe(message + b" ")
        self._ear.connect(f"tcp://127.0.0.1:{hub_port + 1}")
        self._t0: int | None = None
        self._turned = 0
        self._over = False
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> "MouseOnAvr":
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

    def _live(self) -> None:
        while not self._over:
            if self._ear.poll(_LOOK_EVERY_MS):
                frame: bytes = self._ear.recv()
                _, message = unpack(frame[frame.index(b" ") + 1 :])
                if isinstance(message, Start):
                    self._t0 = int(message.session["t0_ns"])
                self._mouse.handle(message)
            if self._t0 is not None:
                self._move(monotonic_ns() - self._t0)

    def _move(self, now: int) -> None:
        counts = self._mouse.counts(now)
        if counts != self._turned:
            self._avr.tell(f"wheel {counts - self._turned}")
            self._turned = counts
        for _ in self._mouse.licks(now):
            self._avr.tell("at 1 B0 1")
            self._avr.tell(f"at {_TOUCH_US} B0 0")
