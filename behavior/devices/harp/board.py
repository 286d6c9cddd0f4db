"""A Harp board as a Board: what it says goes to its devices; if it is lost, it is looked for."""

import time
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from behavior.devices.clock_sync import DeviceClock
from behavior.devices.harp import models
from behavior.devices.harp.connection import Link
from behavior.devices.harp.inputs import Counter, Inputs
from behavior.devices.harp.messages import HarpMessage
from behavior.devices.harp.models import MODELS, STANDBY
from behavior.devices.harp.port import Port, PortLostError
from rig.clock import monotonic_ns
from rig.errors import Refused
from rig.messages import DeviceTime, Message, Start

_MS = 1_000_000
_WAKES_WITHIN_S = 3.0
"""Opening its port resets some boards, and a bootloader waits first."""
_LOOK_EVERY_S = 0.02
_RAN_ON_NS = 100 * _MS
"""A board whose clock is where it should be to so much was not reset in the meantime."""
_NO_WHEEL_NS = 250 * _MS


class BoardReturnedError(OSError):
    """The board was lost over a request, and is back."""


class Board:
    """A Harp board; times are of the session's clock, in ns.

    A board whose port is lost is looked for again for `reconnect_s`, while the driver waits;
    nothing is armed meanwhile. If it is not back by then, the driver ends.
    """

    simulated: ClassVar[bool] = False

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """Which board, and where: `port` is its name, `usb_serial` the number of its plug."""

        model: Literal["behavior", "rig-avr"]
        port: str = ""
        usb_serial: str = ""
        reconnect_s: Annotated[float, msgspec.Meta(ge=0, le=0.6)] = 0.6
        """With it a driver is not silent for the second after which it counts as hung."""

    def __init__(self, settings: Settings, name: str) -> None:
        if bool(settings.port) == bool(settings.usb_serial):
            where = f"[nodes.hardware.boards.{name}]"
            raise Refused(f'{where}: give `usb_serial` or `port`, as in usb_serial = "A50285BI"')
        self.settings = settings
        self.model = MODELS[settings.model]
        self.on_fired: Callable[[HarpMessage], None] | None = None
        self.on_return: Callable[[bool], None] | None = None
        """Told when a lost board is back: whether it ran on in the meantime."""
        self._name, self._who = name, f"board {name}"
        self._link = Link(self.model, Port(settings.port, settings.usb_serial))
        self._warnings: list[str] = []
        self._time: DeviceTime | None = None
        self._open = False
        self._zero = 0
        self._polled: int | None = None
        self.inputs = Inputs()
        self._wheel = Counter()
        self._turned = 0
        self._lost_changes = 0

    def open(self) -> None:
        try:
            self._link.open(time.monotonic() + _WAKES_WITHIN_S)
        except (OSError, Refused) as error:
            self._link.close()
            raise Refused(f"{self._who}: {error}") from error
        self._open = True
        self._begin()

    def handle(self, message: Message) -> None:
        if isinstance(message, Start) and self._open:
            self._zero = int(message.session.get("t0_ns", 0))
            self._dispatch()
            self._turned = self.session_now()
            self._warnings.clear()  # what was before the session does not belong to it
            self.inputs.begin(self._turned, self.inputs.state)

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            self._link.ask(self.model.setup[0], tries=3)
            self._link.ask(STANDBY, tries=3)
        except PortLostError:
            pass  # a board that is lost times its pulses itself, and our own disarms itself
        finally:
            self._link.close()

    def pop_warnings(self) -> list[str]:
        warnings, self._warnings = self._warnings, []
        return warnings

    def device_time(self) -> DeviceTime | None:
        told, self._time = self._time, None
        return told

    # -- for its devices -----------------------------------------------------------------------

    def counts(self, now: int) -> int:
        """Return the wheel's counts, as they are at now; raises OSError if it does not say them."""
        self.poll(now)
        silent_ns = self.session_now() - self._turned
        if silent_ns > _NO_WHEEL_NS:
            raise OSError(f"{self._who}: its wheel has been silent for {silent_ns // _MS} ms")
        return self._wheel.counts

    def poll(self, now: int) -> None:
        """Take what it said, once a tick. Raises OSError if it is lost for good."""
        if now == self._polled or not self._open:
            return
        self._polled = now
        try:
            self._dispatch()
            told = self._link.keep_alive()
        except PortLostError as lost:
            self._find_again(str(lost))
        else:
            if told is not None:
                t = told.host - self._zero
                self._time = DeviceTime(t, self._name, told.device, told.residual_ns)

    def ask(self, request: HarpMessage, tries: int = 1) -> HarpMessage:
        """Send a request; return its answer, after all that the board said before it.

        Raises BoardReturnedError if the board was lost over it and is back, set up as at the begin;
        OSError if it refuses, is lost, or was never opened. What may be sent again is tried again.
        """
        if not self._open:
            raise OSError(f"{self._who} is not open")
        try:
            answer = self._link.ask(request, tries)
            self._dispatch()
        except PortLostError as lost:
            if tries == 1:
                raise OSError(f"{self._who}: {lost}") from lost
            self._find_again(str(lost))
            raise BoardReturnedError(f"{self._who} was lost, and is back") from lost
        except OSError as error:
            raise OSError(f"{self._who}: {error}") from error
        return answer

    def ask_again(self, request: HarpMessage, tries: int) -> HarpMessage:
        """Ask; once more if the board was lost over it and is back."""
        try:
            return self.ask(request, tries)
        except BoardReturnedError:
            return self.ask(request, tries)

    def time_of(self, message: HarpMessage) -> int:
        """Return the session time (ns) of what the board stamped."""
        return self._link.clock.host_ns(message.device_ns or 0) - self._zero

    def session_now(self) -> int:
        """Return the session time (ns)."""
        return monotonic_ns() - self._zero

    @property
    def is_open(self) -> bool:
        return self._open

    # -- what it says --------------------------------------------------------------------------

    def _begin(self) -> None:
        """Start from where a board is that was just opened."""
        self._turned = self.session_now()
        self.inputs.begin(self._turned, self._link.inputs)
        self._wheel.begin()
        self._lost_changes = 0

    def _dispatch(self) -> None:
        for event in self._link.events():
            t = self.time_of(event)
            match event.address:
                case models.INPUTS:
                    self.inputs.change(t, int(event.values[0]))
                case models.WHEEL:
                    self._wheel.take(int(event.values[1]))
                    self._turned = self.session_now()
                case models.FIRED if self.on_fired is not None:
                    self.on_fired(event)
                case models.LOST:
                    lost, self._lost_changes = self._lost_changes, int(event.values[0])
                    self._remark(f"lost {self._lost_changes - lost} changes of its inputs")
                case models.SILENCED:
                    self._remark("heard nothing from the driver for 500 ms and disarmed itself")

    def _remark(self, what: str) -> None:
        self._warnings.append(f"{self._who} {what}")

    # -- when it is lost -----------------------------------------------------------------------

    def _find_again(self, reason: str) -> None:
        began = time.monotonic()
        before = self._link.clock
        until = began + self.settings.reconnect_s
        while time.monotonic() < until:
            self._link.close()
            try:
                self._link.open(until)
            except (OSError, Refused):
                time.sleep(_LOOK_EVERY_S)
                continue
            self._begin()
            gone_ms = 1000 * (time.monotonic() - began)
            self._remark(f"was lost for {gone_ms:.0f} ms ({reason}); the wheel stood meanwhile")
            if self.on_return is not None:
                self.on_return(self._ran_on(before))
            return
        self._link.close()
        self._open = False
        raise OSError(
            f"{self._who} is lost: {reason}; check its cable. It has shut its valves by itself"
        )

    def _ran_on(self, before: DeviceClock) -> bool:
        """Whether the board's clock is where the clock before the loss says it should be."""
        device = self._link.clock.latest
        off_ns = before.host_ns(device) - self._link.clock.host_ns(device)
        return abs(off_ns) < _RAN_ON_NS


def board_of(board: Any, name: str, there: str, number: int) -> Board:
    """Return the board of a device if it is one of these, and has so many of what is there.

    `there` is "spouts", "inputs" or "outputs". Raises Refused.
    """
    if not isinstance(board, Board):
        raise Refused(
            f'device {name}: it needs a board whose `is` is "behavior.devices.harp:Board"; '
            "name it with the key `board`"
        )
    has = getattr(board.model, there)
    if number >= has:
        raise Refused(
            f"device {name}: a {board.settings.model} has {has} {there}, counted from 0; "
            f"number {number} is none of them"
        )
    return board
