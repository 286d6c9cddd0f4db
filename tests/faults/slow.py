"""A decider that cannot keep up with the wheel, for the test of falling behind."""

from rig.messages import Wheel
from rig.node import Node


class Slow(Node):
    """Works for 5 ms on each message, and gets one every millisecond."""

    name = "slow"
    subscribes = (Wheel,)

    def handle(self, message: Wheel) -> None:
        for _ in range(200_000):
            pass


if __name__ == "__main__":
    from rig.process import run

    run(Slow)
