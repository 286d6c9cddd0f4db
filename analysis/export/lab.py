"""Export to the files that the study's own analysis scripts read.

Names, shapes and units are those of the data of Zhong et al. 2025 (doi 10.25378/janelia.28811129):
positions in decimetres, times as MATLAB date numbers (days).

    beh/Beh_EXPTYPE.npy              {KEY: one dict a session}
    beh/Imaging_Exp_info.npy         {EXPTYPE: [{mname, datexp, blk}, ...]}
    spk/KEY_neural_data.npy          {"spks": [neurons x frames, one array a plane]}
    retinotopy/MOUSE_DATE_trans.npz  xy_t (neurons, 2), iarea (neurons,)
    retinotopy/areas.npz             out: the outline of each of the ten areas

KEY is MOUSE_YYYY_MM_DD_BLOCK. In Beh_EXPTYPE.npy it is followed by _swap1 or _swap2 for test3, and
by _dayN for the behavior-only cohorts.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import GROUPS
from analysis.export.contents import WINDOW_FRAMES, Contents, Floats
from analysis.export.files import Write, write_files
from analysis.export.retinotopy import atlas_positions, retinotopy_arrays
from rig.errors import Refused
from rig.messages import TrialEnd
from rig.settings.config import read_session
from rig.transport.log import LOG_FILE, read_kinds

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
_INDEX_FILE = "beh/Imaging_Exp_info.npy"
_DM = 10.0
"""Decimetres per metre."""
_SWAP = "leaf1_"
"""Prefix of the name of a swapped corridor; the rest of the name is its STIMTYPE."""
_COHORTS = {"task": "sup", "unrewarded": "unsup", "naive": "naive"}
_PRETRAINED = {
    "pretrained": "pretrain_on_nat_image",
    "grating_pretrained": "pretrain_on_grat_image",
    "not_pretrained": "no_pretrain",
}
"""Experiment type of each behavior-only cohort; its file contains all days of all its mice."""
_PRETRAINING_STAGES = ("pretraining_passive", "pretraining_active")
_MODES = {"active": "Active after cue", "passive": "Passive", "none": "Passive"}
"""Reward mode of the study's scripts for each of ours. For Passive, the scripts count licks before
the cue; this is also right for sessions without water."""


def experiment_type(contents: Contents) -> str:
    """Return the study's name for this kind of session, such as "sup_test1".

    A session does not record whether train1 or train2 was before or after learning; for these,
    give write_lab the whole name, such as sup_train1_before_learning.
    """
    cohort, stage = str(contents.task["cohort"]), str(contents.task["stage"])
    if cohort == "grating":
        return f"{stage}_after_grating" if stage.startswith("test") else f"{stage}_grating"
    if _is_pretraining(contents):
        return _PRETRAINED[cohort]
    return f"{_COHORTS.get(cohort, cohort)}_{stage}"


def session_key(contents: Contents) -> str:
    """Return MOUSE_YYYY_MM_DD_BLOCK; the block is the session's number on that day."""
    return "_".join(_parts(contents))


def write_lab(
    contents: Contents, root: Path, exp_type: str = "", day: int | None = None
) -> list[Path]:
    """Write or extend the study's files under `root`, and return the files written.

    Trials that were not imaged from start to end are left out of a session with imaging, because
    the study's scripts would extrapolate their activity from other trials. Entries of other
    sessions are kept; an older entry of this session is replaced.

    Args:
        contents: The session.
        root: The folder of beh/, spk/ and retinotopy/.
        exp_type: EXPTYPE; if empty, the result of experiment_type.
        day: N of _dayN for a behavior-only cohort; None: count the animal's sessions.

    Raises:
        Refused: No corridor was completed, corridors differ in length, a file that is there cannot
            be extended, or the log of an earlier day cannot be read.
    """
    contents = replace(contents, only_imaged=True)
    exp_type = exp_type or experiment_type(contents)
    name = f"beh/Beh_{exp_type}.npy"
    held = _read_dict(root / name)
    others = {key: held[key] for key in held if not key.startswith(f"{session_key(contents)}_day")}
    entries = others | _entries(contents, day, others)
    # The scripts find the five days of each behavior-only mouse by their order in the file.
    files = {name: _saver(dict(sorted(entries.items())))}
    if contents.cells is not None:
        # The list of sessions is renamed last: what it lists is there.
        files = _imaging_files(contents, root) | files | _index(contents, root, exp_type)
    return write_files(root, files)


