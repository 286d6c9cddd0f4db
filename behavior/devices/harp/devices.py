"""The devices on a Harp board: wheel, lick sensors, valves, lines, outputs, cameras.

docs/how-to/boards.md lists the pins.
"""

from typing import Annotated, Any, ClassVar

import msgspec

from behavior.devices.harp.board import Board, harp_board
from behavior.devices.harp.messages import U16
from behavior.devices.harp.models import (
    FIRST_OUTPUT_BIT,
    OUTPUT_CLEAR,
    OUTPUT_PULSE_MS,
    OUTPUT_SET,
    write,
)
from behavior.devices.harp.valves import ArmedValve, Valve
from behavior.devices.protocols import OutputSettings, TriggerLineSettings, WheelSettings
from rig.errors import Refused

__all__ = [
    "ArmedValve",
    "Board",
    "Camera",
    "Lick",
    "Line",
    "Output",
    "TriggerLine",
    "Valve",
    "Wheel",
]
_TRIES = 3


class _Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _Input(_Settings, frozen=True, kw_only=True):
    """`line` is an input line of the board, DI 0-3; the lines of the spouts come first."""

    line: Annotated[int, msgspec.Meta(ge=0, le=3)]


class Wheel:
    """The quadrature encoder, counted by the board."""

    simulated: ClassVar[bool] = False

    class Settings(WheelSettings, frozen=True, kw_only=True):
        """The calibration of the wheel."""

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._board = harp_board(board, name, "spouts", 0)

    def counts(self, now: int) -> int:
        return self._board.counts(now)


class Lick:
    """The lick sensor of a spout; high during a touch."""

    simulated: ClassVar[bool] = False

    class Settings(_Settings, frozen=True, kw_only=True):
        """`port` is the number of the spout on the board."""

        port: Annotated[int, msgspec.Meta(ge=0, le=2)] = 0

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._board = harp_board(board, name, "spouts", settings.port)
        self._edges = self._board.inputs.edges(settings.port)

    def onsets(self, now: int) -> list[int]:
        self._board.poll(now)
        return [t for t, up in self._edges.take(now) if up]

    def touched_since(self, now: int) -> int | None:
        return self._edges.up_since


class Line:
    """An input line."""

    simulated: ClassVar[bool] = False

    Settings = _Input

    def __init__(self, settings: _Input, name: str, board: Any) -> None:
        self.settings = settings
        self._board = harp_board(board, name, "inputs", settings.line)
        self._edges = self._board.inputs.edges(settings.line)

    def edges(self, now: int) -> list[tuple[int, bool]]:
        self._board.poll(now)
        return self._edges.take(now)


class Camera:
    """A camera's exposure line; each rise is one exposure."""

    simulated: ClassVar[bool] = False

    Settings = _Input

    def __init__(self, settings: _Input, name: str, board: Any) -> None:
        self._line = Line(settings, name, board)
        self.settings = settings
        self._count = 0

    def exposures(self, now: int) -> int:
        self._count += sum(up for _, up in self._line.edges(now))
        return self._count


class Output:
    """An output line."""

    simulated: ClassVar[bool] = False

    class Settings(OutputSettings, frozen=True, kw_only=True):
        """`line` is an output line of the board, DO 0-3."""

        line: Annotated[int, msgspec.Meta(ge=0, le=3)]

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._board = harp_board(board, name, "outputs", settings.line)
        self._bit = 1 << FIRST_OUTPUT_BIT + settings.line

    def set(self, now: int, up: bool) -> int:
        request = write(OUTPUT_SET if up else OUTPUT_CLEAR, U16, self._bit)
        return self._board.ask_again(request, _TRIES).t

    def close(self) -> None:
        if self._board.is_open:
            self._board.ask_again(write(OUTPUT_CLEAR, U16, self._bit), _TRIES)


class TriggerLine:
    """An output line of a Behavior board, which ends a pulse after whole milliseconds (rounded)."""

    simulated: ClassVar[bool] = False

    class Settings(TriggerLineSettings, frozen=True, kw_only=True):
        """`line` is an output line of the board, DO 0-3."""

        line: Annotated[int, msgspec.Meta(ge=0, le=3)]

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._board = harp_board(board, name, "outputs", settings.line)
        if OUTPUT_PULSE_MS not in self._board.model.registers:
            raise Refused(
                f"device {name}: {self._board.settings.model} cannot end a pulse of an output by "
                "itself; put the trigger line on another board"
            )
        self._bit = 1 << FIRST_OUTPUT_BIT + settings.line
        self._board.time_output(self._bit)

    def pulse(self, now: int, up_ms: float) -> int:
        whole_ms, register = max(1, round(up_ms)), OUTPUT_PULSE_MS + self.settings.line
        answer = self._board.ask_again(write(register, U16, whole_ms), _TRIES)
        if answer.values != (whole_ms,):
            raise OSError(
                f"the board has set a pulse of {answer.values} ms in place of {whole_ms} ms"
            )
        return self._board.ask(write(OUTPUT_SET, U16, self._bit)).t

    def end(self, now: int) -> int:
        return self._board.ask_again(write(OUTPUT_CLEAR, U16, self._bit), _TRIES).t

    def close(self) -> None:
        if self._board.is_open:
            self._board.ask_again(write(OUTPUT_CLEAR, U16, self._bit), _TRIES)
