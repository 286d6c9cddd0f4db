"""Scripted devices: licks at given times, stuck and failing devices."""

from datetime import date
from typing import Annotated, Any, ClassVar

import msgspec

from behavior.devices.protocols import ValveSettings, WheelSettings
from rig.errors import Refused
from rig.messages import DeviceTime, Message


class Board:
    """Records what it receives; may refuse to open and fail to close."""

    simulated: ClassVar[bool] = False

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        opens: bool = True
        closes: bool = True
        wired_ms: float | None = None
        """Delay of the loopback from the valve's line to the lick line, ms; None without one."""
        turning: int = 0
        """Counts by which the wheel turns at each reading."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings = settings
        self.handled: list[Message] = []
        self.opened = self.closed = 0
        self.failing = False
        self.polled: int | None = None
        self.counts = 100
        self.licks: list[int] = []
        self.touched_since: int | None = None
        self.to_publish: list[str] = []
        self.acts: list[str] = []
        self.times: list[DeviceTime] = []

    def open(self) -> None:
        if not self.settings.opens:
            raise Refused("the board is not plugged in; plug it in")
        self.opened += 1

    def handle(self, message: Message) -> None:
        self.handled.append(message)

    def poll(self, now: int) -> None:
        self.polled = now

    def pop_warnings(self) -> list[str]:
        messages, self.to_publish = self.to_publish, []
        return messages

    def device_time(self) -> DeviceTime | None:
        return self.times.pop() if self.times else None

    def close(self) -> None:
        self.acts.append("board closed")
        if not self.settings.closes:
            raise OSError("the board is gone")


class Wheel:
    """Has the board's counts; fails if the board is failing."""

    simulated: ClassVar[bool] = False

    class Settings(WheelSettings, frozen=True, kw_only=True):
        cm_per_count: Annotated[float, msgspec.Meta(gt=0)] = 0.5
        calibrated: str = date.today().isoformat()

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings, self._board = settings, board

    def counts(self, now: int) -> int:
        if self._board.failing:
            raise OSError("the encoder does not answer")
        self._board.counts += self._board.settings.turning
        return int(self._board.counts)


class Ball(Wheel):
    """Turns forward and sideways by the same counts."""

    class Settings(Wheel.Settings, frozen=True, kw_only=True):
        cm_per_count: Annotated[float, msgspec.Meta(ge=-1, le=1)]
        side_cm_per_count: float

    def side_counts(self, now: int) -> int:
        return self.counts(now)


class Lick:
    """Returns the board's licks, each once."""

    simulated: ClassVar[bool] = False

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        pass

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings, self._board = settings, board

    def onsets(self, now: int) -> list[int]:
        onsets = [t for t in self._board.licks if t <= now]
        self._board.licks = [t for t in self._board.licks if t > now]
        return onsets

    def touched_since(self, now: int) -> int | None:
        since: int | None = self._board.touched_since
        return since


class Valve:
    """Records its pulses in the board; opens a little late."""

    simulated: ClassVar[bool] = False

    class Settings(ValveSettings, frozen=True, kw_only=True):
        ul_per_ms: Annotated[float, msgspec.Meta(gt=0)] = 0.05
        calibrated: str = date.today().isoformat()
        late_ns: int = 7
        closes: bool = True

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings, self._name, self._board = settings, name, board

    def pulse(self, now: int, open_ms: float) -> int:
        self._board.acts.append(f"{self._name} {open_ms:g} ms")
        wired_ms = self._board.settings.wired_ms
        if wired_ms is not None:
            self._board.licks.append(now + round(wired_ms * 1e6))
        return now + self.settings.late_ns

    def close(self) -> None:
        self._board.acts.append(f"{self._name} shut")
        if not self.settings.closes:
            raise OSError("the valve is gone")


class Mouse:
    """A scripted mouse for the simulated board."""

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        pass

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.turned = 0
        self.tongue: list[int] = []
        """Future lick onsets."""

    def open(self) -> None:
        pass

    def handle(self, message: Message) -> None:
        pass

    def counts(self, now: int) -> int:
        return self.turned

    def licks(self, now: int) -> list[int]:
        due = [t for t in self.tongue if t <= now]
        self.tongue = [t for t in self.tongue if t > now]
        return due
