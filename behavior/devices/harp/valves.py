"""The valves of Harp boards: one that the board times, one whose firmware holds armed rewards."""

import math
from contextlib import suppress
from typing import Annotated, Any, ClassVar

import msgspec

from behavior.devices.harp.board import Board, BoardReturnedError, board_of
from behavior.devices.harp.messages import READ, U16, HarpMessage
from behavior.devices.harp.models import (
    ARMED,
    FIRST_VALVE_BIT,
    OUTPUT_CLEAR,
    OUTPUT_SET,
    PULSE,
    PULSE_MS,
    write,
)
from behavior.devices.protocols import Fired, ValveSettings
from rig.errors import Refused

_MS = 1_000_000
_TICK_NS = 4_000
_HOLD_MS = 500
"""For how long the board holds a reward that the driver does not renew."""
_RENEW_NS = 300 * _MS
"""With less than so much left it is renewed."""
_TRIES = 3


class _Spout(ValveSettings, frozen=True, kw_only=True):
    """`port` is the spout's number on the board; the calibration of the valve stands beside it."""

    port: Annotated[int, msgspec.Meta(ge=0, le=2)] = 0


def _valve_board(board: Any, name: str, port: int, holds: bool) -> Board:
    """Return the board of a valve. Raises Refused if its valves are not of that kind."""
    found = board_of(board, name, "spouts", port)
    if found.model.holds_rewards != holds:
        kind = "Valve" if holds else "ArmedValve"
        raise Refused(
            f"device {name}: the valve of a {found.settings.model} is a {kind}; "
            f'give is = "behavior.devices.harp:{kind}"'
        )
    return found


class Valve:
    """A valve of a Behavior board, which shuts it after whole milliseconds (rounded)."""

    simulated: ClassVar[bool] = False

    Settings = _Spout

    def __init__(self, settings: _Spout, name: str, board: Any) -> None:
        self.settings = settings
        self._board = _valve_board(board, name, settings.port, holds=False)
        self._bit = 1 << FIRST_VALVE_BIT + settings.port

    def pulse(self, now: int, open_ms: float) -> int:
        whole_ms = max(1, round(open_ms))
        answer = self._board.ask_again(write(PULSE_MS + self.settings.port, U16, whole_ms), _TRIES)
        if answer.values != (whole_ms,):
            raise OSError(f"the board would open for {answer.values}, not for {whole_ms} ms")
        return self._board.time_of(self._board.ask(write(OUTPUT_SET, U16, self._bit)))

    def close(self) -> None:
        if self._board.is_open:
            self._board.ask_again(write(OUTPUT_CLEAR, U16, self._bit), _TRIES)


class ArmedValve:
    """The valve of our own firmware, which can hold a reward, and opens in steps of 4 us.

    The board holds it for half a second at a time; here it is renewed for as long as it is wanted
    and the driver lives.
    """

    simulated: ClassVar[bool] = False

    Settings = _Spout

    def __init__(self, settings: _Spout, name: str, board: Any) -> None:
        self.settings = settings
        self._board = _valve_board(board, name, settings.port, holds=True)
        self._board.on_fired = self._on_fired
        self._board.on_return = self._on_return
        self._request = 0
        self._ticks = 0
        """Of the reward that is armed; 0 if none is."""
        self._armed = self._until = self._held = 0
        self._fired: Fired | None = None

    def pulse(self, now: int, open_ms: float) -> int:
        return self._board.time_of(self._board.ask(write(PULSE, U16, _ticks(open_ms))))

    def arm(self, now: int, open_ms: float, until: int) -> None:
        if self._request == 0:  # the board may remember a wish of another session
            self._request = int(
                self._board.ask_again(HarpMessage(READ, ARMED, U16), _TRIES).values[0]
            )
        self._request = self._request % 0xFFFF + 1
        self._fired = None
        self._ticks = _ticks(open_ms)
        self._armed, self._until = now, until
        self._renew(now)

    def keep(self, until: int) -> None:
        self._until = until

    def fired(self, now: int) -> Fired | None:
        self._board.poll(now)
        if self._ticks and now >= self._until:
            self._disarm()
        elif self._ticks and self._held < self._until and self._held - now < _RENEW_NS:
            self._renew(now)
        if self._fired is not None and self._fired.lick_t > now:
            return None  # its lick is to be told in the same tick
        fired, self._fired = self._fired, None
        return fired

    def disarm(self, now: int) -> Fired | None:
        if self._ticks:
            self._disarm()
        fired, self._fired = self._fired, None
        return fired

    def close(self) -> None:
        if self._board.is_open:
            self._board.ask_again(write(ARMED, U16, 0, 0, 0), _TRIES)
            self._board.ask_again(write(OUTPUT_CLEAR, U16, 1 << FIRST_VALVE_BIT), _TRIES)

    def _renew(self, now: int) -> None:
        hold_ms = min(_HOLD_MS, math.ceil((self._until - now) / _MS))
        if hold_ms > 0:
            self._held = now + hold_ms * _MS
            request = write(ARMED, U16, self._request, self._ticks, hold_ms)
            with suppress(BoardReturnedError):  # what is still armed then, the next tick renews
                self._settle(self._board.ask(request, _TRIES))

    def _disarm(self) -> None:
        try:
            answer = self._board.ask(write(ARMED, U16, self._request, 0, 0), _TRIES)
        except BoardReturnedError:  # which disarmed it
            answer = self._board.ask_again(HarpMessage(READ, ARMED, U16), _TRIES)
        self._settle(answer)
        self._ticks = 0

    def _settle(self, answer: HarpMessage) -> None:
        """See by the board's answer whether it fired and its word for that was damaged."""
        if self._ticks and answer.values[0] == self._request:
            t = self._board.inputs.rose(self.settings.port, self._armed)
            if t is None:  # the word of the lick was damaged, too
                t = self._board.time_of(answer)
            self._opened(Fired(t, t, self._ticks * _TICK_NS / _MS))

    def _on_fired(self, event: HarpMessage) -> None:
        request, ticks, delay = (int(value) for value in event.values)
        if self._ticks and request == self._request:
            lick_t = self._board.time_of(event)
            self._opened(Fired(lick_t, lick_t + delay * _TICK_NS, ticks * _TICK_NS / _MS))

    def _on_return(self, ran_on: bool) -> None:
        """A board that was reset may have fired before, which nobody can know: it counts."""
        if self._ticks and not ran_on:
            t = self._board.session_now()
            self._opened(Fired(t, t, self._ticks * _TICK_NS / _MS))
        self._held = 0

    def _opened(self, fired: Fired) -> None:
        self._fired, self._ticks = fired, 0


def _ticks(open_ms: float) -> int:
    return max(1, round(open_ms * _MS / _TICK_NS))
