"""Export to the files that the study's own analysis scripts read.

Names, shapes and units are those of the data of Zhong et al. 2025 (doi 10.25378/janelia.28811129):
positions in decimetres, times as MATLAB date numbers (days).

    beh/Beh_EXPTYPE.npy              {KEY: one dict a session}
    beh/Imaging_Exp_info.npy         {EXPTYPE: [{mname, datexp, blk}, ...]}
    spk/KEY_neural_data.npy          {"spks": [neurons x frames, one array a plane]}
    retinotopy/MOUSE_DATE_trans.npz  xy_t (neurons, 2), iarea (neurons,)
    retinotopy/areas.npz             out: the outline of each of the ten areas
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from analysis.export.contents import Contents, Floats, write_whole
from rig.errors import Refused

STIMULUS_IDS = {
    "circle1": 0,
    "circle2": 1,
    "leaf1": 2,
    "leaf2": 3,
    "leaf3": 4,
    "leaf1_swap1": 5,
    "leaf1_swap2": 6,
}
UNKNOWN_STIMULUS = -1
"""The id of a stimulus that the study did not show."""
_CORRIDOR_DM = 60.0
_DM = 10.0
"""Decimetres in a metre."""
_AREAS = 10
_COHORTS = {"task": "sup", "unrewarded": "unsup", "naive": "naive", "grating": "grating"}
_MODES = {"active": "Active after cue", "passive": "Passive", "none": "Passive"}
"""The scripts' reward modes. With Passive they count licks before the cue, also without water."""


def experiment_type(contents: Contents) -> str:
    """Return the study's name for this kind of session, such as "sup_test1".

    Whether a train1 or train2 session came before or after learning is not in the session; give
    the whole name (sup_train1_before_learning) to write_lab instead.
    """
    cohort = str(contents.task["cohort"])
    return f"{_COHORTS.get(cohort, cohort)}_{contents.task['stage']}"


def session_key(contents: Contents) -> str:
    """Return MOUSE_YYYY_MM_DD_BLOCK; the block is the session's number on that day."""
    return "_".join(_parts(contents))


def write_lab(contents: Contents, root: Path, exp_type: str = "") -> list[Path]:
    """Write or extend the study's files under `root`, and return the files written.

    Sessions that are already there stay; this one's entry is replaced if it is there.
    Raises Refused if no corridor was completed, or a file that is there cannot be extended.
    """
    if not len(contents.trials):
        raise Refused(f"{contents.session.folder}: no corridor was completed; nothing to export")
    exp_type = exp_type or experiment_type(contents)
    mouse, date, block = _parts(contents)
    key = session_key(contents)
    written = []

    def add(name: str, change: Callable[[dict[str, Any]], None]) -> None:
        path = root / name
        held = _read_dict(path)
        change(held)
        write_whole(path, lambda part: _save(part, held))
        written.append(path)

    behavior = behavior_dict(contents)
    swaps = [s.split("_")[1] for s in ("leaf1_swap1", "leaf1_swap2") if s in behavior["UniqWalls"]]
    suffixes = swaps if contents.task["stage"] == "test3" and swaps else [""]
    keys = [f"{key}_{suffix}".rstrip("_") for suffix in suffixes]
    add(f"beh/Beh_{exp_type}.npy", lambda held: held.update(dict.fromkeys(keys, behavior)))
    if contents.cells is None:
        return written
    facts = [
        {"mname": mouse, "datexp": date, "blk": block} | ({"stimtype": s} if s else {})
        for s in suffixes
    ]

    def list_session(held: dict[str, Any]) -> None:
        others = [one for one in held.get(exp_type, []) if one not in facts]
        held[exp_type] = [*others, *facts]

    add("beh/Imaging_Exp_info.npy", list_session)
    xy_t, area = contents.atlas
    order = np.concatenate(contents.by_plane)
    traces = contents.session.traces
    spikes = {"spks": [np.ascontiguousarray(traces[:, cells].T) for cells in contents.by_plane]}
    files: dict[str, Callable[[Path], None]] = {
        f"spk/{key}_neural_data.npy": lambda part: _save(part, spikes),
        f"retinotopy/{mouse}_{date}_trans.npz": lambda part: _save_npz(
            part, xy_t=xy_t[order], iarea=area[order]
        ),
        "retinotopy/areas.npz": lambda part: _save_npz(part, out=outlines(xy_t, area)),
    }
    for name, write in files.items():
        write_whole(root / name, write)
        written.append(root / name)
    return written


