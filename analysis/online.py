"""The online process: from imaging frames to running signals while the mouse runs."""

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from analysis.cells.areas import groups_of
from analysis.cells.model import Cells
from analysis.cells.read_cells import read_cells
from analysis.cells.suite2p_layout import Layout, to_pages
from analysis.detection.cell_detector import FindSettings
from analysis.detection.detection_run import DetectionRun, cells_of
from analysis.extraction.lost_field import LostField
from analysis.extraction.scan_checks import (
    check_channel,
    check_depths,
    check_unchanged,
    depths_at_once,
    page_shape,
    unusable,
)
from analysis.extraction.strip import Motion, PipelineSettings
from analysis.extraction.traces import Floats, Traces, TraceSettings
from analysis.extraction.volume import Volume
from analysis.extraction.z_drift import ZDrift
from analysis.registration.reference_images import read_reference_images
from analysis.registration.rigid import MotionSettings
from analysis.signals.frame_timing import FrameTiming
from analysis.signals.position_lookup import PositionLookup, UnplacedLicks
from analysis.signals.running_signals import RunningSignals
from analysis.signals.scratch import ScratchRows
from analysis.signals.task_signals import TaskSignals, task_signals
from analysis.warm_up import compile_loops
from rig.errors import Refused
from rig.messages import (
    CellsFound,
    CellSignals,
    Cue,
    Fault,
    Frame,
    LearningSignals,
    Lick,
    Message,
    Position,
    Scan,
    Start,
    TrialEnd,
    TrialStart,
)
from rig.node import Node, Publish


