"""A driver that cannot close its device, for the test of a failing end."""

from rig.node import Node


class Stuck(Node):
    """Holds a valve that will not shut."""

    name = "stuck"
    period_s = 0.1

    def close(self) -> None:
        raise OSError("the valve would not shut")


if __name__ == "__main__":
    from rig.process import run

    run(Stuck)
