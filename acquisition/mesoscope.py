"""The simulated microscope: writes a growing ScanImage file of a brain that sees the corridor."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from acquisition.scanimage.regions import Field, Region
from acquisition.simulation.ground_truth import TruthWriter
from acquisition.simulation.injected_faults import InjectedFaults
from acquisition.simulation.position_history import PositionHistory
from acquisition.simulation.scanimage_encoding import Recording
from acquisition.simulation.scanimage_writer import Link, Writer
from acquisition.simulation.simulated_acquisition import SimulatedAcquisition
from acquisition.simulation.simulated_brain import Brain, SimulatedBrain
from acquisition.simulation.simulated_cells import table
from acquisition.simulation.strip_layout import StripLayout
from rig.errors import Refused
from rig.messages import Edge, Position, Pulse, Start, TrialStart
from rig.node import Node, Publish

_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
"""Date and time in the file if the start of the session is unknown."""
_DEGREES_PER_PX = 0.01
_FIRST_Z_UM, _NEXT_Z_UM = 100.0, 80.0
"""The first depth, and the distance from each depth to the next, um."""
FRAME_CLOCK = "frame_clock"
_LATE = 0.1
"""Fraction of the frame period by which a frame may begin late without delaying later frames."""


class Mesoscope(Node):
    """A driver that publishes a Pulse when a frame begins, and saves it when the next begins."""

    simulated: ClassVar[bool] = True

    name = "mesoscope"
    subscribes = (Start, Edge, Position, TrialStart)
    publishes = (Pulse,)
    period_s = 1.0 / 3.0
    max_batch_delay_s = 0.01

    class Settings(Node.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The scan of the microscope, and the folder in which it saves its files."""

        imaging_folder: Annotated[str, msgspec.Meta(min_length=1)] = "imaging"
        frame_rate_hz: Annotated[float, msgspec.Meta(gt=0.0, le=60.0)] = 3.0
        """Frames per second, of all depths together."""
        height_px: Annotated[int, msgspec.Meta(ge=16, le=4096)] = 128
        """Number of rows of one strip."""
        width_px: Annotated[int, msgspec.Meta(ge=16, le=2048)] = 128
        rois: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
        """Number of strips: next to each other in the brain, one below the other in a page."""
        fly_rows: Annotated[int, msgspec.Meta(ge=0, le=512)] = 12
        """Number of rows of a page between two strips, during which the mirrors move."""
        depths: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
        """Number of depths; they are scanned in turn, one page each."""
        link: Link = "pre"
        """When a page's link to the next page is written: before ("pre") or after the next page."""
        piece_kb: Annotated[int, msgspec.Meta(ge=0, le=65_536)] = 0
        """Size of the pieces in which each page is written, kB; 0: in one piece."""
        starts_on: str = ""
        """The output line that makes the microscope scan while it is high; if empty, the microscope
        scans from the start of the session."""
        cells_file: str = ""
        """Table of the cells; if empty, random cells are drawn."""
        brain: Brain = Brain()
        injected_faults: InjectedFaults = InjectedFaults()

    settings: Settings

    def __init__(self, settings: Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        self.period_s = 1.0 / settings.frame_rate_hz
        self._folder = Path(settings.imaging_folder)
        fly_rows = settings.fly_rows if settings.rois > 1 else 0
        self._layout = StripLayout(settings.height_px, settings.width_px, settings.rois, fly_rows)
        self._brain: SimulatedBrain | None = None
        self._cells = ""
        self._acquisition: SimulatedAcquisition | None = None
        self._start: Start | None = None
        self._positions = PositionHistory(self.period_s)

    def open(self) -> None:
        """Create the brain and check the folder. Raises Refused if either is not possible."""
        settings = self.settings
        cells_file = Path(settings.cells_file) if settings.cells_file else None
        self._brain = SimulatedBrain(settings.brain, self._layout, settings.depths, cells_file)
        self._cells = table(self._brain.cells)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            raise Refused(
                f"imaging folder {self._folder.as_posix()} cannot be written to "
                f"({error.strerror}); choose another as mesoscope.imaging_folder"
            ) from error

    def handle(self, message: Start | Edge | Position | TrialStart) -> None:
        """Begin or end a file, or store what the animal sees now."""
        if self._brain is None:
            return
        match message:
            case Start():
                self._start = message
                if not self.settings.starts_on:
                    self._acquisition = self._begin(message, self._brain)
            case Edge(line=self.settings.starts_on, up=True) if self._start is not None:
                self._acquisition = self._acquisition or self._begin(self._start, self._brain)
            case Edge(line=self.settings.starts_on, up=False) if self._acquisition is not None:
                self._acquisition.stop()
            case TrialStart():
                self._brain.tuning.begin(message)
            case Position():
                self._positions.add(message)
            case _:
                pass

    def tick(self, now: int) -> None:
        """Begin the next frame and publish its edges, then save the previous frame."""
        if self._acquisition is None:
            return
        for t in self._acquisition.begin(now):
            self.publish(Pulse(t, FRAME_CLOCK))
        self._acquisition.save()
        if self._acquisition.is_over:
            self.close()

    def next_due(self, due: int, now: int) -> int:
        """Return when the next frame begins (ns): a period after `due`, or after `now` if late."""
        period = round(1e9 / self.settings.frame_rate_hz)
        return due + period if now - due < _LATE * period else now + period

    def close(self) -> None:
        """Finish the frame that is being scanned, and the file."""
        if self._acquisition is not None:
            self._acquisition.close()
            self._acquisition = None

    def _begin(self, start: Start, brain: SimulatedBrain) -> SimulatedAcquisition:
        settings = self.settings
        began = start.session.get("began")
        time = datetime.fromisoformat(began) if began else _EPOCH
        number = 1 + sum(1 for _ in self._folder.glob("*.tif"))
        path = self._folder / f"field_{number:05d}.tif"
        brain.begin(int(start.session["seed"]))
        writer = Writer(path, self._recording(), time, settings.link)
        truth = TruthWriter(path, self._cells, brain.blocks_px)
        piece_bytes = settings.piece_kb * 1024
        return SimulatedAcquisition(
            brain, writer, truth, settings.injected_faults, piece_bytes, self._positions
        )

    def _recording(self) -> Recording:
        settings, layout = self.settings, self._layout
        zs_um = tuple(_FIRST_Z_UM + _NEXT_Z_UM * i for i in range(settings.depths))
        size_deg = layout.width_px * _DEGREES_PER_PX, layout.height_px * _DEGREES_PER_PX
        px = layout.width_px, layout.height_px
        middle = (layout.rois - 1) / 2
        regions = tuple(
            Region(
                f"strip {slot}",
                tuple(Field(z, ((slot - middle) * size_deg[0], 0.0), size_deg, px) for z in zs_um),
                discrete=settings.depths > 1,
            )
            for slot in layout.slots
        )
        return Recording(
            shape=layout.page_shape,
            rate_hz=settings.frame_rate_hz,
            regions=regions,
            zs_um=zs_um,
            fly_to_lines=layout.fly_rows,
        )


if __name__ == "__main__":
    from rig.process import run

    run(Mesoscope)
