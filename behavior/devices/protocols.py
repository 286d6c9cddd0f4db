"""The Protocols of devices, real or simulated: one for each kind of device.

A device is created by `Class(settings, name, board)`: its own Settings, its name in the setup, and
the board that its table names, or None. Creating a device opens nothing. All times are ns of the
session clock. A method raises OSError if the device does not answer; it never returns an old value
instead.
"""

from datetime import date
from typing import Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

import msgspec

from rig.messages import DeviceTime, Message

UL_PER_MG = 1.0
"""Volume of water at room temperature, ul/mg (exact to 0.3 %)."""


class Weighing(msgspec.Struct, frozen=True):
    """A series of pulses of one length, and the mass of the water that they delivered."""

    open_ms: float
    pulses: int
    mass_mg: float

    @property
    def ul_each(self) -> float:
        """Mean volume of a pulse, microlitres."""
        return self.mass_mg * UL_PER_MG / self.pulses


class Device(Protocol):
    """The attributes of all devices."""

    simulated: ClassVar[bool]
    """True if no real animal may run on the device. Each class declares this itself."""
    settings: Any
    """The device's table in the setup, typed, with every default filled in."""


class Board(Device, Protocol):
    """Hardware that several devices share: an NI card, a serial board, a simulated mouse."""

    def open(self) -> None:
        """Open the board with all valves shut. Raises Refused if that is not possible."""

    def handle(self, message: Message) -> None:
        """Handle a message that the driver received, or the Valve message that it published."""

    def poll(self, now: int) -> None:
        """Read the board, once per `now`; this also shows the board that the driver is alive."""

    def pop_warnings(self) -> list[str]:
        """Return the new warnings for the operator, one sentence each."""

    def close(self) -> None:
        """Shut all valves and release the board. May be called twice, or without `open`."""


@runtime_checkable
class TimedBoard(Board, Protocol):
    """A board with its own clock, which is fitted to the session clock."""

    def device_time(self) -> DeviceTime | None:
        """Return the times of both clocks at one moment, once a second; None in between."""


_SMALLEST_CM_PER_COUNT = 0.0003
"""Shortest usual distance per count, cm: that of a sensor with 8,000 counts per inch."""


class WheelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The calibration of a wheel: the keys of every wheel's table, in addition to its wiring."""

    cm_per_count: Annotated[float, msgspec.Meta(ge=-1, le=1)]
    """Distance per count, cm; negative if the counts decrease when the animal runs forward."""
    calibrated: str = ""
    """Day of the calibration, YYYY-MM-DD."""

    def __post_init__(self) -> None:
        """Raise ValueError for a wheel that would never move, or an invalid date."""
        if not self.cm_per_count:
            raise ValueError("cm_per_count is 0; measure it: rig calibrate wheel")
        date.fromisoformat(self.calibrated or "2000-01-01")

    def warning(self) -> str | None:
        """Return a sentence if the calibration is probably in another unit; otherwise None."""
        cm = abs(self.cm_per_count)
        if cm >= _SMALLEST_CM_PER_COUNT:
            return None
        return (
            f"wheel.cm_per_count = {self.cm_per_count:g} is unusual (0.0003 to 1 cm); if you mean "
            f"m, write {self.cm_per_count * 100:g}"
        )


class Wheel(Device, Protocol):
    """The ball or wheel under the mouse. Its settings are WheelSettings."""

    def counts(self, now: int) -> int:
        """Return the counts so far."""


class BallSettings(WheelSettings, frozen=True, kw_only=True):
    """The keys of every ball's table: those of a wheel, and the calibration of the other axis."""

    side_cm_per_count: Annotated[float, msgspec.Meta(ge=-1, le=1)]
    """Distance per sideways count, cm; negative if counts decrease when the animal moves right."""


@runtime_checkable
class Ball(Wheel, Protocol):
    """A ball whose sensor measures both axes. Its settings are BallSettings."""

    def side_counts(self, now: int) -> int:
        """Return the sideways counts so far."""


