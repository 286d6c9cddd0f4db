"""A ball on an NI card: a sensor with two axes, each a quadrature encoder on a counter."""

from typing import Any, ClassVar

from behavior.devices.nidaq.board import nidaq_board
from behavior.devices.nidaq.tasks import Counter, CounterName, Terminal
from behavior.devices.protocols import BallSettings


class Ball:
    """A ball with forward and sideways counts, four counts per period of an encoder."""

    simulated: ClassVar[bool] = False

    class Settings(BallSettings, frozen=True, kw_only=True):
        """The calibration of the ball, and the wiring of its sensor's two encoders."""

        counter: CounterName = "ctr0"
        a: Terminal = ""
        b: Terminal = ""
        side_counter: CounterName = "ctr3"
        side_a: Terminal = ""
        side_b: Terminal = ""

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        found = nidaq_board(board, name)
        self._forward = Counter(found.card, settings.counter, (settings.a, settings.b))
        side = (settings.side_a, settings.side_b)
        self._side = Counter(found.card, settings.side_counter, side)
        found.on_open(self._forward.open)
        found.on_open(self._side.open)

    def counts(self, now: int) -> int:
        return self._forward.count()

    def side_counts(self, now: int) -> int:
        return self._side.count()
