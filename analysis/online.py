"""The online node: traces and running selectivity of the imaged cells, after every frame."""

from bisect import bisect_right, insort
from collections import deque
from pathlib import Path
from typing import Annotated

import msgspec

from analysis.selectivity import Selectivity, selective_fraction
from analysis.traces import Cell, Masks, Traces, read_cells
from rig.messages import Decoded, Fault, Frame, Message, Position, TrialEnd, TrialStart
from rig.node import Node, Say
from rig.refused import Refused

_KEPT_NS = 10_000_000_000
_GREY = Position(0, -1, 0.0, 0.0, False, "grey")


class Online(Node):
    """Says Decoded for every Frame; leaves aborted trials out of the running signals.

    Hub order is not time order, so a frame waits for the first Position after it, a tick of the
    wheel: only then is it certain where the corridor stood. A frame whose pixels are lost is
    answered by a Fault and by no Decoded. The Decoded of an aborted trial's frames stay in the
    log, and its TrialEnd marks them; from then on d' is without them.
    """

    name = "online"
    hears = (Frame, Position, TrialStart, TrialEnd)
    says = (Decoded,)
    patience_s = 0.005

    class Settings(Node.Settings, frozen=True, kw_only=True):
        """The cells, and the two stimuli they are compared by."""

        cells_file: str
        """CSV with the columns cell, y_px, x_px, radius_px: one disc a cell."""
        a: str = "leaf1"
        b: str = "circle1"
        selective_at: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 0.3
        """A cell is selective if |d'| is at least this."""

    settings: Settings

    def __init__(self, settings: Settings, say: Say) -> None:
        super().__init__(settings, say)
        if settings.a == settings.b:
            raise Refused(f"[nodes.online]: a and b are both {settings.a!r}; name two stimuli")
        self._cells: list[Cell] = []
        self._masks: Masks | None = None
        self._selectivity = Selectivity(settings.a, settings.b, 0)
        self._positions: list[Position] = []
        self._trials: dict[int, TrialStart] = {}
        self._waiting: deque[tuple[Frame, Traces]] = deque()

    def open(self) -> None:
        self._cells = read_cells(Path(self.settings.cells_file))
        self._selectivity = Selectivity(self.settings.a, self.settings.b, len(self._cells))

    def hear(self, word: Message) -> None:
        match word:
            case Position():
                self._decode_before(word.t)
                self._keep(word)
            case Frame():
                self._take(word)
            case TrialStart():
                self._trials[word.trial] = word
            case TrialEnd(outcome="aborted"):
                self._selectivity.abort(word.trial)

    def close(self) -> None:
        while self._waiting:
            self._decode(*self._waiting.popleft())

    def _take(self, frame: Frame) -> None:
        masks = self._masks_for(frame)
        if frame.pixels is None:
            what = f"the pixels of frame {frame.index} were lost before they could be analysed"
            self.say(Fault(frame.t, what, frame.index))
            return
        self._waiting.append((frame, masks.means(frame.pixels)))
        if self._positions:
            self._decode_before(self._positions[-1].t)

    def _masks_for(self, frame: Frame) -> Masks:
        shape = (frame.height_px, frame.width_px)
        if self._masks is None:
            self._masks = Masks(self._cells, shape)
        if shape != self._masks.shape:
            height, width = self._masks.shape
            raise Refused(
                f"frame {frame.index} has {shape[0]} x {shape[1]} px, those before it "
                f"{height} x {width}; image one session with one field"
            )
        return self._masks

    def _decode_before(self, t: int) -> None:
        while self._waiting and self._waiting[0][0].t < t:
            self._decode(*self._waiting.popleft())

    def _keep(self, position: Position) -> None:
        """Remember where the corridor stood, longer than a frame can be late in a live session."""
        insort(self._positions, position, key=_t)
        if self._positions[0].t < position.t - 2 * _KEPT_NS:
            del self._positions[: bisect_right(self._positions, position.t - _KEPT_NS, key=_t)]

    def _decode(self, frame: Frame, traces: Traces) -> None:
        at = bisect_right(self._positions, frame.t, key=_t)
        position = self._positions[at - 1] if at else _GREY
        trial = self._trials.get(position.trial)
        if trial is not None and position.moving and 0 <= position.position_m < trial.texture_m:
            self._selectivity.add(trial.trial, trial.stimulus, traces)
        d_prime = self._selectivity.d_prime().astype("<f4")
        self.say(
            Decoded(
                frame.t,
                frame.index,
                position.trial,
                None if trial is None else trial.stimulus,
                position.position_m,
                position.moving,
                traces.astype("<f4").tobytes(),
                d_prime.tobytes(),
                selective_fraction(d_prime, self.settings.selective_at),
            )
        )


def _t(position: Position) -> int:
    return position.t


if __name__ == "__main__":
    from rig.process import run

    run(Online)
