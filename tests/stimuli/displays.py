"""A display with a simulated screen, its messages and what it shows."""

from typing import Any, ClassVar

import msgspec

from rig.clock import SetClock
from rig.messages import Message, Position, TrialStart
from stimuli.display import Display
from stimuli.scene.corridor_geometry import Laps
from stimuli.scene.screen import Scene
from stimuli.window.simulated_screen import SimulatedScreen

SIMULATED = {"is": "stimuli.window:SimulatedScreen"}
STIMULI = ("leaf1", "circle1", "leaf2", "circle2")


class SlowScreen(SimulatedScreen):
    """A screen whose flips take flip_ns of the test's clock."""

    clock: ClassVar[SetClock]
    flip_ns: ClassVar[int] = 0

    def flip(self) -> None:
        self.clock.set(self.clock.now() + self.flip_ns)
        super().flip()


def display(published: list[Message] | None = None, **table: Any) -> Display:
    settings = msgspec.convert({"screen": SIMULATED, **table}, Display.Settings)
    ignored: list[Message] = []
    node = Display(settings, (ignored if published is None else published).append)
    node.clock = SlowScreen.clock = SetClock()
    node.check({"stimuli": list(STIMULI)})
    return node


def begins(trial: int, upcoming: str | None = None, grey_m: float = 2.0) -> TrialStart:
    stimulus = STIMULI[trial % 4]
    return TrialStart(0, trial, stimulus, upcoming, False, 4.0, grey_m, 2.0, "none", 0.0)


def at(trial: int, position_m: float, phase: Any = "corridor", t: int = 0) -> Position:
    return Position(t, trial, position_m, 0.0, True, phase)


def scene(node: Display) -> Scene:
    """Tick, and return what is on the screen."""
    node.tick(0)
    screen: Any = node.screen
    assert isinstance(screen.shown, Scene)
    return screen.shown


def shown(node: Display) -> Laps | None:
    """Tick, and return the laps on the screen."""
    return scene(node).laps


def opened(*messages: Message) -> Display:
    node = display()
    node.open()
    for message in messages:
        node.handle(message)
    return node
