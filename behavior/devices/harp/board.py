"""The Board of a Harp board: passes events to its devices, and reconnects after a loss."""

import time
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from behavior.devices.clock_sync import DeviceClock
from behavior.devices.harp import models
from behavior.devices.harp.connection import Connection, Dated
from behavior.devices.harp.inputs import Counter, Inputs
from behavior.devices.harp.messages import U16, HarpMessage
from behavior.devices.harp.models import MODELS, PULSE_ENABLE, STANDBY
from behavior.devices.harp.port import Port, PortLostError
from rig.clock import monotonic_ns
from rig.errors import Refused
from rig.messages import DeviceTime, Message, Start

_MS = 1_000_000
_WAKES_WITHIN_S = 3.0
"""Longest wait for a board after its port was opened, s.

Opening the port resets some boards, and their bootloader waits before the firmware starts.
"""
_RETRY_EVERY_S = 0.02
_RAN_ON_NS = 100 * _MS
"""A board was not reset during a loss if its clock deviates by at most this from the fit, ns."""
_WHEEL_SILENT_NS = 250 * _MS


class BoardReturnedError(OSError):
    """Raised if the board was lost during a request and was reconnected."""


class Board:
    """A Harp board. Times are of the session clock, in ns.

    If its port is lost, the driver tries to reconnect for `reconnect_s`; nothing is armed during
    that time. If that fails, the driver ends.
    """

    simulated: ClassVar[bool] = False

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The model of the board, and its port: its name (`port`) or its USB serial number."""

        model: Literal["behavior", "rig-avr"]
        port: str = ""
        usb_serial: str = ""
        reconnect_s: Annotated[float, msgspec.Meta(ge=0, le=0.6)] = 0.6
        """How long to try to reconnect, s; after 1 s the driver would count as hung."""

    def __init__(self, settings: Settings, name: str) -> None:
        if bool(settings.port) == bool(settings.usb_serial):
            where = f"[nodes.hardware.boards.{name}]"
            raise Refused(
                f'{where}: give either usb_serial or port, for example usb_serial = "A50285BI"'
            )
        self.settings = settings
        self.model = MODELS[settings.model]
        self.on_fired: Callable[[Dated], None] | None = None
        """Called with the event of each reward that the board gave by itself."""
        self.on_return: Callable[[bool], None] | None = None
        """Called after a reconnection, with True if the board kept running in the meantime."""
        self.inputs = Inputs()
        self._name, self._label = name, f"board {name}"
        self._connection = Connection(self.model, Port(settings.port, settings.usb_serial))
        self._timed = models.TIMED_VALVES
        self._warnings: list[str] = []
        self._time: DeviceTime | None = None
        self._open = False
        self._zero = 0
        self._polled: int | None = None
        self._wheel = Counter()
        self._wheel_at = 0
        """Session time at which the last wheel event arrived, ns."""
        self._lost_changes = 0

    def open(self) -> None:
        try:
            self._connection.open(time.monotonic() + _WAKES_WITHIN_S)
        except (OSError, Refused) as error:
            self._connection.close()
            raise Refused(f"{self._label}: {error}") from error
        self._open = True
        self._reset_inputs()

    def handle(self, message: Message) -> None:
        if isinstance(message, Start) and self._open:
            self._zero = int(message.session.get("t0_ns", 0))
            self._dispatch()
            self._wheel_at = self.session_now()
            self._warnings.clear()  # these were from before the session
            self.inputs.reset(self._wheel_at, self.inputs.state)

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            self._connection.ask(self.model.setup[0], tries=3)
            self._connection.ask(STANDBY, tries=3)
        except PortLostError:
            pass  # a lost board ends its pulses, and our own board also disarms its valve
        finally:
            self._connection.close()

    def pop_warnings(self) -> list[str]:
        warnings, self._warnings = self._warnings, []
        return warnings

    def device_time(self) -> DeviceTime | None:
        device_time, self._time = self._time, None
        return device_time

    # -- for its devices -----------------------------------------------------------------------

    def time_output(self, bit: int) -> None:
        """Let the board itself end the pulses of an output, as it does for the valves."""
        self._timed |= bit
        self._connection.more_setup = [models.write(PULSE_ENABLE, U16, self._timed)]

    def counts(self, now: int) -> int:
        """Return the wheel's counts. Raises OSError if the board does not send them."""
        self.poll(now)
        silent_ns = self.session_now() - self._wheel_at
        if silent_ns > _WHEEL_SILENT_NS:
            raise OSError(
                f"{self._label}: it has sent no wheel position for {silent_ns // _MS} ms; check "
                "its firmware"
            )
        return self._wheel.counts

    def poll(self, now: int) -> None:
        """Read the board, once a tick. Raises OSError if it is lost for good."""
        if now == self._polled or not self._open:
            return
        self._polled = now
        try:
            self._dispatch()
            residual = self._connection.keep_alive()
        except PortLostError as lost:
            self._reconnect(str(lost))
            return
        for step in self._connection.pop_clock_steps():
            self._warnings.append(step.describe(self._label))
        if residual is not None:
            t = residual.host - self._zero
            self._time = DeviceTime(t, self._name, residual.device, residual.residual_ns)

    def ask(self, request: HarpMessage, tries: int = 1) -> Dated:
        """Send a request and return its answer, after all events that came before it.

        Args:
            request: The request.
            tries: How often the request may be sent; 1 unless repeating it is safe.

        Raises:
            BoardReturnedError: The board was lost during the request, and was reconnected.
            OSError: The board refuses the request, is lost, or was never opened.
        """
        if not self._open:
            raise OSError(f"{self._label} is not open")
        try:
            answer = self._connection.ask(request, tries)
            self._dispatch()
        except PortLostError as lost:
            if tries == 1:
                raise OSError(f"{self._label}: {lost}") from lost
            self._reconnect(str(lost))
            raise BoardReturnedError(f"{self._label} was lost and reconnected") from lost
        except OSError as error:
            raise OSError(f"{self._label}: {error}") from error
        return answer._replace(t=answer.t - self._zero)

    def ask_again(self, request: HarpMessage, tries: int) -> Dated:
        """Send a request as `ask` does; send it again if the board was lost and reconnected."""
        try:
            return self.ask(request, tries)
        except BoardReturnedError:
            return self.ask(request, tries)

    def session_now(self) -> int:
        """Return the current session time (ns)."""
        return monotonic_ns() - self._zero

    @property
    def is_open(self) -> bool:
        return self._open

    # -- its events ----------------------------------------------------------------------------

    def _reset_inputs(self) -> None:
        """Set all inputs to the state that the board had when it was opened."""
        self._wheel_at = self.session_now()
        self.inputs.reset(self._wheel_at, self._connection.inputs)
        self._wheel.restart()
        self._lost_changes = 0

    def _dispatch(self) -> None:
        for raw in self._connection.events():
            event = raw._replace(t=raw.t - self._zero)
            match event.address:
                case models.INPUTS:
                    self.inputs.update(event.t, int(event.values[0]))
                case models.WHEEL:
                    self._wheel.update(int(event.values[1]))
                    self._wheel_at = self.session_now()
                case models.FIRED if self.on_fired is not None:
                    self.on_fired(event)
                case models.LOST:
                    lost, self._lost_changes = self._lost_changes, int(event.values[0])
                    self._warn(f"lost {self._lost_changes - lost} changes of its inputs")
                case models.SILENCED:
                    self._warn("received nothing from the driver for 500 ms and disarmed itself")

    def _warn(self, text: str) -> None:
        self._warnings.append(f"{self._label} {text}")

    # -- when it is lost -----------------------------------------------------------------------

    def _reconnect(self, reason: str) -> None:
        began = time.monotonic()
        before = self._connection.clock
        until = began + self.settings.reconnect_s
        while time.monotonic() < until:
            self._connection.close()
            try:
                self._connection.open(until)
            except (OSError, Refused):
                time.sleep(_RETRY_EVERY_S)
                continue
            self._reset_inputs()
            gone_ms = 1000 * (time.monotonic() - began)
            self._warn(
                f"was lost for {gone_ms:.0f} ms ({reason}) and reconnected; licks and wheel "
                "movement during that time are missing"
            )
            if self.on_return is not None:
                self.on_return(self._ran_on(before))
            return
        self._connection.close()
        self._open = False
        raise OSError(
            f"{self._label} is lost: {reason}; check its cable. It shuts its valves by itself"
        )

    def _ran_on(self, before: DeviceClock) -> bool:
        """Return True if the board's clock has the time that the fit before the loss predicts."""
        device = self._connection.clock.latest
        off_ns = before.host_ns(device) - self._connection.clock.host_ns(device)
        return abs(off_ns) < _RAN_ON_NS


def harp_board(board: Any, name: str, kind: str, number: int) -> Board:
    """Return the board of a device.

    Args:
        board: The board that was passed to the device.
        name: The device's name.
        kind: What the device is wired to: "spouts", "inputs" or "outputs".
        number: Number of the spout or line, from 0.

    Raises:
        Refused: The board is not a Harp board, or it has no such spout or line.
    """
    if not isinstance(board, Board):
        raise Refused(
            f'device {name} needs a board with is = "behavior.devices.harp:Board"; name it with '
            "the key `board`"
        )
    available = getattr(board.model, kind)
    if number >= available:
        raise Refused(
            f"device {name}: {board.settings.model} has {available} {kind}, numbered from 0; "
            f"choose another number than {number}"
        )
    return board
