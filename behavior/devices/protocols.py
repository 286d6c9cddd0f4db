"""What the driver asks of a device, real or simulated: one small Protocol a kind.

A device is made by `Class(settings, name, board)`: its own Settings, its name in the setup, and the
board that its table names, or None; making it opens nothing. All times are ns of the session clock.
A device that does not answer raises; it never hands out an old value as a new one.
"""

from datetime import date
from typing import Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

import msgspec

from rig.messages import DeviceTime, Message

UL_PER_MG = 1.0
"""Of water at room temperature, to 0.3 %."""


class Weighing(msgspec.Struct, frozen=True):
    """One series of pulses of one length, and what came out of the spout."""

    open_ms: float
    pulses: int
    mass_mg: float

    @property
    def ul_each(self) -> float:
        """The mean volume of a pulse."""
        return self.mass_mg * UL_PER_MG / self.pulses


class Device(Protocol):
    """What all devices have."""

    simulated: ClassVar[bool]
    """True if no real animal may run on it. Each class declares this itself."""
    settings: Any
    """Its table in the setup, typed, with every default filled in."""


class Board(Device, Protocol):
    """What devices share: a card, a serial board, a simulated mouse."""

    def open(self) -> None:
        """Take hold of it, all valves shut. Raises Refused if it cannot be had."""

    def handle(self, message: Message) -> None:
        """Take a word that the driver heard, or the Valve that it said."""

    def poll(self, now: int) -> None:
        """Look at it, once for each now: it then knows that the driver lives."""

    def pop_warnings(self) -> list[str]:
        """Return what the person at the rig is to know, a sentence each, each once."""

    def close(self) -> None:
        """Let go, all valves shut; also if it was never opened, and more than once."""


@runtime_checkable
class TimedBoard(Board, Protocol):
    """A board with a clock of its own, which is fitted to the session's."""

    def device_time(self) -> DeviceTime | None:
        """Return both clocks side by side, once a second; None in between."""


class WheelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table of every wheel says, beside its wiring: how it was calibrated."""

    cm_per_count: Annotated[float, msgspec.Meta(ge=-1, le=1)]
    """How far a count is; negative if it counts down when the animal runs forward."""
    calibrated: str = ""
    """The day on which this was measured (YYYY-MM-DD)."""

    def __post_init__(self) -> None:
        """Refuse a wheel that would never move, and a day that is none."""
        if not self.cm_per_count:
            raise ValueError("cm_per_count is 0; measure it")
        date.fromisoformat(self.calibrated or "2000-01-01")


class Wheel(Device, Protocol):
    """The ball or wheel under the mouse. Its settings are WheelSettings."""

    def counts(self, now: int) -> int:
        """Return the counts so far, forward up and backward down, as they are at now."""


class BallSettings(WheelSettings, frozen=True, kw_only=True):
    """A ball's: a wheel's for the way forward, and one more for the way to the right."""

    side_cm_per_count: Annotated[float, msgspec.Meta(ge=-1, le=1)]
    """How far a count sideways is; negative if it counts down when the animal moves right."""


@runtime_checkable
class Ball(Wheel, Protocol):
    """A ball whose sensor sees both axes. Its settings are BallSettings."""

    def side_counts(self, now: int) -> int:
        """Return the counts sideways so far, as they are at now."""


class Lick(Device, Protocol):
    """The lick sensor of a spout."""

    def onsets(self, now: int) -> list[int]:
        """Return the onsets since the last call, each once, in order, none after now."""

    def touched_since(self, now: int) -> int | None:
        """Return since when (ns) something has touched the spout; None if nothing does."""


class ValveSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table of every valve says, beside its wiring: how it was calibrated."""

    ul_per_ms: Annotated[float, msgspec.Meta(gt=0, le=10)]
    """What flows while it is open."""
    dead_ms: Annotated[float, msgspec.Meta(ge=0, le=100)] = 0.0
    """How long a pulse lasts before anything flows."""
    calibrated: str = ""
    """The day on which these were measured (YYYY-MM-DD); a real valve must have one."""
    weighed: list[Weighing] = msgspec.field(default_factory=list)
    """What they were fitted to."""

    def open_ms(self, volume_ul: float) -> float:
        """Return how long a pulse must be for that volume."""
        return volume_ul / self.ul_per_ms + self.dead_ms


class Valve(Device, Protocol):
    """The water valve of a spout. Its settings are ValveSettings."""

    def pulse(self, now: int, open_ms: float) -> int:
        """Open it for open_ms and return when it opened; the device, not the caller, shuts it."""

    def close(self) -> None:
        """Shut it, whatever it was doing; also if its board was never opened."""


class Fired(msgspec.Struct, frozen=True):
    """What an armed valve did by itself: it opened at opened_t for open_ms, for that lick."""

    lick_t: int
    opened_t: int
    open_ms: float


@runtime_checkable
class ArmedValve(Valve, Protocol):
    """A valve whose device watches the lick sensor of its spout, and can hold a reward by itself.

    The driver arms it only with what the guard has set aside, one reward at a time; it takes that
    back before it asks for a pulse.
    """

    def arm(self, now: int, open_ms: float, until: int) -> None:
        """Open once, for open_ms, at the first lick from now on; at none after until."""

    def keep(self, until: int) -> None:
        """Hold what is armed until then (ns), not until what was said before."""

    def fired(self, now: int) -> Fired | None:
        """Return what it fired with, once; None if it has not fired since it was armed."""

    def disarm(self, now: int) -> Fired | None:
        """Take the reward back: it fires no more. Return what it had fired with before, if so."""


class Line(Device, Protocol):
    """A digital input line."""

    def edges(self, now: int) -> list[tuple[int, bool]]:
        """Return (t, up) of each change since the last call, in order, none after now."""


class OutputSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table of every output says, beside its wiring."""

    on: Literal["session", "trial", "cue", "reward", "imaging"]
    """What raises it: the session from start to end, each trial, each cue, each drop of water,
    or the microscope's scanning, from its start to its stop."""
    pulse_ms: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 0.0
    """How long it stays up, by the driver's clock; 0: as long as what raises it lasts."""


class Output(Device, Protocol):
    """A digital output line. Its settings are OutputSettings."""

    def set(self, now: int, up: bool) -> int:
        """Put it up or down; return when that was done (ns)."""

    def close(self) -> None:
        """Put it down; also if its board was never opened."""


class Camera(Device, Protocol):
    """A camera that films the animal: its exposure line, counted by the device."""

    def exposures(self, now: int) -> int:
        """Return how many exposures have begun since its board was opened."""