def warnings(contents: Contents) -> list[str]:
    """Return sentences on what the study's scripts cannot do with a session's files."""
    contents = replace(contents, only_imaged=True)
    texts = (
        _left_out(contents),
        _empty_areas(contents),
        atlas_positions(contents)[1],
        incomplete_windows(contents),
    )
    return [text for text in texts if text]


def _empty_areas(contents: Contents) -> str:
    """Return a sentence on the groups of areas that have no cell; empty if all have some."""
    empty = [name for name, ids in GROUPS.items() if not np.isin(contents.area, ids).any()]
    if contents.cells is None or not empty:
        return ""
    return (
        f"no cell in {', '.join(empty)} areas: the study's scripts for coding directions, "
        "sequences and reward prediction stop there; give an areas_file"
    )


def _left_out(contents: Contents) -> str:
    """Return a sentence on the trials that are left out; empty if there are none."""
    if not contents.only_imaged or not contents.not_imaged:
        return ""
    return (
        f"{contents.not_imaged} completed trials are left out, because their activity was not "
        "recorded from before their start to after their end"
    )


def incomplete_windows(contents: Contents) -> str:
    """Return a warning if a cue or first lick is too near the first or last frame for the scripts.

    Empty if the scripts can take WINDOW_FRAMES on both sides of each.
    """
    if contents.cells is None:
        return ""
    first_licks = contents.licks.drop_duplicates("number").t_s.to_numpy(np.float64)
    cues = contents.trials.cue_s.to_numpy(np.float64)
    at = contents.frame_at(np.concatenate([cues, first_licks]))
    short = (at < WINDOW_FRAMES) | (at > len(contents.frames) - WINDOW_FRAMES)
    if not short.any():
        return ""
    return (
        f"{int(short.sum())} cues or first licks are less than {WINDOW_FRAMES} frames from the "
        "first or last frame; the study's reward prediction scripts stop there"
    )


def _entries(contents: Contents, day: int | None, held: Iterable[str]) -> dict[str, Any]:
    """Return the entries of a session in Beh_EXPTYPE.npy: one, or one for each swapped corridor."""
    key, behavior = session_key(contents), behavior_dict(contents)
    if _is_pretraining(contents):
        return {f"{key}_day{_day(contents, held) if day is None else day}": behavior}
    swaps = _swaps(contents)
    return {f"{key}_{swap}": _with_one_swap(behavior, swap) for swap in swaps} or {key: behavior}


def _swaps(contents: Contents) -> list[str]:
    """Return the STIMTYPEs of a test3 session: swap1, swap2 or both; none for other stages."""
    shown = set(contents.trials.stimulus) if contents.task["stage"] == "test3" else set()
    return [swap for swap in ("swap1", "swap2") if _SWAP + swap in shown]


def _with_one_swap(behavior: dict[str, Any], swap: str) -> dict[str, Any]:
    """Return the dict with only one swapped corridor in UniqWalls; all trials and frames are kept.

    For test3, the scripts index UniqWalls by position, and expect four walls, one of them swapped.
    """
    walls = behavior["UniqWalls"]
    kept = np.array([_SWAP not in wall or wall == _SWAP + swap for wall in walls])
    trials = {wall: behavior["StimTrial"][wall] for wall in walls[kept].tolist()}
    return behavior | {
        "UniqWalls": walls[kept],
        "stim_id": behavior["stim_id"][kept],
        "StimTrial": trials,
    }


def _index(contents: Contents, root: Path, exp_type: str) -> dict[str, Write]:
    """Return the list of the sessions with imaging, with this one, as a file to write."""
    mouse, date, block = _parts(contents)
    facts = [
        {"mname": mouse, "datexp": date, "blk": block} | ({"stimtype": swap} if swap else {})
        for swap in _swaps(contents) or [""]
    ]
    listed = _read_dict(root / _INDEX_FILE)
    others = [one for one in listed.get(exp_type, []) if one not in facts]
    return {_INDEX_FILE: _saver(listed | {exp_type: [*others, *facts]})}


