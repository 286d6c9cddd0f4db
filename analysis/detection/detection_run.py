"""Search: the cells of all depths and strips, found in what is imaged first."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.model import Cells
from analysis.cells.run_length_masks import cells_of, runs_of
from analysis.detection.cell_detector import CellDetector, FindSettings
from analysis.extraction.strip import PipelineSettings, StripRows
from analysis.registration.reference_images import ReferenceImages
from rig.messages import CellsFound, Frame


class DetectionRun:
    """Looks at pages until its time is over; then it has cells, and the field as it found them."""

    def __init__(
        self,
        settings: FindSettings,
        regions: Sequence[dict[str, Any]],
        shape: tuple[int, int],
        how: PipelineSettings,
    ) -> None:
        """Begin, for pages of shape (height_px, width_px)."""
        self.shape = shape
        self._settings, self._how = settings, how
        self._rows = [StripRows(r["plane"], r["first_row"], r["height_px"]) for r in regions]
        self._strips: dict[int, list[tuple[StripRows, CellDetector]]] = {}
        self._began_s: float | None = None

    def add(self, frame: Frame, time_s: float) -> bool:
        """Take in a page; return whether the time is over: then the page is not looked at."""
        if self._began_s is None:
            self._began_s = time_s
        if time_s - self._began_s >= self._settings.after_s:
            return True
        if frame.plane not in self._strips:
            self._strips[frame.plane] = self._strips_of(frame.plane)
        for rows, finder in self._strips[frame.plane]:
            finder.add(frame.pixels[rows.first : rows.first + rows.height], time_s)
        return False

    def found(self, frame: Frame) -> list[CellsFound]:
        """Return the cells of each depth, shallowest first, as words of that frame's t."""
        messages = []
        for plane, strips in sorted(self._strips.items()):
            labels, cells = np.zeros(self.shape, np.int32), 0
            for rows, finder in strips:
                part = finder.found()
                labels[rows.first : rows.first + rows.height] = np.where(part, part + cells, 0)
                cells += int(part.max(initial=0))
            said = runs_of(labels).astype("<u4").tobytes()
            messages.append(CellsFound(frame.t, frame.index, plane, *self.shape, cells, said))
        return messages

    def landmarks(self) -> ReferenceImages:
        """Return what is known of the field now: where its masks lie is where its mean pages do."""
        if self._how.landmarks.means is not None:
            return self._how.landmarks
        means = np.zeros((max(self._strips) + 1, *self.shape), np.float32)
        for plane, strips in self._strips.items():
            for rows, finder in strips:
                means[plane, rows.first : rows.first + rows.height] = finder.mean()
        return replace(self._how.landmarks, means=means)

    def _strips_of(self, plane: int) -> list[tuple[StripRows, CellDetector]]:
        places = [rows for rows in self._rows if rows.plane == plane]
        strips = []
        for rows in places or [StripRows(plane, 0, self.shape[0])]:
            shape = (rows.height, self.shape[1])
            mean = self._how.landmarks.mean(plane, rows.first, shape)
            strips.append((rows, CellDetector(shape, self._settings, self._how.motion, mean)))
        return strips


def found_cells(messages: Sequence[CellsFound]) -> Cells | None:
    """Return the cells that words of all depths tell of; None if there is none."""
    runs: list[NDArray[np.int64]] = []
    for message in messages:
        of_depth = np.frombuffer(message.runs, "<u4").reshape(-1, 4).astype(np.int64)
        plane = np.full((len(of_depth), 1), message.plane)
        runs.append(np.hstack([plane, of_depth]))
    joined = np.concatenate(runs) if runs else np.zeros((0, 5), np.int64)
    return cells_of(joined) if len(joined) else None
