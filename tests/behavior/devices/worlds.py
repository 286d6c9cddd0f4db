"""Test environments of a board: the contract tests move the animal and observe the devices.

A world is made, then its devices, then it is opened. Its time is virtual or real; `wait` passes it.
Another implementation joins the contract tests by a world of its own and a row of WORLDS.
"""

from typing import Any, ClassVar, Protocol

from behavior.devices import protocols
from behavior.devices.simulated import devices
from rig.messages import Pulse, Start
from rig.settings import device_factory
from tests.behavior.devices.harp.harp_worlds import AvrWorld, BehaviorWorld
from tests.behavior.devices.nidaq.simulated_card.contract import NiWorld, SamplingWorld
from tests.behavior.scripted import Mouse

MS = 1_000_000


class World(Protocol):
    """A board with the animal, lines and valves that are wired to it."""

    kinds: ClassVar[frozenset[str]]
    """The Protocols that the implementation serves."""
    simulated: ClassVar[bool]
    """Whether the implementation is a simulation, on which no real animal may run."""
    slack_ns: ClassVar[int]
    """Largest error of a time that the board reports, ns."""

    # if valves open only for whole milliseconds, the world also has `step_ms`

    @property
    def board(self) -> protocols.Board:
        """The board."""

    def device(self, kind: str, name: str, **keys: Any) -> Any:
        """Make a device of a Protocol, wired to this world; call before `open`."""

    def open(self) -> None:
        """Open the board and begin a session."""

    def close(self) -> None:
        """Clean up; the board was closed before."""

    def wait(self, ms: float) -> int:
        """Wait; return the session time (ns)."""

    def lick(self) -> int:
        """Touch the spout "centre" for a few ms; return the session time (ns)."""

    def turn(self, counts: int) -> None:
        """Turn the wheel; a ball also turns a tenth of that to the right."""

    def frame(self) -> int:
        """Raise and lower the line "frame_clock"; return when it rose (ns)."""

    def film(self, exposures: int) -> None:
        """Begin exposures of the camera "face"."""

    def openings(self, valve: str) -> list[tuple[int, float]]:
        """Return (t in ns, open ms) of each finished opening of a valve, or pulse of a line."""

    def level(self, output: str) -> bool:
        """Return whether an output line or a trigger line is up."""


class SimulatedWorld:
    """The simulated devices, with a scripted mouse."""

    kinds: ClassVar[frozenset[str]] = frozenset(
        {"Wheel", "Ball", "Lick", "Valve", "ArmedValve", "Line", "Output", "TriggerLine", "Camera"}
    )
    simulated: ClassVar[bool] = True
    slack_ns: ClassVar[int] = 0

    def __init__(self) -> None:
        mouse = {"is": "tests.behavior.scripted:Mouse"}
        table = {"is": "behavior.devices.simulated:Board", "mouse": mouse}
        self.board: devices.Board = device_factory.make(table, "[b]", "b")
        assert isinstance(self.board.mouse, Mouse)
        self._mouse = self.board.mouse
        self._now = 0
        self._made: dict[str, Any] = {}

    def device(self, kind: str, name: str, **keys: Any) -> Any:
        table = {"is": f"behavior.devices.simulated:{kind}", "board": "b", **keys}
        made = device_factory.make_on_board(table, f"[{name}]", name, {"b": self.board})
        self._made[name] = made
        return made

    def open(self) -> None:
        self.board.open()
        self.board.handle(Start(0, {"seed": 1}))

    def close(self) -> None:
        pass

    def wait(self, ms: float) -> int:
        self._now += round(ms * MS)
        return self._now

    def lick(self) -> int:
        t = self.wait(1)
        self._mouse.tongue.append(t)
        self.wait(5)
        return t

    def turn(self, counts: int) -> None:
        self._mouse.turned += counts

    def frame(self) -> int:
        t = self.wait(1)
        self.board.handle(Pulse(t, "frame_clock"))
        self.wait(10)
        return t

    def film(self, exposures: int) -> None:
        self.wait(1000 * exposures / self._made["face"].settings.rate_hz + 0.001)

    def openings(self, valve: str) -> list[tuple[int, float]]:
        made = self._made[valve]
        if isinstance(made, devices.TriggerLine):
            return [(t, (end - t) / MS) for t, end in made.pulses if end <= self._now]
        return [(t, ms) for t, ms in made.pulses if t + ms * MS <= self._now]

    def level(self, output: str) -> bool:
        made = self._made[output]
        if isinstance(made, devices.TriggerLine):
            return not made.closed and any(t <= self._now < end for t, end in made.pulses)
        changes = made.changes
        return bool(changes) and bool(changes[-1][1])


WORLDS: dict[str, type[World]] = {
    "simulated": SimulatedWorld,
    "rig-avr": AvrWorld,
    "behavior": BehaviorWorld,
    "nidaq": NiWorld,
    "nidaq sampled": SamplingWorld,
}
"""Every implementation of the Protocols, by its name in the tests."""


def having(kind: str) -> list[str]:
    """Return the worlds that implement a Protocol."""
    return [name for name, world in WORLDS.items() if kind in world.kinds]
