"""A decider with a mistake in it: it says a word for each wheel, and fails at its fiftieth."""

from rig.messages import Message, Pulse, Start, Wheel
from rig.node import Node

LAST = 50


class Failing(Node):
    """Fails on a word that it hears, and so again whenever it hears the same words."""

    name = "failing"
    hears = (Start, Wheel)
    says = (Pulse,)

    def open(self) -> None:
        self._now = self._heard = 0

    def hear(self, word: Message) -> None:
        self._now = word.t
        if isinstance(word, Wheel):
            self._heard += 1
            if self._heard == LAST:
                raise KeyError("leaf9")
            self.say(Pulse(word.t, "frame"))

    def close(self) -> None:
        self.say(Pulse(self._now, "last"))


if __name__ == "__main__":
    from rig.process import run

    run(Failing)