def _imaging_files(contents: Contents, root: Path) -> dict[str, Write]:
    """Return the files of a session with imaging by name, each as a function that writes it."""
    mouse, date, block = _parts(contents)
    sessions = [one for each in _read_dict(root / _INDEX_FILE).values() for one in each]
    shared = any(
        (one["mname"], one["datexp"]) == (mouse, date) and one["blk"] != block for one in sessions
    )
    maps = retinotopy_arrays(contents, root, f"retinotopy/{mouse}_{date}_trans.npz", shared)
    traces = contents.session.traces
    spikes = [np.ascontiguousarray(traces[:, cells].T) for cells in contents.by_plane]
    return {
        f"spk/{session_key(contents)}_neural_data.npy": _saver({"spks": spikes}),
        **{name: _npz_saver(**arrays) for name, arrays in maps.items()},
    }


def behavior_dict(contents: Contents) -> dict[str, Any]:
    """Return the session as the dict that the study's scripts read.

    Frame arrays have one value for each frame with signals; trial arrays one for each completed
    trial; lick arrays one for each lick in a completed trial.

    Raises:
        Refused: No corridor was completed, or the corridors differ in length.
    """
    if not len(contents.trials):
        what = "imaged from start to end" if _left_out(contents) else "completed"
        raise Refused(f"{contents.session.folder}: no corridor was {what}; nothing to export")
    corridor_dm = _corridor_dm(contents)
    days = _day_numbers(contents.began)
    remarks = [*contents.remarks(), *filter(None, [_left_out(contents)])]
    notes = {"Notes": ". ".join(remarks)} if remarks else {}
    frames = _frame_arrays(contents, corridor_dm)
    trials = _trial_arrays(contents, corridor_dm, days)
    return {**notes, **frames, **trials, **_lick_arrays(contents, days)}


def _frame_arrays(contents: Contents, corridor_dm: float) -> dict[str, Any]:
    frames = contents.frames
    position_dm = frames.position_m.to_numpy() * _DM
    texture_dm = _texture_dm(contents)
    inside = np.isfinite(position_dm)
    return {
        "ft_move": frames.moving.to_numpy(bool),
        "ft_trInd": frames.number.to_numpy(),
        "ft_WallID": frames.stimulus.to_numpy(str),
        "ft_PosCum": frames.number.to_numpy() * corridor_dm + position_dm,
        "ft_CorrSpc": inside & (position_dm < texture_dm),
        "ft_GraySpc": inside & (position_dm >= texture_dm),
    }


def _trial_arrays(
    contents: Contents, corridor_dm: float, days: Callable[[Floats], Floats]
) -> dict[str, Any]:
    trials = contents.trials
    names = trials.stimulus.to_numpy(str)
    unique = np.unique(names)
    cue_s = trials.cue_s.to_numpy(np.float64)
    cue_dm = trials.cue_position_m.to_numpy(np.float64) * _DM
    return {
        "ntrials": len(trials),
        "WallName": names,
        "WallType": np.array([name.split("_")[0].rstrip("0123456789") for name in names]),
        "UniqWalls": unique,
        "stim_id": np.array([STIMULUS_IDS.get(name, UNKNOWN_STIMULUS) for name in unique]),
        "isRew": _is_rewarded(contents),
        "StimTrial": {str(name): names == name for name in unique},
        "Corridor_Length": corridor_dm,
        "SoundPos": cue_dm,
        "SoundDelPos": trials.index.to_numpy() * corridor_dm + cue_dm,
        "SoundTime": days(cue_s),
        "SoundFr": contents.frame_at(cue_s).astype(np.float64),
        "RewPos": trials.reward_position_m.to_numpy(np.float64) * _DM,
        "RewTime": days(trials.reward_s.to_numpy(np.float64)),
        "Trial_start_time": days(trials.start_s.to_numpy(np.float64)),
        "Gray_space_time": days(trials.grey_s.to_numpy(np.float64)),
        "Reward_Mode": _MODES[str(trials.reward_mode.mode().iloc[0])],
        "Reward_Delay_ms": float(trials.reward_delay_ms.iloc[0]),
    }