class Online(Node):
    """A decider that publishes CellSignals for each frame and LearningSignals after each trial.

    The CellSignals of a frame are published when two values are final: its deconvolved activity,
    some frames later, and the position of the mouse at the middle of its scan. As messages can
    arrive out of time order, that position is final at the first Position after the middle.

    A frame has no CellSignals if its pixels are lost, if the field is not found in it, or while
    cells are still being detected (`find`); a Fault reports the first two cases. The CellSignals
    of an aborted trial stay in the log; from its TrialEnd on, signals are computed without them.
    """

    name = "online"
    subscribes = (Start, Scan, Frame, Position, TrialStart, TrialEnd, Cue, Lick)
    publishes = (CellSignals, CellsFound, LearningSignals)
    max_batch_delay_s = 0.01
    critical = False
    max_lag_s = 10.0  # preparing the masks of tens of thousands of cells takes seconds

    class Settings(Node.Settings, frozen=True, kw_only=True):
        """The [nodes.online] table: the cells, and how brightness becomes activity."""

        cells_file: str = ""
        """A CSV of discs (cell, y_px, x_px, radius_px, area, plane), Suite2p's stat.npy, a label
        image (.tif or .npy), or masks that rig align moved from another day (.npz)."""
        use_iscell: bool = True
        """Use only the cells that Suite2p's iscell.npy, in the folder of cells_file, accepts."""
        cells_layout: Layout = "auto"
        """Whether the pixels of stat.npy are those of pages ("page") or of Suite2p's combined view
        ("combined"). "auto" decides by where they are, and refuses a file that fits both."""
        find: FindSettings | None = None
        """Detect cells in the first minutes of the session instead of reading cells_file."""
        areas_file: str = ""
        """One area id per cell: an .npy, or a retinotopy .npz. Default: the areas in cells_file."""
        selective_at: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 0.3
        """A cell is selective if |d'| is at least this."""
        learning: bool = True
        """Compute reward prediction, coding direction and similarity after each trial. This keeps
        240 bytes per cell and trial, and 4 per anterior cell and frame, in the folder for temporary
        files (TMPDIR)."""
        fold_seed: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] = 0
        """Seed of the folds of the cross-validated population signal."""
        channel: Annotated[int, msgspec.Meta(ge=1, le=4)] = 1
        """Number of the microscope's channel that shows the cells, from 1."""
        traces: TraceSettings = TraceSettings()
        motion: MotionSettings = MotionSettings()

    settings: Settings

    def __init__(self, settings: Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        if bool(settings.cells_file) == (settings.find is not None):
            raise Refused("[nodes.online]: set cells_file or a table `find`, not both")
        if settings.find is not None and settings.areas_file:
            raise Refused(
                "[nodes.online]: areas_file gives the areas of the cells of cells_file; remove it"
            )
        self._task = TaskSignals()
        self._cells: Cells | None = None
        self._left_out: tuple[str, ...] = ()
        """Sentences, not published yet, about entries of cells_file that are not used."""
        self._signals: RunningSignals | None = None
        self._store: ScratchRows | None = None
        self._traces: Traces
        self._pipeline: PipelineSettings
        self._shape: tuple[int, int] | None = None
        self._before: list[TrialStart | TrialEnd | Cue] = []
        """Messages of the trials before the first frame with known cells."""
        self._licks = UnplacedLicks()
        """Licks whose position is not final yet."""
        self._no_cells = False
        self._scan: Scan | None = None
        self._search: DetectionRun | None = None
        self._volume: Volume | None = None
        self._focus = ZDrift(settings.motion.z_drift_um)
        self._field = LostField(settings.motion.max_shift_px)
        self._last: Frame | None = None
        self._positions = PositionLookup()
        self._times = FrameTiming()
        self._began = 0
        """Middle of the scan of the volume's first page, ns."""
        # A frame moves to the second queue when its position is final, and is published from
        # there when its activity is final.
        self._unplaced: deque[tuple[int, Frame, tuple[Motion, ...]]] = deque()
        self._placed: deque[tuple[int, Frame, tuple[Motion, ...], Position]] = deque()
        self._final: deque[Floats] = deque()

    def open(self) -> None:
        settings = self.settings
        compile_loops()
        reference = read_reference_images(settings.motion)
        self._pipeline = PipelineSettings(settings.traces, settings.motion, reference)
        if settings.cells_file:
            areas = Path(settings.areas_file) if settings.areas_file else None
            cells = read_cells(Path(settings.cells_file), areas, settings.use_iscell)
            self._left_out = cells.left_out
            if not cells.from_suite2p:
                self._check_stack(cells)
            self._cells = cells

    def handle(self, message: Message) -> None:
        match message:
            case Position():
                self._positions.add(message)
                self._place_licks(message.t)
                self._place_frames(message.t)
                self._publish_ready()
            case Frame():
                self._take_frame(message)
                self._publish_ready()
            case Scan():
                self._take_scan(message)
            case TrialStart() | TrialEnd() | Cue():
                if self._signals is None:
                    self._before.append(message)
                else:
                    self._handle_trial(self._signals, message)
            case Lick():
                self._licks.add(message.t)
            case Start():
                self._task = task_signals(message.session.get("task", {}))

    def close(self) -> None:
        if self._search is not None and self._last is not None:
            text = (
                f"the session ended {self._times.elapsed_s:.0f} s after its first frame, before "
                "cells were detected: it has no signals"
            )
            self.publish(Fault(self._last.t, text))
        if self._signals is None or self._last is None:
            return
        self._final.extend(self._traces.rest())
        self._place_licks(None)
        self._place_frames(None)
        self._publish_ready()
        for message in self._signals.finish(self._last.t):
            self.publish(message)
        if self._store is not None:
            self._store.close()

    def _begin(self, cells: Cells) -> RunningSignals:
        """Create the signals once the cells are known, and add the trials so far.

        Trials that began before cells were detected have no signals: their activity would be
        extrapolated from later frames.
        """
        settings = self.settings
        self._traces = Traces(len(cells), settings.traces)
        self._store = ScratchRows(None, len(cells)) if settings.learning else None
        signals = RunningSignals(
            self._task,
            groups_of(cells.area),
            settings.selective_at,
            self._store,
            settings.fold_seed,
        )
        for message in self._before:
            if settings.find is None:
                self._handle_trial(signals, message)
            elif isinstance(message, TrialStart):
                signals.name_trial(message)
        self._before.clear()
        return signals

    def _handle_trial(self, signals: RunningSignals, message: TrialStart | TrialEnd | Cue) -> None:
        if isinstance(message, Cue):
            signals.add_cue(message)
        else:
            signals.handle_trial(message)

    def _check_stack(self, cells: Cells) -> None:
        if self.settings.motion.stack_file and np.unique(cells.plane).size > 1:
            raise Refused(
                "online.motion.stack_file measures the drift of one depth, but the cells of "
                f"{self.settings.cells_file or 'this session'} are in several; remove it"
            )

    def _take_scan(self, scan: Scan) -> None:
        check_channel(scan, self.settings.channel)
        if self._shape is not None and self._scan is not None:
            check_unchanged(scan, self._scan)
        self._scan = scan
        if self._cells is not None and not (self._cells.from_suite2p and not scan.regions):
            self._fit_cells(scan, self._cells, (0, 0))

    def _fit_cells(self, scan: Scan, cells: Cells, shape: tuple[int, int]) -> Cells:
        """Find the pixels and depths of the cells on the pages of a scan."""
        layout = self.settings.cells_layout
        cells = to_pages(cells, scan.regions, len(scan.depths_um), shape, layout)
        check_depths(scan, self.settings.channel, cells)
        self._check_stack(cells)
        self._cells = cells
        return cells

    def _take_frame(self, frame: Frame) -> None:
        if frame.channel != self.settings.channel:
            return
        middle = self._times.middle(frame)
        self._shape = page_shape(frame, self._shape)
        for text in self._left_out:
            self.publish(Fault(frame.t, text))
        self._left_out = ()
        why = unusable(frame.pixels)
        if why:
            text = f"the pixels of frame {frame.index} {why}: it has no signals"
            self.publish(Fault(frame.t, text, frame.index))
            return
        self._last = msgspec.structs.replace(frame, pixels=None)
        cells = self._cells or self._find_cells(frame)
        if cells is None:
            return
        if self._volume is None:
            self._volume = self._make_volume(frame, cells)
        if self._signals is None:
            self._signals = self._begin(cells)
        self._measure(frame, self._volume, middle)

    def _measure(self, frame: Frame, volume: Volume, middle: int) -> None:
        """Measure the cells in a page; queue the frame if it completes a volume."""
        values = volume.add_page(frame, self._times.elapsed_s)
        if volume.pages == 1:
            self._began = middle
        if values is None or self._last is None:
            return
        for text in (
            self._field.changed(frame.index, volume.motion),
            self._focus.changed(volume.motion),
        ):
            if text:
                self.publish(Fault(frame.t, text))
        if not volume.found:
            return
        self._unplaced.append(((self._began + middle) // 2, self._last, volume.motion))
        final = self._traces.add(values, self._times.elapsed_s)
        if final is not None:
            self._final.append(final)
        if self._positions.latest_t is not None:
            self._place_frames(self._positions.latest_t)

    def _find_cells(self, frame: Frame) -> Cells | None:
        """Search a page for cells; return and publish the cells when the search time is over."""
        find = self.settings.find
        if find is None or self._no_cells:
            return None
        if self._search is None:
            shape = (frame.height_px, frame.width_px)
            regions = self._scan.regions if self._scan else ()
            self._search = DetectionRun(find, regions, shape, self._pipeline)
        if not self._search.add_page(frame, self._times.elapsed_s):
            return None
        search, self._search = self._search, None
        messages = search.find_cells(frame)
        for message in messages:
            self.publish(message)
        cells = cells_of(messages)
        if cells is None:
            self._no_cells = True
            text = (
                f"no cell was detected in the first {find.after_s:g} s: this session has no "
                "signals; check focus and laser power, or give a cells_file"
            )
            self.publish(Fault(frame.t, text))
            return None
        self._pipeline = replace(self._pipeline, reference=search.reference())
        self._cells = cells
        return cells

    def _make_volume(self, frame: Frame, cells: Cells) -> Volume:
        scan = self._scan or Scan(frame.t, frame.file, {}, (0.0,))
        shape = (frame.height_px, frame.width_px)
        return Volume(
            self._fit_cells(scan, cells, shape),
            scan.regions,
            shape,
            self._pipeline,
            scan.header.get("averaged", 1),
            depths_at_once(scan),
            scan.header.get("frames_per_slice", 1),
        )

    def _place_frames(self, t: int | None) -> None:
        """Look up the position at each frame before t; None: at all frames (end of session)."""
        while self._unplaced and (t is None or self._unplaced[0][0] < t):
            scanned_t, frame, motion = self._unplaced.popleft()
            self._placed.append((scanned_t, frame, motion, self._positions.at(scanned_t)))

    def _place_licks(self, t: int | None) -> None:
        """Look up the position at each lick before t; None: at all licks."""
        if self._signals is not None:
            for lick in self._licks.take(t, self._positions):
                self._signals.add_lick(lick)

    def _publish_ready(self) -> None:
        """Publish the signals of frames that have both their position and their final values."""
        while self._placed and self._final and self._signals is not None:
            scanned_t, frame, motion, position = self._placed.popleft()
            activity = self._final.popleft()
            for message in self._signals.add_frame(frame, position, activity, scanned_t):
                self.publish(_with_motion(message, motion))


def _with_motion(message: Message, motion: tuple[Motion, ...]) -> Message:
    """Add the motion of a frame to its CellSignals."""
    if not isinstance(message, CellSignals):
        return message
    moved = tuple((m.down_px, m.right_px, m.correlation) for m in motion)
    z_um = tuple(m.z_um for m in motion if m.z_um is not None)
    return msgspec.structs.replace(message, motion=moved, z_um=z_um)


if __name__ == "__main__":
    from rig.process import run

    run(Online)