def behavior_dict(contents: Contents) -> dict[str, Any]:
    """Return the session as the study's dict; see the last section of the science notes.

    Frame arrays have one value for each frame with signals; trial arrays one for each completed
    trial; lick arrays one for each lick in a completed trial.
    """
    trials, frames, licks = contents.trials, contents.frames, contents.licks
    names = trials.stimulus.to_numpy(str)
    unique = np.unique(names)
    position_dm = frames.position_m.to_numpy() * _DM
    texture_dm = _texture_dm(contents)
    inside = np.isfinite(position_dm)
    cue_dm = trials.cue_position_m.to_numpy(np.float64) * _DM
    start = trials.index.to_numpy() * _CORRIDOR_DM
    days = _day_numbers(contents.began)
    notes = {"Notes": f"incomplete: {contents.missing}"} if contents.missing else {}
    return {
        **notes,
        "ft_move": frames.moving.to_numpy(bool),
        "ft_trInd": frames.number.to_numpy(),
        "ft_WallID": frames.stimulus.to_numpy(str),
        "ft_PosCum": frames.number.to_numpy() * _CORRIDOR_DM + position_dm,
        "ft_CorrSpc": inside & (position_dm < texture_dm),
        "ft_GraySpc": inside & (position_dm >= texture_dm),
        "ntrials": len(trials),
        "WallName": names,
        "WallType": np.array([name.rstrip("0123456789").split("_")[0] for name in names]),
        "UniqWalls": unique,
        "stim_id": np.array([STIMULUS_IDS.get(name, UNKNOWN_STIMULUS) for name in unique]),
        "isRew": _is_rewarded(contents),
        "StimTrial": {str(name): names == name for name in unique},
        "Corridor_Length": _CORRIDOR_DM,
        "SoundPos": cue_dm,
        "SoundDelPos": start + cue_dm,
        "SoundTime": days(trials.cue_s.to_numpy(np.float64)),
        "SoundFr": contents.frame_at(trials.cue_s.to_numpy(np.float64)).astype(np.float64),
        "RewPos": trials.reward_position_m.to_numpy(np.float64) * _DM,
        "RewTime": days(trials.reward_s.to_numpy(np.float64)),
        "Trial_start_time": days(trials.start_s.to_numpy(np.float64)),
        "Gray_space_time": days(trials.grey_s.to_numpy(np.float64)),
        "Reward_Mode": _MODES[str(trials.reward_mode.mode().iloc[0])],
        "Reward_Delay_ms": float(trials.reward_delay_ms.iloc[0]),
        "LickPos": licks.position_m.to_numpy(np.float64) * _DM,
        "LickTrind": licks.number.to_numpy(np.float64),
        "LickTime": days(licks.t_s.to_numpy(np.float64)),
        "LickFr": contents.frame_at(licks.t_s.to_numpy(np.float64)).astype(np.float64),
    }


def outlines(xy_t: Floats, area: NDArray[np.int16]) -> NDArray[Any]:
    """Return the convex outline (points, 2) of the cells of each area id 0-9, as an object array.

    The study's file holds outlines of a reference atlas; a session knows only where its cells are.
    """
    found = np.empty(_AREAS, object)
    for number in range(_AREAS):
        points = xy_t[area == number]
        try:
            found[number] = points[ConvexHull(points).vertices]
        except (QhullError, ValueError):  # too few cells, or all on one line
            found[number] = points
    return found


def _parts(contents: Contents) -> tuple[str, str, str]:
    block = contents.session.folder.name.rpartition("_")[2]
    return contents.subject, f"{contents.began:%Y_%m_%d}", block


def _texture_dm(contents: Contents) -> Floats:
    """Return the length of the texture in each frame's trial: (frames,)."""
    lengths = contents.trials.texture_m.to_numpy(np.float64) * _DM
    numbers = np.nan_to_num(contents.frames.number.to_numpy()).astype(np.intp)
    return np.asarray(lengths[numbers])


def _is_rewarded(contents: Contents) -> NDArray[np.bool_]:
    """Return which trials show the rewarded stimulus; an unrewarded animal gets no water there."""
    trials = contents.trials
    if trials.rewarded.any():
        return trials.rewarded.to_numpy(bool)
    rewarded = contents.task.get("signals", {}).get("rewarded", "")
    return np.asarray(trials.stimulus == rewarded, bool)


def _day_numbers(began: datetime) -> Callable[[Floats], Floats]:
    """Return a function from seconds of the session to MATLAB date numbers, in local time."""
    midnight = began.replace(hour=0, minute=0, second=0, microsecond=0)
    whole_days = began.toordinal() + 366  # MATLAB counts from the year 0
    offset_s = (began - midnight) / timedelta(seconds=1)

    def days(t_s: Floats) -> Floats:
        return np.asarray(whole_days + (offset_s + t_s) / 86400.0, np.float64)

    return days


def _read_dict(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        held = np.load(path, allow_pickle=True).item()
    except (OSError, ValueError, EOFError, AttributeError, UnpicklingError) as error:
        raise Refused(
            f"{path} cannot be extended ({error}); move it away and export again"
        ) from None
    if not isinstance(held, dict):
        raise Refused(f"{path} holds no dict; move it away and export again")
    return held


def _save(path: Path, held: dict[str, Any]) -> None:
    with path.open("wb") as file:
        np.save(file, np.array(held, dtype=object), allow_pickle=True)


def _save_npz(path: Path, **arrays: Any) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)
