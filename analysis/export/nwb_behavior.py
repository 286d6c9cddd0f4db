"""The behavior of a session in NWB: position and speed, events, trials."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.export.contents import Contents

_EVENT_S = 1e-4
"""Resolution of the times of events, seconds."""
_TRIAL_COLUMNS = {
    "stimulus": "name of the wall texture or image",
    "rewarded": "True if the trial could give water",
    "outcome": "done or aborted",
    "reward_mode": "active: at a lick; passive: without a lick; none",
    "cue_position_m": "position of the sound cue, metres; NaN if there was none",
    "cue_s": "time of the sound cue",
    "reward_s": "time of the first reward",
    "reward_position_m": "position of the first reward, metres",
    "licks": "number of licks in the trial",
}


def add_behavior(nwb: Any, contents: Contents) -> None:
    """Add the position in the corridor and the speed at every tick of the wheel."""
    from pynwb import TimeSeries
    from pynwb.behavior import BehavioralTimeSeries, Position, SpatialSeries

    position = contents.session.position
    if not len(position):
        return
    module = nwb.create_processing_module("behavior", "running and the position in the corridor")
    place = SpatialSeries(
        name="corridor_position",
        description="position along the corridor of the trial; 0 where there is no trial",
        data=compressed(position.position_m.to_numpy(np.float32)),
        timestamps=compressed(position.t_s.to_numpy(np.float64)),
        reference_frame="0 is the start of the corridor; positive is the way the mouse runs",
        unit="meters",
    )
    module.add(Position(spatial_series=place))
    speed = TimeSeries(
        name="running_speed",
        description="forward speed of the mouse, over the task's speed window",
        data=compressed(position.speed_cm_s.to_numpy(np.float32)),
        unit="m/s",
        conversion=0.01,
        timestamps=place,
    )
    moving = TimeSeries(
        name="corridor_moving",
        description="1 while the corridor moves, 0 while it does not move",
        data=compressed(position.moving.to_numpy(np.int8)),
        unit="n.a.",
        timestamps=place,
    )
    module.add(BehavioralTimeSeries(time_series=[speed, moving]))


def add_events(nwb: Any, contents: Contents) -> None:
    """Add one table for each kind of event; an empty one is left out, as NWB cannot hold it."""
    from pynwb.event import EventsTable

    for name, (description, table) in _events(contents).items():
        if len(table):
            ordered = table.sort_values("t_s", kind="stable")
            columns = _event_columns(ordered)
            nwb.add_events_table(EventsTable(name=name, description=description, columns=columns))


def add_trials(nwb: Any, contents: Contents) -> None:
    """Add the trials that ended, aborted ones too."""
    trials = contents.session.trials
    ended = trials[np.isfinite(trials.end_s)]
    if not len(ended):
        return
    for name, description in _TRIAL_COLUMNS.items():
        nwb.add_trial_column(name, description)
    for row in ended.to_dict("records"):
        values = {name: row[name] for name in _TRIAL_COLUMNS}
        nwb.add_trial(start_time=row["start_s"], stop_time=row["end_s"], **values)


def compressed(values: NDArray[Any]) -> Any:
    """Return an array that is compressed when it is written."""
    from hdmf.backends.hdf5 import H5DataIO

    return H5DataIO(values, compression="gzip", compression_opts=4)


def _events(contents: Contents) -> dict[str, tuple[str, pd.DataFrame]]:
    session = contents.session
    licks = session.licks[["t_s", "line", "trial", "position_m"]]
    rewards = session.rewards[["t_s", "line", "volume_ul", "open_ms", "manual", "trial"]]
    cues = session.trials[["cue_s", "trial", "cue_position_m"]].dropna()
    return {
        "licks": ("onsets of licks at a spout", licks),
        "rewards": ("openings of a water valve, timed by the device", rewards),
        "cues": ("sound cues", cues.rename(columns={"cue_s": "t_s"})),
        "flips": ("frames shown on the screens", session.flips[["t_s", "number", "late"]]),
        "imaging_frames": (
            "imaging frames as they arrived",
            session.frames[["t_s", "index", "plane", "channel"]],
        ),
        "triggers": (
            "triggers of the closed loop: when the rule became true; line_s: when the line rose",
            session.triggers.drop(columns=["frame", "hold"]),
        ),
        "operator_requests": ("what the operator asked for", session.orders),
        "faults": ("what was wrong", session.faults[["t_s", "text"]]),
    }


def _event_columns(events: pd.DataFrame) -> list[Any]:
    from hdmf.common import VectorData
    from pynwb.event import TimestampVectorData

    times = TimestampVectorData(
        name="timestamp",
        description="seconds of the session clock",
        data=events.t_s.to_numpy(np.float64),
        resolution=_EVENT_S,
    )
    columns = [times]
    for name in events.columns.drop("t_s"):
        values = events[name].to_numpy()
        data = values if values.dtype.kind in "biuf" else [str(value) for value in values]
        columns.append(VectorData(name=name, description=name.replace("_", " "), data=data))
    return columns
