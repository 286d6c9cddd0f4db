"""Valves of Harp boards: a valve timed by the board, and one that our firmware opens at a lick."""

import math
from contextlib import suppress
from typing import Annotated, Any, ClassVar

import msgspec

from behavior.devices.harp.board import Board, BoardReturnedError, harp_board
from behavior.devices.harp.connection import Dated
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
"""Resolution of our firmware's timer, ns."""
_HOLD_MS = 500
"""How long the board keeps a reward armed without renewal, ms."""
_RENEW_NS = 300 * _MS
"""The armed reward is renewed when less than this time is left, ns."""
_TRIES = 3


class _Spout(ValveSettings, frozen=True, kw_only=True):
    """`port` is the number of the spout on the board; the rest is the valve's calibration."""

    port: Annotated[int, msgspec.Meta(ge=0, le=2)] = 0


def _valve_board(board: Any, name: str, port: int, armed: bool) -> Board:
    """Return the board of a valve. Raises Refused if its `arms_rewards` is not `armed`."""
    found = harp_board(board, name, "spouts", port)
    if found.model.arms_rewards != armed:
        kind = "Valve" if armed else "ArmedValve"
        raise Refused(
            f"device {name}: {found.settings.model} needs a valve with "
            f'is = "behavior.devices.harp:{kind}"'
        )
    return found


class Valve:
    """A valve of a Behavior board, which shuts it after whole milliseconds (rounded)."""

    simulated: ClassVar[bool] = False

    Settings = _Spout

    def __init__(self, settings: _Spout, name: str, board: Any) -> None:
        self.settings = settings
        self._board = _valve_board(board, name, settings.port, armed=False)
        self._bit = 1 << FIRST_VALVE_BIT + settings.port

    def pulse(self, now: int, open_ms: float) -> int:
        whole_ms = max(1, round(open_ms))
        answer = self._board.ask_again(write(PULSE_MS + self.settings.port, U16, whole_ms), _TRIES)
        if answer.values != (whole_ms,):
            raise OSError(
                f"the board has set a pulse of {answer.values} ms in place of {whole_ms} ms"
            )
        return self._board.ask(write(OUTPUT_SET, U16, self._bit)).t

    def close(self) -> None:
        if self._board.is_open:
            self._board.ask_again(write(OUTPUT_CLEAR, U16, self._bit), _TRIES)


class ArmedValve:
    """The valve of our own firmware, which can be armed, and opens in steps of 4 us.

    The board keeps a reward armed for at most half a second. The driver renews it as long as it is
    needed, so that the board disarms the valve if the driver dies.

    Each armed reward has a request number, which the board repeats in its answers and events. A
    request that has fired never arms again, so that a late renewal cannot give a second reward.
    """

    simulated: ClassVar[bool] = False

    Settings = _Spout

    def __init__(self, settings: _Spout, name: str, board: Any) -> None:
        self.settings = settings
        self._board = _valve_board(board, name, settings.port, armed=True)
        self._board.on_fired = self._on_fired
        self._board.on_return = self._on_return
        self._request = 0
        """Number of the last armed reward; 0 before the first."""
        self._ticks = 0
        """Pulse length of the armed reward, in ticks of 4 us; 0 if none is armed."""
        self._armed_at = self._until = self._held_until = 0
        self._fired: Fired | None = None

    def pulse(self, now: int, open_ms: float) -> int:
        return self._board.ask(write(PULSE, U16, _ticks(open_ms))).t

    def arm(self, now: int, open_ms: float, until: int) -> None:
        if self._request == 0:  # the board may remember a request of another session
            self._request = int(
                self._board.ask_again(HarpMessage(READ, ARMED, U16), _TRIES).values[0]
            )
        self._request = self._request % 0xFFFF + 1
        self._fired = None
        self._ticks = _ticks(open_ms)
        self._armed_at, self._until = now, until
        self._renew(now)

    def keep(self, until: int) -> None:
        self._until = until

    def fired(self, now: int) -> Fired | None:
        self._board.poll(now)
        if self._ticks and now >= self._until:
            self._disarm()
        elif self._ticks and self._held_until < self._until and self._held_until - now < _RENEW_NS:
            self._renew(now)
        if self._fired is not None and self._fired.lick_t > now:
            return None  # report it in the same tick as its lick
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
            self._held_until = now + hold_ms * _MS
            request = write(ARMED, U16, self._request, self._ticks, hold_ms)
            with suppress(BoardReturnedError):  # the next tick renews it if it is still armed
                self._check_fired(self._board.ask(request, _TRIES))

    def _disarm(self) -> None:
        try:
            answer = self._board.ask(write(ARMED, U16, self._request, 0, 0), _TRIES)
        except BoardReturnedError:  # reconnecting has disarmed it
            answer = self._board.ask_again(HarpMessage(READ, ARMED, U16), _TRIES)
        self._check_fired(answer)
        self._ticks = 0

    def _check_fired(self, answer: Dated) -> None:
        """Check in an answer whether the valve has fired, in case the event of it was damaged."""
        if self._ticks and answer.values[0] == self._request:
            t = self._board.inputs.rose(self.settings.port, self._armed_at)
            if t is None:  # the event of the lick was damaged too
                t = answer.t
            self._set_fired(Fired(t, t, self._ticks * _TICK_NS / _MS))

    def _on_fired(self, event: Dated) -> None:
        request, ticks, delay = (int(value) for value in event.values)
        if self._ticks and request == self._request:
            opened_t = event.t + delay * _TICK_NS
            self._set_fired(Fired(event.t, opened_t, ticks * _TICK_NS / _MS))

    def _on_return(self, ran_on: bool) -> None:
        """Count the armed reward as given if the board was reset, because it may have fired."""
        if self._ticks and not ran_on:
            t = self._board.session_now()
            self._set_fired(Fired(t, t, self._ticks * _TICK_NS / _MS))
        self._held_until = 0

    def _set_fired(self, fired: Fired) -> None:
        self._fired, self._ticks = fired, 0


def _ticks(open_ms: float) -> int:
    return max(1, round(open_ms * _MS / _TICK_NS))
