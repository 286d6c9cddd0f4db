"""One NI card, local or on an NI gRPC device server; the only file that uses nidaqmx.

Tasks are created once, at open. Each call has a deadline. Each error is converted to one sentence.
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
    -50103: "another program uses it; end that program, or use another counter",
    -200022: "another program uses it; end that program, or use another counter",
    -201105: "another program uses it; end that program, or use another counter",
    -89120: "the card has no such terminal, or cannot route to it; correct it",
    -200197: "the card does not support this; for alternatives see docs/how-to/wiring.md",
    -200452: "the card does not support this; for alternatives see docs/how-to/wiring.md",
    -200077: "the card does not support this; for alternatives see docs/how-to/wiring.md",
    -201020: 'the card has no change detection on that line; set latch_counter = ""',
    -201062: "the card has no sample clock for these lines; set sample_hz = 0",
    -200284: "the read timed out; check the card's connection and the load of the machine",
    -200222: "the driver read too late and changes were lost; the machine is overloaded",
    -200662: "the card has no watchdog",
    -200279: "the driver read too late and changes were lost; the machine is overloaded",
}
"""Remedies for NI's most common errors, by code (nidaqmx.error_codes.DAQmxErrors)."""
_UNSUPPORTED = (-200662, -200197, -209876)
"""Codes of errors that mean that the card lacks a feature."""
_GONE = (-88705, -50405, -88709, -200220)
"""Codes of errors after which the card does not answer any more."""


class CardLostError(OSError):
    """Raised if the card does not answer, or reports an error during the session."""


class UnsupportedError(Refused):
    """Raised if the card lacks a feature."""


class Card:
    """A card: creates its tasks, and closes all of them at the end."""

    def __init__(self, device: str, address: str, deadline_s: float) -> None:
        """Prepare a card without opening it.

        Args:
            device: Name of the card in NI MAX.
            address: "" for a card of this computer, or "host:port" of a device server.
            deadline_s: Longest time that a call may take, s.
        """
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
        """Load nidaqmx. Raises Refused if it is not installed."""
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
        # These warnings are not useful at the rig: a pulse was stopped, a rate was rounded.
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
        """Longest time that a call may take, s."""
        return self._deadline_s

    def opened(self) -> None:
        """Raise CardLostError instead of Refused for errors from now on."""
        self._opening = False

    def task(self, name: str) -> Any:
        """Return a new task; first clear a task of that name that a killed driver left behind."""
        with self.translating_errors(f"task {name}"):
            return self._make(name, self._ni.Task)

    def watchdog(self, timeout_s: float) -> Any:
        """Return a new watchdog task."""
        with self.translating_errors("the watchdog"):
            kind = self._ni.system.watchdog.WatchdogTask
            return self._make(
                "watchdog",
                lambda name, grpc_options: kind(self.device, name, timeout_s, grpc_options),
            )

    @contextmanager
    def translating_errors(self, what: str) -> Iterator[None]:
        """Convert NI's errors to one sentence: to Refused while opening, later to CardLostError.

        Args:
            what: The action, for the sentence.
        """
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
        """Stop and clear every task; do nothing if the card is lost.

        Raises:
            CardLostError: A task cannot be cleared, and the card was opened without an error.
        """
        refused, self.is_open, self._opening = self._opening, False, False
        tasks, self._tasks = self._tasks, []
        failures = [f for f in map(self._clear, reversed(tasks)) if f is not None]
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if failures and not refused:
            raise failures[0]

    def _clear(self, task: Any) -> CardLostError | None:
        try:
            with self.translating_errors("closing"):
                task.close()
        except CardLostError as lost:
            return lost
        return None

    def _make(self, name: str, make: Callable[..., Any]) -> Any:
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
            return f"no answer within {deadline_s:g} s; check the device server"
        return f"the device server does not answer ({error}); start it, or correct `address`"
    code = getattr(error, "error_code", None)
    if code is None:
        return f"the NI-DAQmx driver is missing ({_first_line(error)}); install it, or set address"
    remedy = _REMEDIES.get(code, "look the code up in NI MAX")
    return f"{_first_line(error)} ({code}): {remedy}"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")


def _channel(address: str, deadline_s: float) -> Any:
    """Return a channel to a device server on which each call has a deadline."""
    import grpc

    details = namedtuple(
        "details", ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")
    )

    class Deadline(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
        """An interceptor that gives each call a deadline; a hung server would hang the driver."""

        def intercept_unary_unary(
            self, continuation: Callable[[Any, Any], Any], call: Any, request: Any
        ) -> Any:
            waits_s = max(0.0, getattr(request, "timeout", 0.0) or 0.0)
            whole_s = deadline_s + min(waits_s, deadline_s)
            return continuation(
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