def _lick_arrays(contents: Contents, days: Callable[[Floats], Floats]) -> dict[str, Any]:
    licks = contents.licks
    t_s = licks.t_s.to_numpy(np.float64)
    return {
        "LickPos": licks.position_m.to_numpy(np.float64) * _DM,
        "LickTrind": licks.number.to_numpy(np.float64),
        "LickTime": days(t_s),
        "LickFr": contents.frame_at(t_s).astype(np.float64),
    }


def _parts(contents: Contents) -> tuple[str, str, str]:
    return contents.subject, f"{contents.began:%Y_%m_%d}", contents.day_and_number[1]


def _is_pretraining(contents: Contents) -> bool:
    """Return whether this is one of the five days of a behavior-only mouse."""
    return contents.task["cohort"] in _PRETRAINED and contents.task["stage"] in _PRETRAINING_STAGES


def _day(contents: Contents, held: Iterable[str]) -> int:
    """Return the day number of a behavior-only mouse's session; day 1 is the passive day.

    A day counts if a corridor was completed in one of its sessions. The sessions are those in the
    folder of this one, and those in the keys of the file.
    """
    own = f"{contents.began:%Y-%m-%d}"
    beside = contents.session.folder.resolve().parent.glob("ses-*")
    days = {_pretraining_day(folder, own) for folder in beside}
    of_mouse = f"{contents.subject}_"
    days |= {
        "-".join(k.removeprefix(of_mouse).split("_")[:3]) for k in held if k.startswith(of_mouse)
    }
    return len({own, *(day for day in days if day and day < own)})


def _pretraining_day(folder: Path, before: str) -> str:
    """Return the date of a session, YYYY-MM-DD; "" unless it has a corridor of pretraining.

    Raises Refused if that cannot be known of a session before the date `before`.
    """
    try:
        session = read_session(folder)
    except Refused:  # not a session
        return ""
    day = session.began[: len("YYYY-MM-DD")]
    if session.task.get("stage") not in _PRETRAINING_STAGES or day >= before:
        return ""
    try:
        ends = [message for _, message in read_kinds(folder / LOG_FILE, {TrialEnd})]
    except (Refused, OSError):
        raise Refused(
            f"{folder} has no readable {LOG_FILE}, so the days cannot be counted; run: rig recover "
            f"{folder}, or give the day: --day N"
        ) from None
    is_run = any(isinstance(end, TrialEnd) and end.outcome == "done" for end in ends)
    return day if is_run else ""


def _corridor_dm(contents: Contents) -> float:
    """Return the length of texture and grey. Raises Refused if it is not the same in all trials."""
    trials = contents.trials
    lengths_m = np.unique(np.round(trials.texture_m + trials.grey_m, 6))
    if len(lengths_m) > 1:
        raise Refused(
            f"{contents.session.folder} has corridors of {lengths_m[0]:g} to {lengths_m[-1]:g} m; "
            "the study's files can have only one length; export csv, alf or nwb"
        )
    return float(lengths_m[0]) * _DM


def _texture_dm(contents: Contents) -> Floats:
    """Return the length of the texture in each frame's trial: (frames,)."""
    lengths = contents.trials.texture_m.to_numpy(np.float64) * _DM
    numbers = np.nan_to_num(contents.frames.number.to_numpy()).astype(np.intp)
    return np.asarray(lengths[numbers])


def _is_rewarded(contents: Contents) -> NDArray[np.bool_]:
    """Return a mask of the trials with the rewarded stimulus, even if the animal gets no water."""
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
        raise Refused(f"{path} does not contain a dict; move it away and export again")
    return held


def _saver(held: dict[str, Any]) -> Write:
    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.save(file, np.array(held, dtype=object), allow_pickle=True)

    return write


def _npz_saver(**arrays: Any) -> Write:
    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, **arrays)

    return write
