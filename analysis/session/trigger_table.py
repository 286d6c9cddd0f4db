"""The triggers of the closed loop as a table, and how long each line was up."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

NOT_ANSWERED = "not answered"
"""Value of `refused` for a trigger that the hardware did not answer."""


def trigger_table(
    triggers: pd.DataFrame,
    outputs: pd.DataFrame,
    edges: pd.DataFrame,
    at: Callable[[ArrayLike], pd.DataFrame],
) -> pd.DataFrame:
    """Return one row per trigger, in the order of the log.

    Args:
        triggers: The Trigger messages.
        outputs: The TriggerOutput messages, which answer them.
        edges: The Edge messages.
        at: Function that returns the Position at each time (s).

    Returns:
        t_s: When the rule became true: the tick of the wheel, or the arrival of the frame.
        rule, line, trial, stimulus, hold, sham, frame: As in Trigger.
        position_m: Position at that time; for a frame, at the middle of its scan.
        line_s: When the line rose, or would have risen in a sham trial; NaN if refused.
        line_position_m: Position at line_s.
        up_ms: How long the line was up, ms; 0 if it did not rise.
        refused: Why the trigger was refused; "" if it was not.
    """
    answers = outputs.drop_duplicates("id").set_index("id")
    refused = triggers.id.map(answers.refused).fillna(NOT_ANSWERED).astype("str")
    line_s = triggers.id.map(answers.t_s).where(refused == "").astype(float)
    up_ms = triggers.id.map(answers.up_ms).fillna(0.0).astype(float)
    rows = zip(triggers.line, line_s, up_ms, strict=True)
    lasted = [_lasted_ms(edges, line, rose_s, ms) for line, rose_s, ms in rows]
    columns = {
        **{name: triggers[name] for name in ("t_s", "rule", "line", "trial", "stimulus")},
        "position_m": triggers.position_m,
        "frame": triggers.frame,
        "hold": triggers.hold,
        "sham": triggers.sham,
        "line_s": line_s,
        "line_position_m": at(line_s).position_m.where(line_s.notna()),
        "up_ms": np.array(lasted, np.float64),
        "refused": refused,
    }
    return pd.DataFrame(columns)


def _lasted_ms(edges: pd.DataFrame, line: str, rose_s: float, up_ms: float) -> float:
    """Return how long a line was up, ms: until its next falling edge, or else as requested."""
    if not up_ms:
        return 0.0
    falls = edges.t_s[(edges.line == line) & ~edges.up.astype(bool) & (edges.t_s >= rose_s)]
    return up_ms if falls.empty else float(falls.iloc[0] - rose_s) * 1e3


def line_latencies_s(
    triggers: pd.DataFrame, decoded: pd.DataFrame, lag_frames: int
) -> dict[str, NDArray[np.float64]]:
    """Return the latencies of triggers by name, one value per line that rose or was a sham.

    Args:
        triggers: The table that trigger_table returns.
        decoded: Session.decoded.
        lag_frames: Number of frames after which the values of a frame are final.

    Returns:
        position_to_line: From the tick at which the rule became true to the rise of the line.
        frame_to_line: From the arrival of the frame that made the values final to the rise.
        activity_to_line: From the arrival of the frame whose values made the rule true to the rise.
    """
    answered = triggers[triggers.line_s.notna()]
    if not len(triggers):
        return {}
    by_tick, by_frame = answered[answered.frame.isna()], answered[answered.frame.notna()]
    complete_s = decoded.t_s.shift(-lag_frames).to_numpy()
    arrived = pd.Series(complete_s, index=decoded.frame.to_numpy())
    arrived = arrived[~arrived.index.duplicated()]
    frame_s = (by_frame.line_s - by_frame.frame.map(arrived)).dropna()
    named = {
        "position_to_line": (by_tick.line_s - by_tick.t_s).to_numpy(),
        "frame_to_line": frame_s.to_numpy(),
        "activity_to_line": (by_frame.line_s - by_frame.t_s).to_numpy(),
    }
    return {name: values for name, values in named.items() if values.size}
