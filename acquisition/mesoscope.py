"""The simulated microscope: grows a ScanImage file of cells that see the corridor."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from acquisition.cells import Cell, Field, Floats, next_calcium, rates_hz, read_cells
from acquisition.packing import Recording
from acquisition.writer import Link, Writer
from rig.messages import Position, Pulse, Start, TrialEnd, TrialStart
from rig.node import Node, Say
from rig.refused import Refused

_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
"""Stands in the file where the session does not tell when it began."""


class Mesoscope(Node):
    """Completes a frame every tick from Start on: saves it, then says the frame clock's Pulse."""

    name = "mesoscope"
    hears = (Start, Position, TrialStart, TrialEnd)
    says = (Pulse,)
    period_s = 1.0 / 3.0
    patience_s = 0.005

    class Settings(Node.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """What the microscope sees, how fast, and where it saves it."""

        cells_file: Annotated[str, msgspec.Meta(min_length=1)]
        imaging_folder: Annotated[str, msgspec.Meta(min_length=1)] = "imaging"
        frame_rate_hz: Annotated[float, msgspec.Meta(gt=0.0, le=60.0)] = 3.0
        height_px: Annotated[int, msgspec.Meta(ge=16, le=2048)] = 128
        width_px: Annotated[int, msgspec.Meta(ge=16, le=2048)] = 128
        link: Link = "pre"
        """Whether a page links to the next one before or after that is there."""
        field_seed: Annotated[int, msgspec.Meta(ge=0)] = 1
        """Another number, another background behind the same cells."""
        decay_s: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 0.7
        """How long a calcium transient takes to fall to 1/e."""

    settings: Settings

    def __init__(self, settings: Settings, say: Say) -> None:
        super().__init__(settings, say)
        self.period_s = 1.0 / settings.frame_rate_hz
        self._folder = Path(settings.imaging_folder)
        self._shape = (settings.height_px, settings.width_px)
        self._cells: list[Cell] = []
        self._field: Field | None = None
        self._scan: _Scan | None = None
        self._trial: TrialStart | None = None
        self._place_m: float | None = None
        """Where the animal runs in the texture; None in grey and at rest."""

    def open(self) -> None:
        """Read the cells and try the folder. Raises Refused if either cannot be had."""
        self._cells = read_cells(Path(self.settings.cells_file), self._shape)
        self._field = Field(self._cells, self._shape, self.settings.field_seed)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            raise Refused(
                f"imaging folder {self._folder.as_posix()} cannot be written to "
                f"({error.strerror}); name another as mesoscope.imaging_folder"
            ) from error

    def hear(self, word: Start | Position | TrialStart | TrialEnd) -> None:
        """Begin a file at Start; else take in what the animal now sees."""
        match word:
            case Start():
                self._begin(word)
            case TrialStart():
                self._trial = word
            case TrialEnd():
                self._trial = None
            case Position():
                self._place_m = self._texture_place_m(word)

    def tick(self, now: int) -> None:
        """Save the frame that has just been scanned, then pulse."""
        if self._scan is None:
            return
        stimulus = self._trial.stimulus if self._trial is not None else None
        self._scan.complete(now, rates_hz(self._cells, stimulus, self._place_m))
        self.say(Pulse(now, "frame_clock"))

    def close(self) -> None:
        """Finish the file."""
        if self._scan is not None:
            self._scan.writer.close()

    def _begin(self, start: Start) -> None:
        if self._field is None:
            return
        began = start.session.get("began")
        time = datetime.fromisoformat(began) if began else _EPOCH
        number = 1 + sum(1 for _ in self._folder.glob("*.tif"))
        path = self._folder / f"field_{number:05d}.tif"
        recording = Recording(shape=self._shape, rate_hz=self.settings.frame_rate_hz)
        writer = Writer(path, recording, time, self.settings.link)
        rng = np.random.default_rng([start.session["seed"], self.settings.field_seed])
        calcium = np.zeros(len(self._cells))
        self._scan = _Scan(self.period_s, self.settings.decay_s, self._field, calcium, writer, rng)

    def _texture_place_m(self, word: Position) -> float | None:
        trial = self._trial
        if trial is None or trial.trial != word.trial or not word.moving:
            return None
        return word.position_m if word.position_m < trial.texture_m else None


@dataclass
class _Scan:
    """One acquisition: what is seen, the cells' calcium, and the file it is saved to."""

    period_s: float
    decay_s: float
    field: Field
    calcium: Floats
    writer: Writer
    rng: np.random.Generator
    first: int | None = None

    def complete(self, now: int, rate_hz: Floats) -> None:
        """Save the next frame, of cells that have spiked at that rate since the last one."""
        self.calcium = next_calcium(self.calcium, rate_hz, self.period_s, self.decay_s, self.rng)
        if self.first is None:
            self.first = now
        picture = self.field.picture(self.calcium, self.rng)
        self.writer.append(picture, (now - self.first) / 1e9)


if __name__ == "__main__":
    from rig.process import run

    run(Mesoscope)
