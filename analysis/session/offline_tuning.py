"""The cells of a recorded session and their tuning, computed from its folder."""

from collections.abc import Hashable, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cells.model import Cells
from analysis.cells.read_cells import read_cells
from analysis.cells.run_length_masks import label_image
from analysis.cells.suite2p_layout import to_pages
from analysis.detection.detection_run import cells_of
from analysis.session.session import Session
from analysis.signals.scratch import ScratchRows
from analysis.signals.tuning import BINS, Tuning
from rig.messages import CellsFound

Floats = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)


def imaged_cells(session: Session) -> Cells | None:
    """Return the cells of a session, from its file or detected; None if there are none."""
    rows: list[Any] = session.found.to_dict("records")
    messages = [
        CellsFound(0, *(row[name] for name in CellsFound.__struct_fields__[1:])) for row in rows
    ]
    if messages:
        return cells_of(messages)
    online = session.settings.get("nodes", {}).get("online", {})
    path, areas = (str(online.get(name) or "") for name in ("cells_file", "areas_file"))
    if not (session.folder / path).is_file():
        return None
    use_iscell = bool(online.get("use_iscell", True))
    return read_cells(session.folder / path, session.folder / areas if areas else None, use_iscell)


def cells_on_pages(session: Session) -> Cells | None:
    """Return `imaged_cells` with their pixels and depths on the pages of the scan."""
    cells, frames, scans = imaged_cells(session), session.frames, session.scans
    if cells is None or not len(frames):
        return None
    shape = int(frames.height_px.iloc[0]), int(frames.width_px.iloc[0])
    regions = list(scans.regions.iloc[-1]) if len(scans) else []
    depths = len(scans.depths_um.iloc[-1]) if len(scans) else 1
    online = session.settings["nodes"]["online"]
    return to_pages(cells, regions, depths, shape, online.get("cells_layout", "auto"))


def placed_cells(session: Session) -> Cells | None:
    """Return `cells_on_pages`, or if no page was streamed `imaged_cells`."""
    cells = cells_on_pages(session)
    return imaged_cells(session) if cells is None else cells


def scanned_pixels(session: Session) -> NDArray[np.bool_]:
    """Return True for scanned pixels of a page, False between strips: (height_px, width_px)."""
    frames, scans = session.frames, session.scans
    shape = int(frames.height_px.iloc[0]), int(frames.width_px.iloc[0])
    regions = list(scans.regions.iloc[-1]) if len(scans) else []
    inside = np.full(shape, not regions)
    for region in regions:
        rows = slice(region["first_row"], region["first_row"] + region["height_px"])
        inside[rows, : region["width_px"]] = True
    return inside


def found_labels(session: Session) -> NDArray[np.int32] | None:
    """Return the label image of the cells detected in a session: (depths, height_px, width_px).

    It can be the cells_file of another session. None if no cell was detected.
    """
    cells = imaged_cells(session) if len(session.found) else None
    if cells is None:
        return None
    last = session.found.iloc[-1]
    return label_image(cells, int(last.plane) + 1, (int(last.height_px), int(last.width_px)))


def mean_tuning(session: Session, stimulus: str) -> Floats:
    """Return the mean activity of each cell by position in a stimulus: (60, cells).

    The mean is over the completed corridors of the stimulus; NaN if there was none.
    """
    trials = session.trials
    done = trials[(trials.outcome == "done") & (trials.picture == "corridor")]
    return mean_tunings(session, {stimulus: done.trial[done.stimulus == stimulus].tolist()})[
        stimulus
    ]


def mean_tunings(session: Session, groups: Mapping[Key, Sequence[int]]) -> dict[Key, Floats]:
    """Return the mean activity of each cell by position over groups of trials: (60, cells) each.

    The activity is interpolated in the same way as online, over all completed corridors; if cells
    were detected during the session, over those that began after the detection. NaN for a group
    without such trials.
    """
    decoded, traces, trials = session.decoded, session.traces, session.trials
    completed = trials[(trials.outcome == "done") & (trials.picture == "corridor")]
    if len(session.found):
        completed = session.analysed_trials
    lengths_m = (completed.texture_m + completed.grey_m).set_axis(completed.trial)
    cells = traces.shape[1] if traces.ndim == 2 else 0
    means = {key: np.full((BINS, cells), np.nan) for key in groups}
    if not traces.size or not any(map(len, groups.values())):
        return means
    with closing(ScratchRows(None, cells)) as store:
        tuning = Tuning(cells, store, _ignore)
        for trial in completed.trial:
            tuning.start_trial(int(trial))
        moving = _moving(decoded, completed.trial)
        fractions = moving.position_m / moving.trial.map(lengths_m)
        for row, trial, fraction in zip(moving.index, moving.trial, fractions, strict=True):
            tuning.add_frame(int(trial), float(fraction), traces[row])
        for key, members in groups.items():
            rows = [index for t in members if (index := tuning.index(int(t))) is not None]
            if rows:
                total = sum((tuning.rows(index) for index in rows), np.zeros((BINS, cells)))
                means[key] = total / len(rows)
    return means


def _moving(decoded: pd.DataFrame, corridors: "pd.Series[int]") -> pd.DataFrame:
    """Return the moving frames of corridors, in order of their scan."""
    chosen = decoded[decoded.moving & (decoded.position_m >= 0) & decoded.trial.isin(corridors)]
    return chosen.sort_values("frame", kind="stable")


def _ignore(point: int, row: NDArray[np.float32]) -> None:
    """Do nothing: rows are read from the store."""
