"""The connection to one Harp board: requests, events, its clock, and whether it is alive."""

import math
import time
from collections import deque
from typing import NamedTuple

from behavior.devices.clock_sync import ClockStep, DeviceClock, Residual
from behavior.devices.harp.messages import EVENT, READ, U8, U16, HarpMessage, Parser, build
from behavior.devices.harp.models import (
    ACTIVE,
    DEVICE_NAME,
    FIRMWARE_HIGH,
    FIRMWARE_LOW,
    HEARTBEAT,
    INPUTS,
    MODE_MASK,
    OPERATION,
    SECONDS,
    WHO_AM_I,
    Model,
)
from behavior.devices.harp.port import Port, PortLostError
from rig.clock import monotonic_ns
from rig.errors import Refused

_MS = 1_000_000
_ANSWER_TIMEOUT_S = 0.05
"""Longest wait for an answer to each try, s."""
_ONCE_TIMEOUT_S = 0.15
"""Longest wait for an answer to a command that must not be repeated, such as a pulse, s."""
_SYNC_EVERY_NS = 100 * _MS
"""Time between questions for the board's time, ns."""
_SILENT_NS = 500 * _MS
"""Time without any message after which a board is lost, ns."""
_NO_HEARTBEAT_NS = 2_500 * _MS
"""Time without a heartbeat after which a board is lost, ns; a board sends one per second."""
_FIRST_EXCHANGES = 20
_RESYNC_EXCHANGES = 5
"""Number of clock exchanges at the start, and when the board's clock may have been set."""


class Dated(NamedTuple):
    """An event or answer of the board, with its time `t` on the host's monotonic clock, ns."""

    address: int
    values: tuple[int | float, ...]
    t: int


