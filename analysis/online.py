"""The online node: activity, running selectivity and position tuning, after every frame."""

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from analysis.cells.areas import groups_of
from analysis.cells.model import Cells
from analysis.cells.read_cells import read_cells
from analysis.detection.cell_detector import FindSettings
from analysis.detection.detection_run import DetectionRun, found_cells
from analysis.extraction.scan_checks import at_once, check, check_same, shape_of, unusable
from analysis.extraction.strip import Motion, PipelineSettings
from analysis.extraction.traces import Floats, Traces, TraceSettings
from analysis.extraction.volume import Volume
from analysis.extraction.z_drift import ZDrift
from analysis.registration.reference_images import read_reference_images
from analysis.registration.rigid import MotionSettings
from analysis.signals.frame_timing import FrameTiming
from analysis.signals.position_lookup import PositionLookup
from analysis.signals.running_signals import RunningSignals, warm
from analysis.signals.selectivity import Selectivity
from rig.errors import Refused
from rig.messages import (
    CellsFound,
    CellSignals,
    Fault,
    Frame,
    Message,
    Position,
    Scan,
    TrialEnd,
    TrialStart,
)
from rig.node import Node, Publish


class Online(Node):
    """Says Decoded for every frame of all depths; leaves aborted trials out of the running signals.

    A frame's place is where the corridor stood in the middle of its scan. Two things make a frame
    wait: its deconvolved values are final some frames later, and, as hub order is not time order,
    where the corridor stood is certain at the first Position after it, a tick of the wheel. A frame
    whose pixels are lost is answered by a Fault and by no Decoded; nor has one any frame in which
    cells are still looked for (`find`): signals begin with Found. The Decoded of an aborted
    trial's frames stay in the log, and its TrialEnd marks them; from then on the signals are
    without them.
    """

    name = "online"
    subscribes = (Scan, Frame, Position, TrialStart, TrialEnd)
    publishes = (CellSignals, CellsFound)
    max_batch_delay_s = 0.005
    max_lag_s = 10.0  # laying tens of thousands of cells on the first frame takes seconds

    class Settings(Node.Settings, frozen=True, kw_only=True):
        """The cells, the two stimuli they are compared by, and how brightness becomes activity."""

        cells_file: str = ""
        """A CSV of discs (cell, y_px, x_px, radius_px, area), Suite2p's stat.npy, or a label image
        (.tif or .npy)."""
        find: FindSettings | None = None
        """In place of a cells_file: cells are found in what is imaged first."""
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

    def __init__(self, settings: Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        if settings.a == settings.b:
            raise Refused(f"[nodes.online]: a and b are both {settings.a!r}; name two stimuli")
        if bool(settings.cells_file) == (settings.find is not None):
            raise Refused("[nodes.online]: give either a cells_file, or a table find to find cells")
        if settings.find is not None and settings.areas_file:
            raise Refused("[nodes.online]: areas_file is of a cells_file's cells; leave one out")
        self._cells: Cells | None = None
        self._signals: RunningSignals
        self._traces: Traces
        self._how: PipelineSettings
        self._shape: tuple[int, int] | None = None
        self._before: list[TrialStart | TrialEnd] = []
        """The trials heard before cells were known."""
        self._blind = False
        self._scan: Scan | None = None
        self._search: DetectionRun | None = None
        self._volume: Volume | None = None
        self._focus = ZDrift(settings.motion.z_drift_um)
        self._last: Frame | None = None
        self._elapsed_s = 0.0
        self._places = PositionLookup()
        self._times = FrameTiming()
        self._began = 0
        """The middle of the scan of the volume's first page."""
        self._unplaced: deque[tuple[int, Frame, tuple[Motion, ...]]] = deque()
        self._placed: deque[tuple[int, Frame, tuple[Motion, ...], Position]] = deque()
        self._final: deque[Floats] = deque()

    def open(self) -> None:
        settings = self.settings
        warm()
        self._how = PipelineSettings(
            settings.traces, settings.motion, read_reference_images(settings.motion)
        )
        if settings.cells_file:
            areas = Path(settings.areas_file) if settings.areas_file else None
            self._begin(read_cells(Path(settings.cells_file), areas))

    def _begin(self, cells: Cells) -> None:
        """Make room for the cells, now that they are known, and for the trials heard so far."""
        settings = self.settings
        if settings.motion.stack_file and np.unique(cells.plane).size > 1:
            raise Refused(
                "online.motion.stack_file tells the drift of one depth, and the cells of "
                f"{settings.cells_file or 'this session'} lie in several; leave it out"
            )
        selectivity = Selectivity(settings.a, settings.b, len(cells))
        groups = groups_of(cells.area)
        self._signals = RunningSignals(selectivity, None, groups, settings.selective_at)
        self._traces = Traces(len(cells), settings.traces)
        self._cells = cells
        for trial in self._before:
            self._signals.learn(trial)

    def handle(self, message: Message) -> None:
        match message:
            case Position():
                self._places.keep(message)
                self._place_before(message.t)
                self._decode()
            case Frame():
                self._take(message)
                self._decode()
            case Scan():
                check(message, self.settings.channel, self._cells)
                if self._shape is not None and self._scan is not None:
                    check_same(message, self._scan)
                self._scan = message
            case TrialStart() | TrialEnd(outcome="aborted"):
                if self._cells is None:
                    self._before.append(message)
                else:
                    self._signals.learn(message)

    def close(self) -> None:
        if self._search is not None and self._last is not None:
            what = f"the session ended before cells were found, {self._elapsed_s:.0f} s after its "
            self.publish(Fault(self._last.t, what + "first frame: it has no signals"))
        if self._cells is None:
            return
        self._final.extend(self._traces.rest())
        self._place_before(None)
        self._decode()

    def _take(self, frame: Frame) -> None:
        if frame.channel != self.settings.channel:
            return
        middle = self._times.middle(frame)
        self._shape = shape_of(frame, self._shape)
        why = unusable(frame.pixels)
        if why:
            what = f"the pixels of frame {frame.index} {why}: it is left out of the analysis"
            self.publish(Fault(frame.t, what, frame.index))
            return
        self._elapsed_s += self._step_s(frame)
        self._last = msgspec.structs.replace(frame, pixels=None)
        cells = self._cells or self._found(frame)
        if cells is None:
            return
        volume = self._volume_of(frame, cells)
        values = volume.add(frame, self._elapsed_s)
        if volume.pages == 1:
            self._began = middle
        if values is None:
            return
        drift = self._focus.changed(volume.motion)
        if drift:
            self.publish(Fault(frame.t, drift))
        self._unplaced.append(((self._began + middle) // 2, self._last, volume.motion))
        final = self._traces.add(values, self._elapsed_s)
        if final is not None:
            self._final.append(final)
        if self._places.latest_t is not None:
            self._place_before(self._places.latest_t)

    def _found(self, frame: Frame) -> Cells | None:
        """Look for cells in a page; return them, and say so, once the time for it is over."""
        find = self.settings.find
        if find is None or self._blind:
            return None
        shape = (frame.height_px, frame.width_px)
        if self._search is None:
            self._search = DetectionRun(
                find, self._scan.regions if self._scan else (), shape, self._how
            )
        if not self._search.add(frame, self._elapsed_s):
            return None
        search, self._search = self._search, None
        messages = search.found(frame)
        for message in messages:
            self.publish(message)
        cells = found_cells(messages)
        if cells is None:
            self._blind = True
            what = f"no cell was found in the first {find.after_s:g} s: this session has no signals"
            self.publish(Fault(frame.t, f"{what}; look at focus and light, or bring a cells_file"))
            return None
        self._how = replace(self._how, landmarks=search.landmarks())
        self._begin(cells)
        return cells

    def _volume_of(self, frame: Frame, cells: Cells) -> Volume:
        if self._volume is None:
            scan = self._scan or Scan(frame.t, frame.file, {}, (0.0,))
            averaged = scan.header.get("averaged", 1)
            shape = (frame.height_px, frame.width_px)
            many = at_once(scan)
            frames = scan.header.get("frames_per_slice", 1)
            self._volume = Volume(cells, scan.regions, shape, self._how, averaged, many, frames)
        return self._volume

    def _step_s(self, frame: Frame) -> float:
        """Return the time since the last frame: the microscope's, unless it has begun anew."""
        if self._last is None:
            return 0.0
        step_s = frame.timestamp_s - self._last.timestamp_s
        return step_s if step_s > 0.0 else max(0.0, (frame.t - self._last.t) / 1e9)

    def _place_before(self, t: int | None) -> None:
        """Give the frames before t their place; None: all of them, nothing more will come."""
        while self._unplaced and (t is None or self._unplaced[0][0] < t):
            scanned, frame, motion = self._unplaced.popleft()
            self._placed.append((scanned, frame, motion, self._places.at(scanned)))

    def _decode(self) -> None:
        """Say what is certain of the frames that have both their place and their values."""
        while self._placed and self._final:
            scanned, frame, motion, position = self._placed.popleft()
            decoded = self._signals.decoded(frame, position, self._final.popleft())
            moved = tuple((m.down_px, m.right_px, m.correlation) for m in motion)
            z_um = tuple(m.z_um for m in motion if m.z_um is not None)
            self.publish(
                msgspec.structs.replace(decoded, motion=moved, z_um=z_um, scanned_t=scanned)
            )


if __name__ == "__main__":
    from rig.process import run

    run(Online)
