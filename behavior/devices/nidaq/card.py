"""One NI card, local or behind NI's gRPC device server: the only file that touches nidaqmx.

Tasks are made once, at open; each call has a deadline; each failure becomes one sentence.
"""

import warnings
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rig.errors import Refused

_REMEDIES = {
    -200220: "there is no card of that name; plug it in, or correct `device`",
    -200170: "the card has no such line or counter; correct it",
    -50103: "something else holds it; end that program, or take another counter",
    -200022: "something else holds it; end that program, or take another counter",
    -201105: "something else holds it; end that program, or take another counter",
    -89120: "the card has no such terminal, or no way to it; correct it",
    -200197: "the card cannot do that; take what it can do, see docs/how-to/wiring.md",
    -200452: "the card cannot do that; take what it can do, see docs/how-to/wiring.md",
    -200077: "the card cannot do that; take what it can do, see docs/how-to/wiring.md",
    -201020: 'the card sees no changes on that line; set latch_counter = ""',
    -201062: "the card has no clock for these lines; set sample_hz = 0",
    -200284: "it did not give in time what it said it had; look at its plug and at the machine",
    -200222: "the driver came too late to read what the card had seen; the machine is too slow",
    -200662: "the card has no watchdog",
    -200279: "the driver came too late to read what the card had seen; the machine is too slow",
}
"""What to do about NI's most common errors, by their code (nidaqmx.error_codes.DAQmxErrors)."""
_UNSUPPORTED = (-200662, -200197, -209876)
"""The card has not that feature at all."""
_GONE = (-88705, -50405, -88709, -200220)
"""After one of these nothing that is asked of the card will be answered."""


class CardLostError(OSError):
    """The card does not answer, or not as it must."""


class UnsupportedError(Refused):
    """The card is there, and cannot do that."""


class Card:
    """Makes tasks on a card, asks them within a deadline, and closes them however it ends."""

    def __init__(self, device: str, address: str, deadline_s: float) -> None:
        """`address` is "" for the driver on this machine, or "host:port" of NI's device server."""
        self.device = device
        self._address, self._deadline_s = address, deadline_s
        self._name = f"card {device}" + (f" at {address}" if address else "")
        self.is_open = False
        self._opening = False
        self._lost = ""
        self._channel: Any = None
        self._tasks: list[Any] = []
        self._ni: Any = None

    def open(self) -> None:
        """Find the driver. Raises Refused if there is none."""
        try:
            import nidaqmx
            import nidaqmx.constants
            import nidaqmx.errors
            import nidaqmx.stream_readers
            import nidaqmx.stream_writers
            import nidaqmx.system.watchdog
            import nidaqmx.types
        except ImportError as error:
            raise Refused(f"{self._name}: {error}; run: pip install 'rig[nidaq]'") from error
        # of no use to anyone at the rig: a pulse was stopped, a rate was coerced
        warnings.simplefilter("ignore", nidaqmx.errors.DaqWarning)
        self._ni, self._opening, self._lost = nidaqmx, True, ""
        self.is_open = True
        if self._address:
            self._channel = _channel(self._address, self._deadline_s)

    @property
    def ni(self) -> Any:
        """The nidaqmx package."""
        return self._ni

    @property
    def timeout_s(self) -> float:
        """How long any call may wait."""
        return self._deadline_s

    def opened(self) -> None:
        """Have failures from now on end the session, not refuse it."""
        self._opening = False

    def task(self, name: str) -> Any:
        """Return a new task. One that a killed driver left on the device server is cleared."""
        with self.translating_errors(f"a task for {name}"):
            return self._made(name, self._ni.Task)

    def watchdog(self, timeout_s: float) -> Any:
        """Return a new watchdog task."""
        with self.translating_errors("the watchdog"):
            kind = self._ni.system.watchdog.WatchdogTask
            return self._made(
                "watchdog",
                lambda name, grpc_options: kind(self.device, name, timeout_s, grpc_options),
            )

    @contextmanager
    def translating_errors(self, what: str) -> Iterator[None]:
        """Turn a failure into one sentence: Refused while opening, else CardLostError."""
        if self._lost:
            raise CardLostError(self._lost)
        try:
            yield
        except self._ni.errors.Error as error:
            sentence = f"{self._name}, {what}: {_reason(error, self._deadline_s)}"
            code = getattr(error, "error_code", None)
            if code in _GONE or hasattr(error, "rpc_code"):
                self._lost = sentence
            if self._opening:
                self.is_open = not self._lost
                raise (UnsupportedError if code in _UNSUPPORTED else Refused)(sentence) from error
            raise CardLostError(sentence) from error

    def close(self) -> None:
        """Stop and clear every task; of a card that is lost nothing is asked any more.

        Raises CardLostError if one cannot be cleared; not where the card was refused anyway.
        """
        refused, self.is_open, self._opening = self._opening, False, False
        tasks, self._tasks = self._tasks, []
        failures = [f for f in map(self._cleared, reversed(tasks)) if f is not None]
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if failures and not refused:
            raise failures[0]

    def _cleared(self, task: Any) -> CardLostError | None:
        try:
            with self.translating_errors("closing"):
                task.close()
        except CardLostError as lost:
            return lost
        return None

    def _made(self, name: str, make: Callable[..., Any]) -> Any:
        session = f"rig {name}"
        if self._channel is None:
            task = make(session, grpc_options=None)
        else:
            behavior = self._ni.SessionInitializationBehavior
            for how in (behavior.AUTO, behavior.INITIALIZE_SERVER_SESSION):
                options = self._ni.GrpcSessionOptions(
                    self._channel, session, initialization_behavior=how
                )
                task = make(session, grpc_options=options)
                if how is behavior.AUTO:
                    task.close()
        self._tasks.append(task)
        return task


def _reason(error: Exception, deadline_s: float) -> str:
    rpc_code = getattr(error, "rpc_code", None)
    if rpc_code is not None:
        if "DEADLINE" in str(rpc_code):
            return f"no answer within {deadline_s:g} s; look at the device server"
        return f"the device server does not answer ({error}); start it, or correct `address`"
    code = getattr(error, "error_code", None)
    if code is None:
        return (
            f"the NI-DAQmx driver is not there ({_first_line(error)}); install it, or set address"
        )
    remedy = _REMEDIES.get(code, "look it up in NI MAX")
    return f"{_first_line(error)} ({code}): {remedy}"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")


def _channel(address: str, deadline_s: float) -> Any:
    """Return a channel to a device server on which no call waits longer than its deadline."""
    import grpc

    details = namedtuple(
        "details", ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")
    )

    class Deadline(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
        """nidaqmx sets none: without it a hung server would hang the driver for ever."""

        def intercept_unary_unary(
            self, go_on: Callable[[Any, Any], Any], call: Any, request: Any
        ) -> Any:
            waits_s = max(0.0, getattr(request, "timeout", 0.0) or 0.0)
            whole_s = deadline_s + min(waits_s, deadline_s)
            return go_on(
                details(
                    call.method,
                    whole_s,
                    call.metadata,
                    call.credentials,
                    call.wait_for_ready,
                    call.compression,
                ),
                request,
            )

    return grpc.intercept_channel(grpc.insecure_channel(address), Deadline())
