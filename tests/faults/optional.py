"""A node that is not critical and soon counts as hanging, for the test of this case."""

from rig.messages import Wheel
from rig.node import Node


class Optional(Node):
    """Receives the wheel and does nothing with it."""

    name = "optional"
    subscribes = (Wheel,)
    critical = False


if __name__ == "__main__":
    from rig.process import run

    run(Optional)
