"""The online node: activity, running selectivity and position tuning, after every frame."""

from bisect import bisect_right, insort
from collections import deque
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from analysis.areas import groups_of
from analysis.cells import Cells, read_cells
from analysis.landmarks import read_landmarks
from analysis.registration import MotionSettings
from analysis.scan_time import ScanTime
from analysis.scanned import at_once, check, check_same
from analysis.selectivity import Selectivity
from analysis.signals import Signals, warm
from analysis.strip import How, Motion
from analysis.traces import Floats, Traces, TraceSettings
from analysis.volume import Volume
from rig.messages import Decoded, Fault, Frame, Message, Position, Scan, TrialEnd, TrialStart
from rig.node import Node, Say
from rig.refused import Refused

_KEPT_NS = 10_000_000_000
_GREY = Position(0, -1, 0.0, 0.0, False, "grey")


class Online(Node):
    """Says Decoded for every frame of all depths; leaves aborted trials out of the running signals.

    A frame's place is where the corridor stood in the middle of its scan. Two things make a frame
    wait: its deconvolved values are final some frames later, and, as hub order is not time order,
    where the corridor stood is certain at the first Position after it, a tick of the wheel. A frame
    whose pixels are lost is answered by a Fault and by no Decoded. The Decoded of an aborted
    trial's frames stay in the log, and its TrialEnd marks them; from then on the signals are
    without them.
    """

    name = "online"
    hears = (Scan, Frame, Position, TrialStart, TrialEnd)
    says = (Decoded,)
    patience_s = 0.005
    may_lag_s = 10.0  # laying tens of thousands of cells on the first frame takes seconds

    class Settings(Node.Settings, frozen=True, kw_only=True):
        """The cells, the two stimuli they are compared by, and how brightness becomes activity."""

        cells_file: str
        """A CSV of discs (cell, y_px, x_px, radius_px, area), Suite2p's stat.npy, or a label image
        (.tif or .npy)."""
        areas_file: str = ""
        """One area id a cell: an .npy, or a retinotopy .npz; else the ids of cells_file."""
        a: str = "leaf1"
        b: str = "circle1"
        selective_at: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 0.3
        """A cell is selective if |d'| is at least this."""
        channel: Annotated[int, msgspec.Meta(ge=1, le=4)] = 1
        """Which of the microscope's channels shows the cells."""
        traces: TraceSettings = TraceSettings()
        motion: MotionSettings = MotionSettings()

    settings: Settings

    def __init__(self, settings: Settings, say: Say) -> None:
        super().__init__(settings, say)
        if settings.a == settings.b:
            raise Refused(f"[nodes.online]: a and b are both {settings.a!r}; name two stimuli")
        self._cells: Cells
        self._signals: Signals
        self._traces: Traces
        self._how: How
        self._opened = False
        self._scan: Scan | None = None
        self._volume: Volume | None = None
        self._drifted = False
        self._last: Frame | None = None
        self._elapsed_s = 0.0
        self._positions: list[Position] = []
        self._times = ScanTime()
        self._began = 0
        """The middle of the scan of the volume's first page."""
        self._unplaced: deque[tuple[int, Frame, tuple[Motion, ...]]] = deque()
        self._placed: deque[tuple[int, Frame, tuple[Motion, ...], Position]] = deque()
        self._final: deque[Floats] = deque()

    def open(self) -> None:
        settings = self.settings
        warm()
        areas = Path(settings.areas_file) if settings.areas_file else None
        self._cells = read_cells(Path(settings.cells_file), areas)
        if settings.motion.stack_file and np.unique(self._cells.plane).size > 1:
            raise Refused(
                "online.motion.stack_file tells the drift of one depth, and the cells of "
                f"{settings.cells_file} lie in several; leave it out"
            )
        self._signals = Signals(
            Selectivity(settings.a, settings.b, len(self._cells)),
            None,
            groups_of(self._cells.area),
            settings.selective_at,
        )
        self._traces = Traces(len(self._cells), settings.traces)
        self._how = How(settings.traces, settings.motion, read_landmarks(settings.motion))
        self._opened = True

    def hear(self, word: Message) -> None:
        match word:
            case Position():
                self._keep(word)
                self._place_before(word.t)
                self._decode()
            case Frame():
                self._take(word)
                self._decode()
            case Scan():
                check(word, self.settings.channel, self._cells)
                if self._volume is not None and self._scan is not None:
                    check_same(word, self._scan)
                self._scan = word
            case TrialStart():
                self._signals.begin(word)
            case TrialEnd(outcome="aborted"):
                self._signals.leave_out(word.trial)

    def close(self) -> None:
        if not self._opened:
            return
        self._final.extend(self._traces.rest())
        self._place_before(None)
        self._decode()

    def _take(self, frame: Frame) -> None:
        if frame.channel != self.settings.channel:
            return
        middle = self._times.middle(frame)
        volume = self._volume_of(frame)
        why = _unusable(frame.pixels)
        if why:
            what = f"the pixels of frame {frame.index} {why}: it is left out of the analysis"
            self.say(Fault(frame.t, what, frame.index))
            return
        self._elapsed_s += self._step_s(frame)
        self._last = msgspec.structs.replace(frame, pixels=None)
        values = volume.add(frame, self._elapsed_s)
        if volume.pages == 1:
            self._began = middle
        if values is None:
            return
        self._watch(frame, volume.motion)
        self._unplaced.append(((self._began + middle) // 2, self._last, volume.motion))
        final = self._traces.add(values, self._elapsed_s)
        if final is not None:
            self._final.append(final)
        if self._positions:
            self._place_before(self._positions[-1].t)

    def _volume_of(self, frame: Frame) -> Volume:
        shape = (frame.height_px, frame.width_px)
        if self._volume is None:
            scan = self._scan or Scan(frame.t, frame.file, {}, (0.0,))
            averaged = scan.header.get("averaged", 1)
            self._volume = Volume(
                self._cells, scan.regions, shape, self._how, averaged, at_once(scan)
            )
        if shape != self._volume.shape:
            height, width = self._volume.shape
            raise Refused(
                f"frame {frame.index} has {shape[0]} x {shape[1]} px, those before it "
                f"{height} x {width}; image one session with one field"
            )
        return self._volume

    def _watch(self, frame: Frame, motion: tuple[Motion, ...]) -> None:
        """Say once when the focus has drifted, and once when it is back."""
        depths = [m.z_um for m in motion if m.z_um is not None]
        if not depths:
            return
        z_um = float(np.median(depths))
        limit_um = self.settings.motion.z_drift_um
        if not self._drifted and abs(z_um) >= limit_um:
            self._drifted = True
            what = f"the focus has drifted by {z_um:+.1f} um from the reference; refocus"
            self.say(Fault(frame.t, what))
        elif self._drifted and abs(z_um) < limit_um / 2:
            self._drifted = False
            self.say(Fault(frame.t, f"the focus is back, {z_um:+.1f} um from the reference"))

    def _step_s(self, frame: Frame) -> float:
        """Return the time since the last frame: the microscope's, unless it has begun anew."""
        if self._last is None:
            return 0.0
        step_s = frame.timestamp_s - self._last.timestamp_s
        return step_s if step_s > 0.0 else max(0.0, (frame.t - self._last.t) / 1e9)

    def _keep(self, position: Position) -> None:
        """Remember where the corridor stood, longer than a frame can be late in a live session."""
        insort(self._positions, position, key=_t)
        if self._positions[0].t < position.t - 2 * _KEPT_NS:
            del self._positions[: bisect_right(self._positions, position.t - _KEPT_NS, key=_t)]

    def _place_before(self, t: int | None) -> None:
        """Give the frames before t their place; None: all of them, nothing more will come."""
        while self._unplaced and (t is None or self._unplaced[0][0] < t):
            scanned, frame, motion = self._unplaced.popleft()
            at = bisect_right(self._positions, scanned, key=_t)
            place = self._positions[at - 1] if at else _GREY
            self._placed.append((scanned, frame, motion, place))

    def _decode(self) -> None:
        """Say what is certain of the frames that have both their place and their values."""
        while self._placed and self._final:
            scanned, frame, motion, position = self._placed.popleft()
            decoded = self._signals.decoded(frame, position, self._final.popleft())
            moved = tuple((m.down_px, m.right_px, m.correlation) for m in motion)
            z_um = tuple(m.z_um for m in motion if m.z_um is not None)
            self.say(msgspec.structs.replace(decoded, motion=moved, z_um=z_um, scanned_t=scanned))


def _unusable(pixels: Any) -> str:
    if pixels is None:
        return "were lost before they could be analysed"
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        return "are not all finite numbers"
    return ""


def _t(position: Position) -> int:
    return position.t


if __name__ == "__main__":
    from rig.process import run

    run(Online)
