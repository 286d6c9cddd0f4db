"""What the hardware node expects of a device, real or simulated: one Protocol for each kind.

A device is made by `Class(settings, name, board)`: its own Settings, its name in the setup, and the
board that its table names, or None. Making a device opens nothing. All times are ns of the session
clock. A device that does not answer raises; it never returns an old value as a new one.
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
    """What all devices have."""

    simulated: ClassVar[bool]
    """True if no real animal may run on it. Each class declares this itself."""
    settings: Any
    """Its table in the setup, typed, with every default filled in."""


class Board(Device, Protocol):
    """Hardware that several devices share: an NI card, a serial board, a simulated mouse."""

    def open(self) -> None:
        """Open it with all valves shut. Raises Refused if that is not possible."""

    def handle(self, message: Message) -> None:
        """Handle a message that the driver received, or the Valve message that it published."""

    def poll(self, now: int) -> None:
        """Read the board, once for each `now`; also a sign of life for the board."""

    def pop_warnings(self) -> list[str]:
        """Return new warnings for the operator, one sentence each; each is returned once."""

    def close(self) -> None:
        """Shut all valves and let go. May be called twice, or without `open`."""


@runtime_checkable
class TimedBoard(Board, Protocol):
    """A board with a clock of its own, which is fitted to the session clock."""

    def device_time(self) -> DeviceTime | None:
        """Return both clocks side by side, once a second; None in between."""


class WheelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of every wheel's table besides its wiring: its calibration."""

    cm_per_count: Annotated[float, msgspec.Meta(ge=-1, le=1)]
    """Distance of a count, cm; negative if it counts down when the animal runs forward."""
    calibrated: str = ""
    """Day of this measurement, YYYY-MM-DD."""

    def __post_init__(self) -> None:
        """Refuse a wheel that would never move, and an invalid date."""
        if not self.cm_per_count:
            raise ValueError("cm_per_count is 0; measure it: rig calibrate wheel")
        date.fromisoformat(self.calibrated or "2000-01-01")


class Wheel(Device, Protocol):
    """The ball or wheel under the mouse. Its settings are WheelSettings."""

    def counts(self, now: int) -> int:
        """Return the counts so far; they go up when the wheel turns forward."""


class BallSettings(WheelSettings, frozen=True, kw_only=True):
    """The keys of every ball's table: those of a wheel, and the calibration of the other axis."""

    side_cm_per_count: Annotated[float, msgspec.Meta(ge=-1, le=1)]
    """Distance of a sideways count, cm; negative if it counts down when the animal moves right."""


@runtime_checkable
class Ball(Wheel, Protocol):
    """A ball whose sensor measures both axes. Its settings are BallSettings."""

    def side_counts(self, now: int) -> int:
        """Return the sideways counts so far."""


class Lick(Device, Protocol):
    """The lick sensor of a spout."""

    def onsets(self, now: int) -> list[int]:
        """Return the onsets (ns) since the last call, each once, in order, none after now."""

    def touched_since(self, now: int) -> int | None:
        """Return when the current touch began (ns), or None if the spout is not touched."""


class ValveSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of every valve's table besides its wiring: its calibration."""

    ul_per_ms: Annotated[float, msgspec.Meta(gt=0, le=10)]
    """Flow while the valve is open, ul/ms."""
    dead_ms: Annotated[float, msgspec.Meta(ge=0, le=100)] = 0.0
    """Time from the start of a pulse until water flows, ms."""
    calibrated: str = ""
    """Day of this measurement, YYYY-MM-DD; required for a real valve."""
    weighed: list[Weighing] = msgspec.field(default_factory=list)
    """The weighed series that flow and dead time were fitted to."""

    def open_ms(self, volume_ul: float) -> float:
        """Return the length of a pulse that delivers that volume, ms."""
        return volume_ul / self.ul_per_ms + self.dead_ms


class Valve(Device, Protocol):
    """The water valve of a spout. Its settings are ValveSettings."""

    def pulse(self, now: int, open_ms: float) -> int:
        """Open for open_ms; return the time of opening (ns). The device shuts it by itself."""

    def close(self) -> None:
        """Shut it, even in the middle of a pulse, and even if its board was never opened."""


class Fired(msgspec.Struct, frozen=True):
    """A reward that an armed valve gave by itself: the lick, the opening (ns), the length (ms)."""

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
        """Change the time (ns) until which it stays armed."""

    def fired(self, now: int) -> Fired | None:
        """Return the reward that it gave since it was armed, once; None if it gave none."""

    def disarm(self, now: int) -> Fired | None:
        """Disarm it. Returns the reward that it gave before being disarmed, if any."""


class Line(Device, Protocol):
    """A digital input line."""

    def edges(self, now: int) -> list[tuple[int, bool]]:
        """Return (t, up) of each change since the last call, in order, none after now."""


class OutputSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of every output's table besides its wiring."""

    on: Literal["session", "trial", "cue", "reward", "imaging"]
    """When it is up: during the session, each trial, each cue, each reward, or while the
    microscope should scan."""
    pulse_ms: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 0.0
    """Length of the pulse, ms; 0: up for as long as the event lasts."""
    sounds_cue: bool = False
    """True if a sounder on this line makes the cue audible; needs on = "cue"."""


class Output(Device, Protocol):
    """A digital output line. Its settings are OutputSettings."""

    def set(self, now: int, up: bool) -> int:
        """Raise or lower it; return the time of the change (ns)."""

    def close(self) -> None:
        """Lower it, even if its board was never opened."""


class TriggerLineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of every trigger line's table besides its wiring."""

    longest_ms: Annotated[float, msgspec.Meta(gt=0, le=60_000)] = 1000.0
    """Longest time that a trigger may keep it up, ms."""


class TriggerLine(Device, Protocol):
    """A digital output line for the closed loop. Its settings are TriggerLineSettings."""

    def pulse(self, now: int, up_ms: float) -> int:
        """Raise it for up_ms; return the time of rising (ns). The device lowers it by itself."""

    def end(self, now: int) -> int:
        """Lower it before the end of its pulse; return the time of lowering (ns)."""

    def close(self) -> None:
        """Lower it, even in the middle of a pulse, and even if its board was never opened."""


class Camera(Device, Protocol):
    """A camera that films the animal; the device counts the pulses of its exposure line."""

    def exposures(self, now: int) -> int:
        """Return how many exposures have begun since the board was opened."""
