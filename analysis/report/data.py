"""The data of a report, read once for all its sections."""

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from analysis.report.colours import stimulus_colours
from analysis.session import lick_metrics
from analysis.session.across_days import OtherDay, other_day
from analysis.session.findings import Finding, findings
from analysis.session.learning_arrays import LearningArrays, learning_arrays
from analysis.session.session import Session
from rig.errors import Refused


class ReportData(msgspec.Struct, frozen=True):
    """The data of a session that its report needs; aborted trials are only in `session`."""

    session: Session
    findings: list[Finding]
    """Everything that went wrong."""
    done: pd.DataFrame
    """Completed corridors: rows of Session.trials."""
    run: pd.DataFrame
    """Corridors that were completed, or cut off by the end of the session, for speed."""
    licks: pd.DataFrame
    """The licks in `done`."""
    colours: dict[str, str]
    """Colour of each stimulus; rewarded stimuli come first."""
    performance: lick_metrics.Performance
    minutes: float
    distance_m: float
    learning: LearningArrays | None
    """The signals of all trials at the end; None if there are none."""
    other_day: OtherDay | None = None
    """Another session with the same cells."""

    @property
    def length_m(self) -> float:
        """Length of the longest corridor with its grey space, m; 0 if there was no corridor."""
        return float((self.run.texture_m + self.run.grey_m).max()) if len(self.run) else 0.0

    def of(self, stimulus: str) -> pd.DataFrame:
        """Return the completed corridors of a stimulus."""
        return self.done[self.done.stimulus == stimulus]


def read_data(folder: Path, other: Path | None = None) -> ReportData:
    """Read a session for its report, and another one with the same cells.

    Raises Refused if there is nothing to report, or if the other session does not match.
    """
    session = Session(folder)
    if session.completeness is None:
        raise Refused(
            f"{folder} is not closed; if the session is no longer running, run: "
            f"rig recover {folder}"
        )
    if not session.settings:
        raise Refused(f"{folder}: the session ended before it began, so there is nothing to report")
    trials = session.trials
    is_corridor = trials.picture == "corridor"
    done = trials[(trials.outcome == "done") & is_corridor]
    run = trials[(trials.outcome != "aborted") & is_corridor]
    wheel = session.wheel
    distance_m = float(wheel.cm.iloc[-1]) / 100 if len(wheel) else 0.0
    if not len(trials) and not len(session.licks) and not len(session.rewards) and not distance_m:
        raise Refused(
            f"{folder}: there were no trials, licks, rewards or steps, so there is nothing to "
            "report"
        )
    return ReportData(
        session,
        findings(session),
        done,
        run,
        session.licks[session.licks.trial.isin(done.trial)],
        stimulus_colours(
            dict.fromkeys(run.sort_values("rewarded", ascending=False, kind="stable").stimulus)
        ),
        lick_metrics.performance(trials, session.licks),
        _minutes(session),
        distance_m,
        learning_arrays(session),
        other_day(session, other),
    )


def _minutes(session: Session) -> float:
    ends = [table.t_s.max() for table in (session.wheel, session.position) if len(table)]
    return float(np.max(ends)) / 60 if ends else 0.0