class Connection:
    """The connection to one board. Times are of the host's monotonic clock, ns.

    Ten times a second the board is asked to identify itself. The time stamp of the answer goes into
    the clock fit, and its content shows whether it is still the same board. The question also shows
    the board that the driver is alive.
    """

    def __init__(self, model: Model, port: Port) -> None:
        self._model, self._port = model, port
        self.more_setup: list[HarpMessage] = []
        """Requests that are sent after those of the model whenever the board is opened."""
        self._reset()

    def _reset(self) -> None:
        self.clock = DeviceClock()
        self.inputs = 0
        """State of the input lines when the board was opened."""
        self._parser = Parser(self._model.registers)
        self._answers: dict[tuple[int, int], tuple[HarpMessage, int]] = {}
        self._received: deque[tuple[HarpMessage, int]] = deque()
        self._events: list[Dated] = []
        self._steps: list[ClockStep] = []
        self._questions: deque[tuple[HarpMessage, int]] = deque()
        self._asked: tuple[HarpMessage, int, int] | None = None
        self._heard_at = self._heartbeat_at = monotonic_ns()
        self._until = math.inf

    def open(self, until: float) -> None:
        """Connect, identify the board, shut all valves, set up the board, and fit its clock.

        Args:
            until: Time at which to give up (s, monotonic).

        Raises:
            Refused: It is another board, or its port cannot be opened.
            PortLostError: The board does not answer.
        """
        self._reset()
        self._until = until
        self._port.open()
        self._identify(until)
        for request in (*self._model.setup, *self.more_setup):
            self.ask(request, tries=3)
        self.inputs = int(self.ask(HarpMessage(READ, INPUTS, U8), tries=3).values[0])
        for _ in range(_FIRST_EXCHANGES):
            self._exchange()
        self._until = math.inf

    def close(self) -> None:
        """Close the port. May be called twice, or without `open`."""
        self._port.close()

    def ask(self, request: HarpMessage, tries: int = 1) -> Dated:
        """Send a request and return its answer; each try waits up to 50 ms.

        Raises:
            PortLostError: No answer came.
            OSError: The board refuses the request.
        """
        asked = monotonic_ns()
        answer, received = self._ask(request, tries)
        self._date_events()  # before the answer is used, as it may show that the clock was set
        t = received
        if answer.device_ns is not None and self.clock.is_fitted:
            t = min(max(self.clock.host_ns(answer.device_ns), asked), received)
        return Dated(answer.address, answer.values, t)

    def events(self) -> list[Dated]:
        """Return the events since the last call, in order.

        Raises:
            PortLostError: The port is lost and all events were returned.
        """
        self._take()
        self._date_events()
        events, self._events = self._events, []
        return events

    def pop_clock_steps(self) -> list[ClockStep]:
        """Return the steps of the board's clock since the last call."""
        steps, self._steps = self._steps, []
        return steps

    def keep_alive(self) -> Residual | None:
        """Ask for the board's time if that is due; return the residual of the fit once a second.

        Raises:
            PortLostError: The board has been silent, was reset, or was replaced by another.
        """
        now = monotonic_ns()
        residual = self._take_sync_answer()
        if now - self._heard_at > _SILENT_NS:
            raise PortLostError(f"it has been silent for {(now - self._heard_at) // _MS} ms")
        if now - self._heartbeat_at > _NO_HEARTBEAT_NS:
            raise PortLostError("its heartbeat has stopped")
        if self._asked is None or now - self._asked[2] >= _SYNC_EVERY_NS:
            question, known = self._next_question()
            self._answers.pop((READ, question.address), None)
            self._port.send(build(question))
            self._asked = (question, known, now)
        return residual

    def _take_sync_answer(self) -> Residual | None:
        if self._asked is None:
            return None
        question, known, asked = self._asked
        found = self._answers.pop((READ, question.address), None)
        return None if found is None else self._learn(asked, *found, known)

    def _exchange(self) -> None:
        """Ask for the board's time now, and wait for the answer."""
        question, known = self._next_question()
        asked = monotonic_ns()
        self._learn(asked, *self._ask(question, tries=3), known)

    def _next_question(self) -> tuple[HarpMessage, int]:
        # Each question reads another register, so that a late answer to the question before is
        # not taken for the answer to this one.
        self._questions.rotate(-1)
        return self._questions[0]

    def _learn(self, asked: int, answer: HarpMessage, received: int, known: int) -> Residual | None:
        if answer.values != (known,):
            raise PortLostError(
                f"another board answers ({answer.values[0]} in register {answer.address})"
            )
        found = self.clock.add_exchange(asked, answer.device_ns or 0, received)
        if not isinstance(found, ClockStep):
            return found
        operation, _ = self._ask(HarpMessage(READ, OPERATION, U8), tries=3)
        if int(operation.values[0]) & MODE_MASK != ACTIVE:
            raise PortLostError("it was reset")
        self._steps.append(found)
        return None

    def _date_events(self) -> None:
        """Date the received events in the order in which the board sent them.

        If a stamp suggests that the clock was set, the board is asked for its time first.
        """
        while self._received and self.clock.is_fitted:
            event, received = self._received.popleft()
            device_ns = event.device_ns or 0
            if self.clock.needs_exchange(device_ns, received):
                for _ in range(_RESYNC_EXCHANGES):
                    self._exchange()
            t = self.clock.date_event(device_ns, received)
            if event.address not in (HEARTBEAT, SECONDS):
                self._events.append(Dated(event.address, event.values, t))

    def _identify(self, until: float) -> None:
        """Raise Refused if the connected board is not the one that the setup names."""
        model = self._model
        who_am_i = self._wait_until_awake(until)
        if who_am_i != model.who_am_i:
            raise Refused(
                f"its WhoAmI is {who_am_i}, but the setup expects {model.who_am_i}; connect the "
                "right board, or correct `model`"
            )
        if model.device_name:
            name = self.ask(HarpMessage(READ, DEVICE_NAME, U8), tries=3).values
            text = bytes(int(c) for c in name).rstrip(b"\0").decode("latin-1")
            if text != model.device_name:
                raise Refused(
                    f'its name is "{text}", but the setup expects "{model.device_name}"; connect '
                    "the right board, or flash our firmware"
                )
        high, low = (
            int(self.ask(HarpMessage(READ, address, U8), tries=3).values[0])
            for address in (FIRMWARE_HIGH, FIRMWARE_LOW)
        )
        if (high, low) < model.oldest:
            oldest = ".".join(map(str, model.oldest))
            raise Refused(f"its firmware {high}.{low} is older than {oldest}; flash a newer one")
        self._questions.extend(
            (
                (HarpMessage(READ, WHO_AM_I, U16), who_am_i),
                (HarpMessage(READ, FIRMWARE_HIGH, U8), high),
                (HarpMessage(READ, FIRMWARE_LOW, U8), low),
            )
        )

    def _wait_until_awake(self, until: float) -> int:
        """Ask for WhoAmI until the board answers, as opening the port resets some boards."""
        while True:
            try:
                return int(self.ask(HarpMessage(READ, WHO_AM_I, U16)).values[0])
            except PortLostError:
                if time.monotonic() > until:
                    raise PortLostError(
                        "it does not answer; check that it is a Harp board, that it has power, "
                        "and its cable"
                    ) from None

    def _ask(self, request: HarpMessage, tries: int) -> tuple[HarpMessage, int]:
        """Send a request; return the answer and the time of its arrival (ns)."""
        key = (request.kind, request.address)
        is_once = tries == 1 and request.kind != READ
        timeout_s = _ONCE_TIMEOUT_S if is_once else _ANSWER_TIMEOUT_S
        for _ in range(tries):
            self._answers.pop(key, None)
            self._port.send(build(request))
            until = min(time.monotonic() + timeout_s, self._until)
            while key not in self._answers and (left := until - time.monotonic()) > 0:
                self._port.wait(left)
                self._take()
            if key in self._answers:
                answer, received = self._answers.pop(key)
                if answer.error:
                    raise OSError(
                        f"the board refuses {request.values} in register {request.address}"
                    )
                return answer, received
        raise PortLostError(f"it does not answer a request for register {request.address}")

    def _take(self) -> None:
        """Sort the messages that have arrived into answers and events."""
        for received, data in self._port.take():
            for message in self._parser.feed(data):
                self._heard_at = received
                if message.kind != EVENT:
                    self._answers[(message.kind, message.address)] = (message, received)
                    continue
                if message.address in (HEARTBEAT, SECONDS):
                    self._heartbeat_at = received
                self._received.append((message, received))