class Lick(Device, Protocol):
    """The lick sensor of a spout."""

    def onsets(self, now: int) -> list[int]:
        """Return the onsets (ns) after the last call, up to `now`, in order."""

    def touched_since(self, now: int) -> int | None:
        """Return the time (ns) at which the current touch began, or None without a touch."""


class ValveSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The calibration of a valve: the keys of every valve's table, in addition to its wiring."""

    ul_per_ms: Annotated[float, msgspec.Meta(gt=0, le=10)]
    """Flow while the valve is open, ul/ms."""
    dead_ms: Annotated[float, msgspec.Meta(ge=0, le=100)] = 0.0
    """Time from the start of a pulse until water flows, ms."""
    calibrated: str = ""
    """Day of the calibration, YYYY-MM-DD; required for a real valve."""
    weighed: list[Weighing] = msgspec.field(default_factory=list)
    """The weighed series to which flow and dead time were fitted."""

    def open_ms(self, volume_ul: float) -> float:
        """Return the length (ms) of a pulse that delivers volume_ul."""
        return volume_ul / self.ul_per_ms + self.dead_ms


class Valve(Device, Protocol):
    """The water valve of a spout. Its settings are ValveSettings."""

    def pulse(self, now: int, open_ms: float) -> int:
        """Open for open_ms; return the time of opening (ns). The device itself ends the pulse."""

    def close(self) -> None:
        """Shut the valve, even during a pulse, and even if its board was never opened."""


class Fired(msgspec.Struct, frozen=True):
    """A reward that an armed valve gave by itself: its lick and opening (ns), its length (ms)."""

    lick_t: int
    opened_t: int
    open_ms: float


@runtime_checkable
class ArmedValve(Valve, Protocol):
    """A valve whose device watches the spout's lick sensor and can give a reward by itself.

    The driver arms it only with a pulse that the guard has reserved, one at a time, and disarms it
    before it asks for any other pulse.
    """

    def arm(self, now: int, open_ms: float, until: int) -> None:
        """Open once, for open_ms, at the first lick between now and until (ns)."""

    def keep(self, until: int) -> None:
        """Change the time (ns) until which the valve stays armed."""

    def fired(self, now: int) -> Fired | None:
        """Return the reward that the valve gave since it was armed, once; None without a reward."""

    def disarm(self, now: int) -> Fired | None:
        """Disarm the valve; return the reward that it gave before, or None."""


class Line(Device, Protocol):
    """A digital input line."""

    def edges(self, now: int) -> list[tuple[int, bool]]:
        """Return (t, up) of each change after the last call, up to `now`, in order."""


class OutputSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of every output's table, in addition to its wiring."""

    on: Literal["session", "trial", "cue", "reward", "imaging"]
    """When the output is up: during the session, each trial, each cue, each reward, or while the
    microscope should scan."""
    pulse_ms: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 0.0
    """Length of the pulse, ms; 0: up as long as the event lasts."""
    sounds_cue: bool = False
    """True if a sounder on this line makes the cue audible; needs on = "cue"."""


class Output(Device, Protocol):
    """A digital output line. Its settings are OutputSettings."""

    def set(self, now: int, up: bool) -> int:
        """Raise or lower the output; return the time of the change (ns)."""

    def close(self) -> None:
        """Lower the output, even if its board was never opened."""


class TriggerLineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of every trigger line's table, in addition to its wiring."""

    longest_ms: Annotated[float, msgspec.Meta(ge=1, le=60_000)] = 1000.0
    """Longest time for which a trigger may keep the line up, ms."""


class TriggerLine(Device, Protocol):
    """A digital output line for the closed loop. Its settings are TriggerLineSettings."""

    def pulse(self, now: int, up_ms: float) -> int:
        """Raise the line for up_ms; return the time of rising (ns). The device itself lowers it."""

    def end(self, now: int) -> int:
        """Lower the line before the end of its pulse; return the time of lowering (ns)."""

    def close(self) -> None:
        """Lower the line, even during a pulse, and even if its board was never opened."""


class Camera(Device, Protocol):
    """A camera that films the animal; the device counts the pulses of its exposure line."""

    def exposures(self, now: int) -> int:
        """Return the number of exposures that have begun since the board was opened."""
