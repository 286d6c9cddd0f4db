"""A recording once it is over: its cells, and each one's tuning, from the session's log alone."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cells.model import Cells
from analysis.cells.read_cells import read_cells
from analysis.cells.run_length_masks import labels_of
from analysis.detection.detection_run import found_cells
from analysis.session.session import Session
from analysis.signals.tuning import TrialStore, Tuning
from rig.messages import CellsFound

Floats = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)


def imaged_cells(session: Session) -> Cells | None:
    """Return the cells that were imaged, brought or found; None if there is none, or no file."""
    rows: list[Any] = session.found.to_dict("records")
    messages = [
        CellsFound(0, *(row[name] for name in CellsFound.__struct_fields__[1:])) for row in rows
    ]
    if messages:
        return found_cells(messages)
    online = session.settings.get("nodes", {}).get("online", {})
    path, areas = (str(online.get(name) or "") for name in ("cells_file", "areas_file"))
    if not (session.folder / path).is_file():
        return None
    return read_cells(session.folder / path, session.folder / areas if areas else None)


def found_labels(session: Session) -> NDArray[np.int32] | None:
    """Return the label image of the cells found in a session: (depths, height_px, width_px).

    It can be another session's cells_file. None if no cell was found, or none looked for.
    """
    cells = imaged_cells(session) if len(session.found) else None
    if cells is None:
        return None
    last = session.found.iloc[-1]
    return labels_of(cells, int(last.plane) + 1, (int(last.height_px), int(last.width_px)))


def mean_tuning(session: Session, stimulus: str) -> Floats:
    """Return each cell's mean activity by position in a stimulus's done corridors: (60, cells).

    NaN if there was no such corridor.
    """
    trials = session.trials
    done = trials[(trials.outcome == "done") & (trials.picture == "corridor")]
    return mean_tunings(session, {stimulus: done.trial[done.stimulus == stimulus].tolist()})[
        stimulus
    ]


def mean_tunings(session: Session, groups: Mapping[Key, Sequence[int]]) -> dict[Key, Floats]:
    """Return each cell's mean activity by position over each group of trials: (60, cells).

    Activity is interpolated as it was online. NaN for a group without trials.
    """
    decoded, traces, trials = session.decoded, session.traces, session.trials
    corridors = trials[(trials.outcome != "aborted") & (trials.picture == "corridor")]
    lengths_m = (corridors.texture_m + corridors.grey_m).set_axis(corridors.trial)
    cells = traces.shape[1] if traces.ndim == 2 else 0
    means = {key: np.full((60, cells), np.nan) for key in groups}
    if not traces.size or not any(map(len, groups.values())):
        return means
    with TrialStore(None, cells) as store:
        tuning = Tuning(store, _nobody)
        moving = _moving(decoded, corridors.trial)
        places = moving.position_m / moving.trial.map(lengths_m)
        for row, trial, place in zip(moving.index, moving.trial, places, strict=True):
            tuning.add(int(trial), float(place), traces[row])
        tuning.finish(int(corridors.trial.max()) + 1)
        for key, members in groups.items():
            if members:
                total = sum((tuning.trial(int(t)) for t in members), np.zeros((60, cells)))
                means[key] = total / len(members)
    return means


def _moving(decoded: pd.DataFrame, corridors: "pd.Series[int]") -> pd.DataFrame:
    return decoded[decoded.moving & (decoded.position_m >= 0) & decoded.trial.isin(corridors)]


def _nobody(point: int, row: NDArray[np.float32]) -> None:
    """Hear of a point that is read back later."""
