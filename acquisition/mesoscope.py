"""The simulated microscope: grows a ScanImage file of a brain that sees the corridor."""

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
"""Stands in the file where the session does not tell when it began."""
_DEGREES_A_PX = 0.01
_FIRST_Z_UM, _NEXT_Z_UM = 100.0, 80.0
FRAME_CLOCK = "frame_clock"
_LATE = 0.1
"""By so much of a frame it may begin late, and the next one still in step."""


class Mesoscope(Node):
    """Says the frame clock's Pulse as a frame begins, and saves it once the next one begins."""

    simulated: ClassVar[bool] = True

    name = "mesoscope"
    subscribes = (Start, Edge, Position, TrialStart)
    publishes = (Pulse,)
    period_s = 1.0 / 3.0
    max_batch_delay_s = 0.005

    class Settings(Node.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """What the microscope scans, how fast, and where it saves it."""

        imaging_folder: Annotated[str, msgspec.Meta(min_length=1)] = "imaging"
        frame_rate_hz: Annotated[float, msgspec.Meta(gt=0.0, le=60.0)] = 3.0
        """Pages a second, of all depths together."""
        height_px: Annotated[int, msgspec.Meta(ge=16, le=4096)] = 128
        """The rows of one strip."""
        width_px: Annotated[int, msgspec.Meta(ge=16, le=2048)] = 128
        rois: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
        """Strips, side by side in the brain, one upon another in a page."""
        fly_rows: Annotated[int, msgspec.Meta(ge=0, le=512)] = 12
        """Rows of a page between two strips, while the beam flies."""
        depths: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
        """Scanned in turns, a page each."""
        link: Link = "pre"
        """Whether a page links to the next one before or after that is there."""
        piece_kb: Annotated[int, msgspec.Meta(ge=0, le=65_536)] = 0
        """A page is written in pieces of that size; 0: in one."""
        starts_on: str = ""
        """The output line that makes it scan while it is up; without one it scans from Start on."""
        cells_file: str = ""
        """A table of the cells; without one they are drawn."""
        brain: Brain = Brain()
        planted: InjectedFaults = InjectedFaults()

    settings: Settings

    def __init__(self, settings: Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        self.period_s = 1.0 / settings.frame_rate_hz
        self._folder = Path(settings.imaging_folder)
        fly_rows = settings.fly_rows if settings.rois > 1 else 0
        self._layout = StripLayout(settings.height_px, settings.width_px, settings.rois, fly_rows)
        self._specimen: SimulatedBrain | None = None
        self._cells = ""
        self._grab: SimulatedAcquisition | None = None
        self._start: Start | None = None
        self._trail = PositionHistory(self.period_s)

    def open(self) -> None:
        """Grow the brain and try the folder. Raises Refused if either cannot be had."""
        settings = self.settings
        cells_file = Path(settings.cells_file) if settings.cells_file else None
        self._specimen = SimulatedBrain(settings.brain, self._layout, settings.depths, cells_file)
        self._cells = table(self._specimen.cells)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            raise Refused(
                f"imaging folder {self._folder.as_posix()} cannot be written to "
                f"({error.strerror}); name another as mesoscope.imaging_folder"
            ) from error

    def handle(self, message: Start | Edge | Position | TrialStart) -> None:
        """Begin a file, end it, or take in what the animal now sees."""
        if self._specimen is None:
            return
        match message:
            case Start():
                self._start = message
                if not self.settings.starts_on:
                    self._grab = self._begin(message, self._specimen)
            case Edge(line=self.settings.starts_on, up=True) if self._start is not None:
                self._grab = self._grab or self._begin(self._start, self._specimen)
            case Edge(line=self.settings.starts_on, up=False) if self._grab is not None:
                self._grab.stop()
            case TrialStart():
                self._specimen.tuning.begin(message)
            case Position():
                self._trail.add(message)
            case _:
                pass

    def tick(self, now: int) -> None:
        """Begin the next frame with its edges, then save the one that is over."""
        if self._grab is None:
            return
        for t in self._grab.begin(now):
            self.publish(Pulse(t, FRAME_CLOCK))
        self._grab.save()
        if self._grab.is_over:
            self.close()

    def next_due(self, due: int, now: int) -> int:
        """Have every frame last as long as it takes to scan, also one that began late."""
        period = round(1e9 / self.settings.frame_rate_hz)
        return due + period if now - due < _LATE * period else now + period

    def close(self) -> None:
        """Finish the frame that is being scanned, and the file."""
        if self._grab is not None:
            self._grab.close()
            self._grab = None

    def _begin(self, start: Start, specimen: SimulatedBrain) -> SimulatedAcquisition:
        settings = self.settings
        began = start.session.get("began")
        time = datetime.fromisoformat(began) if began else _EPOCH
        number = 1 + sum(1 for _ in self._folder.glob("*.tif"))
        path = self._folder / f"field_{number:05d}.tif"
        specimen.begin(int(start.session["seed"]))
        writer = Writer(path, self._recording(), time, settings.link)
        truth = TruthWriter(path, self._cells, specimen.blocks_px)
        piece_bytes = settings.piece_kb * 1024
        return SimulatedAcquisition(
            specimen, writer, truth, settings.planted, piece_bytes, self._trail
        )

    def _recording(self) -> Recording:
        settings, layout = self.settings, self._layout
        zs_um = tuple(_FIRST_Z_UM + _NEXT_Z_UM * i for i in range(settings.depths))
        size_deg = layout.width_px * _DEGREES_A_PX, layout.height_px * _DEGREES_A_PX
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
