"""Export to ALF files, the names of the International Brain Laboratory's ONE convention.

A file is named object.attribute.extension. The folder is SUBJECT/DATE/NUMBER/alf.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.export.contents import Contents, write_whole

_NUMBER_DIGITS = 3


def alf_arrays(contents: Contents) -> dict[str, NDArray[Any]]:
    """Return the arrays of a session by ALF name: times in s, positions in m, volumes in ul.

    Trials are those that were completed. An object without any event is left out.
    """
    session, trials = contents.session, contents.trials
    wheel = session.wheel
    arrays = {
        "trials.intervals": trials[["start_s", "end_s"]].to_numpy(np.float64),
        "trials.stimulus": trials.stimulus.to_numpy(str),
        "trials.rewarded": trials.rewarded.to_numpy(bool),
        "trials.goCue_times": trials.cue_s.to_numpy(np.float64),
        "trials.cue_position": trials.cue_position_m.to_numpy(np.float64),
        "trials.feedback_times": trials.reward_s.to_numpy(np.float64),
        "licks.times": session.licks.t_s.to_numpy(np.float64),
        "licks.position": session.licks.position_m.to_numpy(np.float64),
        "rewards.times": session.rewards.t_s.to_numpy(np.float64),
        "rewards.volume": session.rewards.volume_ul.to_numpy(np.float64),
        "wheel.timestamps": wheel.t_s.to_numpy(np.float64),
        "wheel.position": wheel.cm.to_numpy(np.float64) / 100,
        "corridor.times": session.position.t_s.to_numpy(np.float64),
        "corridor.position": session.position.position_m.to_numpy(np.float64),
        "frames.times": session.frames.t_s.to_numpy(np.float64),
        "flips.times": session.flips.t_s.to_numpy(np.float64),
        "mpci.times": contents.frames.middle_s.to_numpy(np.float64),
    }
    return {name: values for name, values in arrays.items() if len(values)}


def write_alf(contents: Contents, root: Path) -> list[Path]:
    """Write a session's ALF files below `root`; return them."""
    number = int(contents.session.folder.name.rpartition("_")[2])
    date = f"{contents.began:%Y-%m-%d}"
    folder = root / contents.subject / date / f"{number:0{_NUMBER_DIGITS}d}" / "alf"
    written = []
    for name, values in alf_arrays(contents).items():
        path = folder / f"{name}.npy"
        write_whole(path, _saver(values))
        written.append(path)
    if contents.cells is not None:
        path = folder / "mpci.ROIActivityDeconvolved.npy"
        write_whole(path, _saver(contents.session.traces))
        written.append(path)
    return written


def _saver(values: NDArray[Any]) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, values, allow_pickle=False)

    return save
