"""Export to ALF files, the names of the International Brain Laboratory's ONE convention.

A file is named object.attribute.extension, and all files of an object have as many rows. The folder
is SUBJECT/DATE/NUMBER/alf. An attribute has no underscore, except in _times: ONE reads the text
after an underscore as the name of a clock.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.export.contents import Contents
from analysis.export.files import Write, write_files

Arrays = dict[str, NDArray[Any]]

_NUMBER_DIGITS = 3
_REMARKS_FILE = "_rig_session.remarks.txt"
"""Name of the file that says if a session was recovered, and what is missing from its log."""


def alf_arrays(contents: Contents) -> Arrays:
    """Return the arrays of a session by ALF name: times in s, positions in m, volumes in ul.

    Only completed trials are exported. An object without events is left out.
    """
    arrays = _trials(contents) | _events(contents) | _cells(contents)
    return {name: values for name, values in arrays.items() if len(values)}


def _trials(contents: Contents) -> Arrays:
    trials = contents.trials
    return {
        "trials.intervals": trials[["start_s", "end_s"]].to_numpy(np.float64),
        "trials.stimulus": trials.stimulus.to_numpy(str),
        "trials.rewarded": trials.rewarded.to_numpy(bool),
        "trials.goCue_times": trials.cue_s.to_numpy(np.float64),
        "trials.cuePosition": trials.cue_position_m.to_numpy(np.float64),
        "trials.feedback_times": trials.reward_s.to_numpy(np.float64),
    }


def _events(contents: Contents) -> Arrays:
    session, wheel = contents.session, contents.session.wheel
    return {
        "licks.times": session.licks.t_s.to_numpy(np.float64),
        "licks.position": session.licks.position_m.to_numpy(np.float64),
        "rewards.times": session.rewards.t_s.to_numpy(np.float64),
        "rewards.volume": session.rewards.volume_ul.to_numpy(np.float64),
        "wheel.timestamps": wheel.t_s.to_numpy(np.float64),
        "wheel.position": wheel.cm.to_numpy(np.float64) / 100,
        "corridor.timestamps": session.position.t_s.to_numpy(np.float64),
        "corridor.position": session.position.position_m.to_numpy(np.float64),
        "frames.times": session.frames.t_s.to_numpy(np.float64),
        "flips.times": session.flips.t_s.to_numpy(np.float64),
    }


def _cells(contents: Contents) -> Arrays:
    """Return the activity (frames, cells), and where each cell is: y, x in pixels and its depth."""
    cells = contents.cells
    if cells is None:
        return {}
    return {
        "mpci.times": contents.frames.middle_s.to_numpy(np.float64),
        "mpci.ROIActivityDeconvolved": contents.session.traces,
        "mpciROIs.stackPos": np.column_stack([cells.centres(), cells.plane]),
        "mpciROIs.area": cells.area,
    }


def write_alf(contents: Contents, root: Path) -> list[Path]:
    """Write a session's ALF files below `root`; return them."""
    number = int(contents.day_and_number[1])
    date = f"{contents.began:%Y-%m-%d}"
    folder = root / contents.subject / date / f"{number:0{_NUMBER_DIGITS}d}" / "alf"
    files = {f"{name}.npy": _saver(values) for name, values in alf_arrays(contents).items()}
    text = "".join(f"{one}\n" for one in contents.remarks())
    if text:
        files[_REMARKS_FILE] = lambda part: _write_text(part, text)
    written = write_files(folder, files)
    if not text:
        (folder / _REMARKS_FILE).unlink(missing_ok=True)  # of an earlier, partial export
    return written


def _saver(values: NDArray[Any]) -> Write:
    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, values, allow_pickle=False)

    return save


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
