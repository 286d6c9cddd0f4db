"""Detect the cells of all depths and strips in the first minutes of a session."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.model import Cells
from analysis.cells.run_length_masks import decode_runs, encode_runs
from analysis.detection.cell_detector import CellDetector, FindSettings
from analysis.extraction.strip import PipelineSettings, StripRows
from analysis.registration.reference_images import ReferenceImages
from rig.messages import CellsFound, Frame


class DetectionRun:
    """A search for cells in the pages of a given time; their means become reference images."""

    def __init__(
        self,
        settings: FindSettings,
        regions: Sequence[dict[str, Any]],
        shape: tuple[int, int],
        pipeline: PipelineSettings,
    ) -> None:
        """Start without pages; pages have the shape (height_px, width_px)."""
        self.shape = shape
        self._settings, self._pipeline = settings, pipeline
        self._rows = [StripRows(r["plane"], r["first_row"], r["height_px"]) for r in regions]
        self._strips: dict[int, list[tuple[StripRows, CellDetector]]] = {}
        self._began_s: float | None = None

    def add_page(self, frame: Frame, time_s: float) -> bool:
        """Search a page. If the time of the search is over, ignore the page and return True."""
        if self._began_s is None:
            self._began_s = time_s
        if time_s - self._began_s >= self._settings.after_s:
            return True
        if frame.plane not in self._strips:
            self._strips[frame.plane] = self._make_strips(frame.plane)
        for rows, detector in self._strips[frame.plane]:
            detector.add_page(frame.pixels[rows.first : rows.first + rows.height], time_s)
        return False

    def find_cells(self, frame: Frame) -> list[CellsFound]:
        """Return one message per depth, shallowest first, with the `t` of this frame."""
        messages = []
        for plane, strips in sorted(self._strips.items()):
            labels, cells = np.zeros(self.shape, np.int32), 0
            for rows, detector in strips:
                part = detector.find_cells()
                labels[rows.first : rows.first + rows.height] = np.where(part, part + cells, 0)
                cells += int(part.max(initial=0))
            runs = encode_runs(labels).astype("<u4").tobytes()
            messages.append(CellsFound(frame.t, frame.index, plane, *self.shape, cells, runs))
        return messages

    def reference(self) -> ReferenceImages:
        """Return the reference images of the session, or else the mean of the searched pages."""
        if self._pipeline.reference.means is not None:
            return self._pipeline.reference
        means = np.zeros((max(self._strips) + 1, *self.shape), np.float32)
        for plane, strips in self._strips.items():
            for rows, detector in strips:
                means[plane, rows.first : rows.first + rows.height] = detector.mean()
        return replace(self._pipeline.reference, means=means)

    def _make_strips(self, plane: int) -> list[tuple[StripRows, CellDetector]]:
        places = [rows for rows in self._rows if rows.plane == plane]
        strips = []
        for rows in places or [StripRows(plane, 0, self.shape[0])]:
            shape = (rows.height, self.shape[1])
            mean = self._pipeline.reference.mean(plane, rows.first, shape)
            detector = CellDetector(shape, self._settings, self._pipeline.motion, mean)
            strips.append((rows, detector))
        return strips


def cells_of(messages: Sequence[CellsFound]) -> Cells | None:
    """Return the cells of the messages of all depths; None if there is none."""
    runs: list[NDArray[np.int64]] = []
    for message in messages:
        of_depth = np.frombuffer(message.runs, "<u4").reshape(-1, 4).astype(np.int64)
        plane = np.full((len(of_depth), 1), message.plane)
        runs.append(np.hstack([plane, of_depth]))
    joined = np.concatenate(runs) if runs else np.zeros((0, 5), np.int64)
    return decode_runs(joined) if len(joined) else None
