"""Summarize a session from its log."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.session.findings import LAUNCH_DIED, findings
from analysis.session.lick_metrics import performance
from analysis.session.photodiode_delay import photodiode_delays_s
from analysis.session.session import Session
from analysis.session.trigger_table import line_latencies_s

_TRIAL = {
    "trial": "number",
    "stimulus": "stimulus",
    "rewarded": "rewarded",
    "outcome": "outcome",
    "cue_position_m": "cue_position_m",
    "reward_position_m": "reward_position_m",
    "licks": "licks",
}

_SAME_TIME_S = 1e-6
"""Times closer than this are the same, s; they differ by rounding."""


def summarise(folder: Path, frames_written: int, reason: str | None = None) -> dict[str, Any]:
    """Return the summary of a session, ready for JSON; undefined values are None.

    If several depths are scanned or several channels saved, an analysed frame is a volume of
    pages_a_volume pages. Aborted trials are listed, but not counted in trials_done. Water, licks
    and distance are those of the whole session, aborted trials included.

    Args:
        folder: The session folder.
        frames_written: Number of imaging pages in the files.
        reason: Why the session ended; default: as logged.

    Raises:
        Refused: The folder has no log.
    """
    session = Session(folder, alone=True)
    trials, settings = session.trials, session.settings
    fractions = session.decoded.selective_fraction
    by_hand = session.rewards.manual.astype(bool)
    found = findings(session, frames_written, reason)
    return {
        "subject": settings.get("subject"),
        "task": settings.get("task_name"),
        "cohort": settings.get("task", {}).get("cohort"),
        "seed": settings.get("seed"),
        "continues": settings.get("continues") or None,
        "began": settings.get("began"),
        "version": settings.get("about", {}).get("rig"),
        "trials": list(_rows(trials[list(_TRIAL)].rename(columns=_TRIAL))),
        "trials_done": int((trials.outcome == "done").sum()),
        "responses": _responses(session),
        "rewards": int((~by_hand).sum()),
        "by_hand_ul": float(session.rewards.volume_ul[by_hand].sum()),
        "water_ul": float(session.rewards.volume_ul.sum()),
        "licks": len(session.licks),
        "distance_m": _distance_m(session.wheel),
        "frames_written": frames_written,
        "frames_streamed": len(session.frames),
        "frames_analysed": len(session.decoded) or (0 if _is_analysed(settings) else None),
        "pages_a_volume": len(session.frames[["plane", "channel"]].drop_duplicates()) or 1,
        "cells_found": int(session.found.cells.sum()) if len(session.found) else None,
        "overruns": session.overruns,
        "flips": len(session.flips),
        "flips_late": int(session.flips.late.sum()),
        "integrity": _integrity(session.integrity),
        "latency_ms": {name: _spread(values) for name, values in latencies_s(session).items()},
        "triggers": _triggers(session.triggers),
        "selective_fraction": _plain(fractions.iloc[-1]) if len(fractions) else None,
        "gaps": session.gaps.total(),
        "faults": list(_rows(session.faults)),
        "findings": [msgspec.structs.asdict(one) for one in found],
        "notes": list(_rows(session.orders.loc[session.orders.verb == "note", ["t_s", "text"]])),
        "recovered": session.recovered,
        "end_reason": reason or session.end_reason or LAUNCH_DIED,
    }


def _responses(session: Session) -> dict[str, list[int]]:
    """Return, for each stimulus, the numbers of trials with a lick response and of all trials."""
    rates = performance(session.trials, session.licks).by_stimulus
    return {name: [rate.responses, rate.trials] for name, rate in rates.items()}


def _is_analysed(settings: dict[str, Any]) -> bool:
    """Return True if the session had an online node, even if it published nothing."""
    nodes = settings.get("nodes", {}).values()
    return any(node.get("run") == "analysis.online" for node in nodes)


def _integrity(messages: pd.DataFrame) -> dict[str, Any] | None:
    """Return the verdict, the counts, and the number of each finding; None without messages."""
    if not len(messages):
        return None
    last = messages.iloc[-1]
    found = Counter(name for findings in messages.findings for name in findings)
    return {
        "sound": bool(messages.sound.all()),
        "edges": int(last.edges),
        "pages": int(last.pages),
        "findings": dict(sorted(found.items())),
    }


def _triggers(triggers: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return, per trigger of the closed loop, how often its line rose, and why it did not."""
    refused = triggers.refused != ""
    kinds = {"lines": ~refused & ~triggers.sham, "shams": ~refused & triggers.sham}
    return {
        str(rule): {
            **{name: int(of[triggers.rule == rule].sum()) for name, of in kinds.items()},
            "refused": int(refused[triggers.rule == rule].sum()),
        }
        for rule in triggers.rule.unique()
    }


def _distance_m(wheel: pd.DataFrame) -> float:
    """Return the distance that the mouse ran, m."""
    return float(wheel.cm.iloc[-1]) / 100 if len(wheel) else 0.0


def latencies_s(session: Session) -> dict[str, NDArray[np.float64]]:
    """Return the latencies of the rig by name, in seconds, one value per event."""
    rewards = session.rewards.dropna(subset="lick_t_s")
    flips, decoded = session.flips, session.decoded
    # A flip before the first Position shows no sample of the wheel.
    shown = flips[flips.wheel_t_s.isin(session.wheel.t_s)].drop_duplicates("wheel_t_s")
    return {
        "lick_to_valve": (rewards.t_s - rewards.lick_t_s).to_numpy(),
        "wheel_to_flip": (shown.t_s - shown.wheel_t_s).to_numpy(),
        "flip_to_photodiode": photodiode_delays_s(session),
        "frame_to_decoded": frame_latencies_s(decoded, _lag_frames(session.settings)),
        **trigger_latencies_s(session, session.triggers),
    }


def frame_latencies_s(decoded: pd.DataFrame, lag_frames: int) -> NDArray[np.float64]:
    """Return the time from the frame that makes values final to their publication, s.

    The values of a frame become final when the frame `lag_frames` later arrives. If that frame is
    of the next part of a continued session, they never did, and there is no latency.
    """
    final_s = decoded.t_s.to_numpy()[lag_frames:]
    latency_s = decoded.sent_s.to_numpy()[: len(final_s)] - final_s
    return np.asarray(latency_s[latency_s > -_SAME_TIME_S], np.float64)


def trigger_latencies_s(session: Session, triggers: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Return the latencies of some triggers of a session: see line_latencies_s."""
    return line_latencies_s(triggers, session.decoded, _lag_frames(session.settings))


def _lag_frames(settings: dict[str, Any]) -> int:
    traces = settings.get("nodes", {}).get("online", {}).get("traces", {})
    return int(traces.get("deconvolution_lag_frames", 0))


def _spread(values_s: NDArray[np.float64]) -> dict[str, float | int | None]:
    """Return median, 99th percentile and maximum in ms, and the number of values."""
    if not values_s.size:
        return {"p50": None, "p99": None, "max": None, "n": 0}
    ms = values_s * 1e3
    p50, p99 = np.percentile(ms, [50, 99])
    return {"p50": float(p50), "p99": float(p99), "max": float(ms.max()), "n": ms.size}


def _rows(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in table.to_dict("records"):
        yield {str(name): _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    """Return a value of a table for JSON: NaN becomes None."""
    return None if pd.isna(value) else value
