"""The connection to one Harp board: questions and answers, events, its clock, and signs of life."""

import math
import time
from collections import deque

from behavior.devices.clock_sync import DeviceClock, Residual
from behavior.devices.harp.messages import EVENT, READ, U8, U16, HarpMessage, Parser, build
from behavior.devices.harp.models import (
    DEVICE_NAME,
    FIRMWARE_HIGH,
    FIRMWARE_LOW,
    HEARTBEAT,
    INPUTS,
    SECONDS,
    WHO_AM_I,
    Model,
)
from behavior.devices.harp.port import Port, PortLostError
from rig.clock import monotonic_ns
from rig.errors import Refused

_MS = 1_000_000
_ANSWERS_WITHIN_S = 0.05
_ASK_EVERY_NS = 100 * _MS
_SILENT_NS = 500 * _MS
_NO_BEAT_NS = 2_500 * _MS
_FIRST_QUESTIONS = 20


class Link:
    """One board, from the moment its port opens; times are the host's monotonic ones, in ns.

    It is asked ten times a second who it is. The answer's time feeds the clock, its content shows
    that it is still the same board, and the question tells the board that the driver lives.
    """

    def __init__(self, model: Model, port: Port) -> None:
        self._model, self._port = model, port
        self._begin()

    def _begin(self) -> None:
        self.clock = DeviceClock()
        self.inputs = 0
        """The state of its inputs when it was opened."""
        self._parser = Parser(self._model.registers)
        self._answers: dict[tuple[int, int], tuple[HarpMessage, int]] = {}
        self._events: deque[HarpMessage] = deque()
        self._questions: deque[tuple[HarpMessage, int]] = deque()
        self._asked: tuple[HarpMessage, int, int] | None = None
        self._received = self._beat = monotonic_ns()
        self._until = math.inf

    def open(self, until: float) -> None:
        """Connect, see who it is, shut and set up everything, learn its time.

        Gives up at `until` (s, monotonic). Raises Refused if it is the wrong board or cannot be
        had, PortLostError if it does not answer.
        """
        self._begin()
        self._until = until
        self._port.open()
        self._identify(until)
        for request in self._model.setup:
            self.ask(request, tries=3)
        self.inputs = int(self.ask(HarpMessage(READ, INPUTS, U8), tries=3).values[0])
        for _ in range(_FIRST_QUESTIONS):
            question, _ = self._questions[0]
            asked = monotonic_ns()
            answer, at = self._ask(question, tries=3)
            self.clock.add_exchange(asked, answer.device_ns or 0, at)
        self._until = math.inf

    def close(self) -> None:
        """Let go of the port; also if it was never opened, and more than once."""
        self._port.close()

    def ask(self, request: HarpMessage, tries: int = 1) -> HarpMessage:
        """Send a request and return its answer, within 50 ms a try.

        Raises PortLostError if none comes, OSError if the board refuses.
        """
        return self._ask(request, tries)[0]

    def events(self) -> list[HarpMessage]:
        """Return what it said of itself since the last call, in order. Raises PortLostError."""
        self._take()
        events = list(self._events)
        self._events.clear()
        return events

    def keep_alive(self) -> Residual | None:
        """Ask its time if that is due; once a second, return how well its clock was foretold.

        Raises PortLostError if it has been silent, was reset, or is another board by now.
        """
        now = monotonic_ns()
        told = self._learn()
        if now - self._received > _SILENT_NS:
            raise PortLostError(f"it has been silent for {(now - self._received) // _MS} ms")
        if now - self._beat > _NO_BEAT_NS:
            raise PortLostError("its heartbeat has stopped, as after a reset")
        if self._asked is None or now - self._asked[2] >= _ASK_EVERY_NS:
            # another question each time: a late answer to the one before is not mistaken for it
            self._questions.rotate(-1)
            question, known = self._questions[0]
            self._answers.pop((READ, question.address), None)
            self._port.send(build(question))
            self._asked = (question, known, now)
        return told

    def _learn(self) -> Residual | None:
        if self._asked is None:
            return None
        question, known, asked = self._asked
        found = self._answers.pop((READ, question.address), None)
        if found is None:
            return None
        answer, at = found
        if answer.values != (known,):
            raise PortLostError(f"another board answers: {answer.values} in {answer.address}")
        return self.clock.add_exchange(asked, answer.device_ns or 0, at)

    def _identify(self, until: float) -> None:
        """Raises Refused if it is not the board that the setup says."""
        who = self._until_awake(until)
        model = self._model
        if who != model.who_am_i:
            raise Refused(f"it is board {who}, and the setup expects {model.who_am_i}")
        if model.device_name:
            name = self.ask(HarpMessage(READ, DEVICE_NAME, U8), tries=3).values
            text = bytes(int(c) for c in name).rstrip(b"\0").decode("latin-1")
            if text != model.device_name:
                raise Refused(f'it is a board named "{text}", and the setup expects another')
        high, low = (
            int(self.ask(HarpMessage(READ, address, U8), tries=3).values[0])
            for address in (FIRMWARE_HIGH, FIRMWARE_LOW)
        )
        if (high, low) < model.oldest:
            oldest = ".".join(map(str, model.oldest))
            raise Refused(f"its firmware {high}.{low} is older than {oldest}; flash a newer one")
        self._questions.extend(
            (
                (HarpMessage(READ, WHO_AM_I, U16), who),
                (HarpMessage(READ, FIRMWARE_HIGH, U8), high),
                (HarpMessage(READ, FIRMWARE_LOW, U8), low),
            )
        )

    def _until_awake(self, until: float) -> int:
        """Ask who it is until it answers: opening a port resets some boards."""
        while True:
            try:
                return int(self.ask(HarpMessage(READ, WHO_AM_I, U16)).values[0])
            except PortLostError:
                if time.monotonic() > until:
                    raise PortLostError(
                        "it does not answer; is it a Harp board, and on? Check its cable"
                    ) from None

    def _ask(self, request: HarpMessage, tries: int) -> tuple[HarpMessage, int]:
        key = (request.kind, request.address)
        for _ in range(tries):
            self._answers.pop(key, None)
            self._port.send(build(request))
            until = min(time.monotonic() + _ANSWERS_WITHIN_S, self._until)
            while key not in self._answers and (left := until - time.monotonic()) > 0:
                self._port.wait(left)
                self._take()
            if key in self._answers:
                answer, at = self._answers.pop(key)
                if answer.error:
                    raise OSError(f"the board refuses {request.values} in {request.address}")
                return answer, at
        raise PortLostError(f"register {request.address} is not answered")

    def _take(self) -> None:
        for at, data in self._port.take():
            for message in self._parser.feed(data):
                self._received = at
                if message.kind != EVENT:
                    self._answers[(message.kind, message.address)] = (message, at)
                elif message.address in (HEARTBEAT, SECONDS):
                    self._beat = at
                else:
                    self._events.append(message)
