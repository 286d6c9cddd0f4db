"""A faulty decider: it publishes a message for each Wheel, and fails at the fiftieth."""

from rig.messages import Message, Pulse, Start, Wheel
from rig.node import Node

LAST = 50


class Failing(Node):
    """Fails on a message, and fails again whenever it gets the same messages."""

    name = "failing"
    subscribes = (Start, Wheel)
    publishes = (Pulse,)

    def open(self) -> None:
        self._now = self._received = 0

    def handle(self, message: Message) -> None:
        self._now = message.t
        if isinstance(message, Wheel):
            self._received += 1
            if self._received == LAST:
                raise KeyError("leaf9")
            self.publish(Pulse(message.t, "frame"))

    def close(self) -> None:
        self.publish(Pulse(self._now, "last"))


if __name__ == "__main__":
    from rig.process import run

    run(Failing)
