"""A session as its report sees it: read once, with its done corridors and a colour for each."""

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from analysis.report.html import COLOURS
from analysis.session import lick_metrics
from analysis.session.session import Session
from rig.errors import Refused
from rig.transport.log import LOG_FILE, read_completeness


class ReportData(msgspec.Struct, frozen=True):
    """What the sections of a report are made from; aborted trials are in `session` alone."""

    session: Session
    done: pd.DataFrame
    """Corridors that were run to their end: rows of Session.trials."""
    licks: pd.DataFrame
    """The licks in them."""
    colours: dict[str, str]
    """Of each stimulus, rewarded ones first."""
    performance: lick_metrics.Performance
    minutes: float
    distance_m: float

    @property
    def length_m(self) -> float:
        """The longest corridor, with its grey; 0 if there was none."""
        return float((self.done.texture_m + self.done.grey_m).max()) if len(self.done) else 0.0

    def of(self, stimulus: str) -> pd.DataFrame:
        """Return the done corridors of a stimulus."""
        return self.done[self.done.stimulus == stimulus]


def see(folder: Path) -> ReportData:
    """Read a session for its report. Raises Refused with one sentence if there is none to make."""
    session = Session(folder)
    if read_completeness(folder / LOG_FILE) is None:
        raise Refused(f"{folder} is not closed; unless it still runs, run: rig recover {folder}")
    if not session.settings:
        raise Refused(f"{folder} ended before it began: there is nothing to report")
    trials = session.trials
    done = trials[(trials.outcome == "done") & (trials.picture == "corridor")]
    wheel = session.wheel
    distance_m = float(wheel.cm.iloc[-1]) / 100 if len(wheel) else 0.0
    if len(trials) and not (trials.outcome == "done").any():
        raise Refused(f"no trial of {folder} was finished ({len(trials)} begun): nothing to report")
    if not len(trials) and not len(session.licks) and not len(session.rewards) and not distance_m:
        raise Refused(f"in {folder} there was no trial, no lick and no step: nothing to report")
    names = list(dict.fromkeys(done.sort_values("rewarded", ascending=False).stimulus))
    colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(names)}
    return ReportData(
        session,
        done,
        session.licks[session.licks.trial.isin(done.trial)],
        colours,
        lick_metrics.performance(trials, session.licks),
        _minutes(session),
        distance_m,
    )


def _minutes(session: Session) -> float:
    ends = [table.t_s.max() for table in (session.wheel, session.position) if len(table)]
    return float(np.max(ends)) / 60 if ends else 0.0
