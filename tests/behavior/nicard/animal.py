"""The simulated mouse on the simulated card's wheel and spout, as a node of a session."""

import msgspec

from behavior.animals.simulated_mouse import SimulatedMouse
from rig.messages import Cue, Message, Start, TrialStart, Valve
from rig.node import Node, Publish
from tests.behavior.nicard.process import Handle

TOUCH_NS = 20_000_000


class Animal(Node):
    """Runs and licks on the card's lines; hears what an animal would notice."""

    name = "animal"
    subscribes = (Start, TrialStart, Cue, Valve)
    period_s = 0.002

    class Settings(Node.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """Where the card is reached from outside, and how the mouse behaves."""

        control: str
        mouse: SimulatedMouse.Settings = msgspec.field(default_factory=SimulatedMouse.Settings)

    settings: Settings

    def __init__(self, settings: Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        self._mouse = SimulatedMouse(settings.mouse)
        self._card: Handle | None = None
        self._counts = 0
        self._touches_until: int | None = None

    def open(self) -> None:
        self._card = Handle(self.settings.control)

    def handle(self, message: Message) -> None:
        self._mouse.handle(message)

    def tick(self, now: int) -> None:
        assert self._card is not None
        counts = self._mouse.counts(now)
        if counts != self._counts:
            self._card.do("turn", counter="ctr0", counts=counts - self._counts)
            self._counts = counts
        if self._mouse.licks(now):
            self._card.put("tongue", True)
            self._touches_until = now + TOUCH_NS
        elif self._touches_until is not None and now >= self._touches_until:
            self._card.put("tongue", False)
            self._touches_until = None

    def close(self) -> None:
        if self._card is not None:
            self._card.let_go()


if __name__ == "__main__":
    from rig.process import run

    run(Animal)
