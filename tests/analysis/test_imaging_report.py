"""The imaging half of a report shows what the log says, and says what it cannot show."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from analysis.cells.areas import groups_of
from analysis.session import Session
from analysis.session.offline_tuning import mean_tuning
from analysis.signals.running_signals import RunningSignals
from analysis.signals.selectivity import Selectivity
from analysis.signals.tuning import BINS, TrialStore
from rig.messages import Frame, Message, Start, TrialEnd, Wheel
from tests.analysis import test_truth as truth
from tests.analysis.logs import MS, START, corridor
from tests.analysis.test_report import made
from tests.analysis.test_tuning import by_definition

STIMULI = ("leaf1", "circle1")
TRIALS = 12


def recorded(stimuli: tuple[str, ...], subject: Path) -> tuple[list[Message], list[truth.Step]]:
    """The words of a session with imaging; the steps of its trials that were not aborted."""
    steps, aborted = truth.session(3, stimuli, TRIALS)
    online = {"a": "leaf1", "b": "circle1", "cells_file": "cells.csv"}
    lines = [f"{n},{10 + n},{20 + 3 * n},2,{area}" for n, area in enumerate(truth.AREA)]
    (subject / "cells.csv").write_text("\n".join(["cell,y_px,x_px,radius_px,area", *lines]))
    messages: list[Message] = [Start(0, {**START.session, "nodes": {"online": online}})]
    messages.append(Wheel(0, 0, 0.0))
    with TrialStore(None, truth.CELLS) as store:
        selectivity = Selectivity("leaf1", "circle1", truth.CELLS)
        signals = RunningSignals(selectivity, store, groups_of(truth.AREA), 0.3)
        last = -1
        for at, (trial, stimulus, place, activity) in enumerate(steps):
            t = (at + 1) * 300 * MS
            if trial != last:
                if last >= 0:
                    messages.append(TrialEnd(t - 1, last, "aborted" if last in aborted else "done"))
                    if last in aborted:
                        signals.leave_out(last)
                messages.append(corridor(trial, stimulus, t - 1))
                signals.begin(corridor(trial, stimulus, t - 1))
                last = trial
            placed = msgspec.structs.replace(place, t=t)
            decoded = signals.decoded(Frame(t, at, "", 0, 1, 1, 0.0), placed, activity)
            moved = ((0.25, -1.5, 0.6),)
            messages += [placed, msgspec.structs.replace(decoded, motion=moved)]
        messages.append(TrialEnd((len(steps) + 2) * 300 * MS, last, "done"))
    return messages, [step for step in steps if step[0] not in aborted]


def test_the_log_gives_each_cells_mean_tuning(tmp_path: Path) -> None:
    messages, kept = recorded(STIMULI, tmp_path)
    made(tmp_path, messages)
    got = mean_tuning(Session(tmp_path), "leaf1")
    frames = [(t, p.position_m / 6.0, x[5:8]) for t, _, p, x in kept if p.moving]
    aborted = set(range(TRIALS)) - {step[0] for step in kept}
    whole = by_definition(frames, aborted, TRIALS)
    of_leaf = sorted({step[0] for step in kept if step[1] == "leaf1"})
    wanted = whole[of_leaf].mean(axis=0)
    assert got.shape == (BINS, truth.CELLS)
    np.testing.assert_allclose(got[:, 5:8], wanted, rtol=1e-6, atol=1e-4)


def test_the_page_shows_selectivity_tuning_and_motion(tmp_path: Path) -> None:
    messages, _ = recorded(STIMULI, tmp_path)
    page = made(tmp_path, messages)
    d_prime = Session(tmp_path).d_prime[-1]
    of_leaf, of_circle = int((d_prime >= 0.3).sum()), int((d_prime <= -0.3).sum())
    assert min(of_leaf, of_circle) > 3
    for text in (
        "Selectivity, leaf1 against circle1",
        f"{truth.CELLS - 1} of {truth.CELLS} cells",
        f"{of_leaf} cells selective for leaf1, in circle1",
        f"{of_circle} cells selective for circle1, in leaf1",
        "One strip; 1.52 px in the median",
        "Where the cells lie",
    ):
        assert text in page.text
    bars = [f for f in page.figures if f["layout"].get("barmode") == "stack"]
    bars = [f for f in bars if "all" in f["traces"][0]["x"]]
    stacked = [sum(trace["y"][0] for trace in figure["traces"]) for figure in bars]
    assert stacked == [pytest.approx(100 * (of_leaf + of_circle) / (truth.CELLS - 1), abs=1e-3)]


def test_a_stimulus_never_shown_is_said(tmp_path: Path) -> None:
    messages, _ = recorded(("leaf1", "leaf2"), tmp_path)
    page = made(tmp_path, messages)
    assert "not defined for any cell: no moving texture frame yet of circle1" in page.text
    assert "Tuning by position" not in page.text
