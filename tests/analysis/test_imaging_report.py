"""The imaging part of a report shows what is in the log, and lists what is missing."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from analysis.cells.areas import groups_of
from analysis.session import Session
from analysis.session.lick_metrics import Rate, interval
from analysis.session.offline_tuning import mean_tuning, mean_tunings
from analysis.signals.running_signals import RunningSignals
from analysis.signals.tuning import BINS
from rig.messages import CellSignals, Frame, Message, Scan, Start, TrialEnd, TrialStart, Wheel
from tests.analysis.logs import MS, START, corridor
from tests.analysis.signals import test_running_signals as truth
from tests.analysis.signals.test_tuning import by_definition
from tests.analysis.test_report import made

STIMULI = ("leaf1", "circle1")
TRIALS = 12


def recorded(stimuli: tuple[str, ...], subject: Path) -> tuple[list[Message], list[truth.Step]]:
    """The messages of a session with imaging; the steps of its trials that were not aborted."""
    steps, aborted = truth.session(3, stimuli, TRIALS)
    online = {"cells_file": "cells.csv"}
    lines = [f"{n},{10 + n},{20 + 3 * n},2,{area}" for n, area in enumerate(truth.AREA)]
    (subject / "cells.csv").write_text("\n".join(["cell,y_px,x_px,radius_px,area", *lines]))
    messages: list[Message] = [Start(0, {**START.session, "nodes": {"online": online}})]
    messages.append(Wheel(0, 0, 0.0))
    signals = RunningSignals(truth.TASK, groups_of(truth.AREA), 0.3)
    last, t = -1, 0
    for at, (trial, stimulus, place, activity) in enumerate(steps):
        t = (at + 1) * 300 * MS
        if trial != last:
            trials: list[TrialStart | TrialEnd] = [corridor(trial, stimulus, t - 1)]
            if last >= 0:
                trials.insert(0, TrialEnd(t - 1, last, truth.outcome_of(last, aborted)))
            for message in trials:
                signals.handle_trial(message)
            messages += trials
            last = trial
        placed = msgspec.structs.replace(place, t=t)
        found = signals.add_frame(Frame(t, at, "", 0, 1, 1, 0.0), placed, activity, t)
        moved = ((0.25, -1.5, 0.6),)
        signed = [
            msgspec.structs.replace(message, motion=moved)
            if isinstance(message, CellSignals)
            else message
            for message in found
        ]
        messages += [placed, *signed]
    end = TrialEnd(t + 300 * MS, last, "done")
    signals.handle_trial(end)
    messages += [end, *signals.finish(t + 300 * MS)]
    return messages, [step for step in steps if step[0] not in aborted]


def test_the_log_gives_each_cells_mean_tuning(tmp_path: Path) -> None:
    messages, kept = recorded(STIMULI, tmp_path)
    made(tmp_path, messages)
    got = mean_tuning(Session(tmp_path), "leaf1")
    completed = sorted({step[0] for step in kept})
    frames = [(completed.index(t), p.position_m / 6.0, x[5:8]) for t, _, p, x in kept if p.moving]
    whole = by_definition(frames, len(completed))
    of_leaf = sorted({completed.index(step[0]) for step in kept if step[1] == "leaf1"})
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
        f"defined for {truth.CELLS - 1} of {truth.CELLS} cells",
        f"{of_leaf} cells selective for leaf1, in circle1",
        f"{of_circle} cells selective for circle1, in leaf1",
        "(1 strip): median 1.52 px",
        "d' of each cell",
    ):
        assert text in page.text


def test_fractions_by_area_have_their_n_and_their_error(tmp_path: Path) -> None:
    page = made(tmp_path, recorded(STIMULI, tmp_path)[0])
    d_prime = Session(tmp_path).d_prime[-1]
    (chart,) = [f for f in page.figures if f["layout"].get("barmode") == "group"]
    for trace, sign in zip(chart["traces"], (1, -1), strict=True):
        share = np.mean(sign * np.nan_to_num(d_prime) >= 0.3)
        assert trace["x"][0] == f"all<br>n = {truth.CELLS}"
        assert trace["y"][0] == pytest.approx(100 * share, abs=1e-3)
        low, high = interval(Rate(round(share * truth.CELLS), truth.CELLS))
        assert trace["error_y"]["array"][0] == pytest.approx(100 * (high - share), abs=1e-3)
        assert trace["error_y"]["arrayminus"][0] == pytest.approx(100 * (share - low), abs=1e-3)
    in_v1 = int(np.isin(truth.AREA, (8,)).sum())
    assert f"V1<br>n = {in_v1}" in chart["traces"][0]["x"]


def test_tuning_is_sorted_on_odd_and_shown_on_even_trials_of_every_stimulus(
    tmp_path: Path,
) -> None:
    page = made(tmp_path, recorded(("leaf1", "circle1", "leaf2"), tmp_path)[0])
    maps = [f for f in page.figures if f["traces"][0].get("colorscale") == "Viridis"]
    session = Session(tmp_path)
    done = session.trials[session.trials.outcome == "done"].reset_index(drop=True)
    stimuli = ["leaf1", *done.stimulus[done.stimulus != "leaf1"].unique()]  # rewarded first
    groups = {
        (name, half): done.trial[(done.stimulus == name) & (done.index % 2 == half)].tolist()
        for name in stimuli
        for half in (0, 1)
    }
    means = mean_tunings(session, groups)
    cells = np.flatnonzero(np.nan_to_num(session.d_prime[-1]) >= 0.3)
    order = cells[np.argsort(means["leaf1", 1][:, cells].argmax(axis=0), kind="stable")]
    even = np.concatenate([means[name, 0][:, order] for name in stimuli])
    wanted = (even - even.mean(axis=0)) / even.std(axis=0)
    for number in range(3):
        shown = np.array(maps[number]["traces"][0]["z"]).T
        np.testing.assert_allclose(shown, wanted[60 * number : 60 * (number + 1)], atol=0.006)
    scales = {(f["traces"][0]["zmin"], f["traces"][0]["zmax"]) for f in maps}
    assert len(maps) == 6
    assert len(scales) == 1
    assert all("colorbar" in figure["traces"][0] for figure in maps)


def test_the_map_is_in_micrometres_over_the_mean_image_and_not_clipped(tmp_path: Path) -> None:
    messages, _ = recorded(STIMULI, tmp_path)
    pages = np.random.default_rng(2).integers(0, 900, (4, 80, 160)).astype("<i2")
    (tmp_path / "raw.bin").write_bytes(pages.tobytes())
    strip = {"height_px": 40, "width_px": 160, "plane": 0, "size_deg": (4.0, 1.0)}
    regions = (
        {**strip, "first_row": 0, "centre_deg": (1.0, 2.0)},
        {**strip, "first_row": 40, "centre_deg": (5.0, 2.0)},
    )
    scan = Scan(1, "raw.bin", {"um_per_degree": 100.0}, (0.0,), regions)
    frames = [Frame(n + 2, n, "raw.bin", n * 25600, 80, 160, 0.0) for n in range(4)]
    page = made(tmp_path, [messages[0], ("stream", scan), *frames, *messages[1:]])
    titled = [f for f in page.figures if f["layout"]["xaxis"]["title"]["text"] == "right, µm"]
    (figure,) = [f for f in titled if len(f["traces"]) > 1]
    *images, cells = figure["traces"]
    assert [(image["x0"], image["y0"]) for image in images] == [(-98.75, 151.25), (301.25, 151.25)]
    assert [(image["dx"], image["dy"]) for image in images] == [(2.5, 2.5), (2.5, 2.5)]
    # cell 0 is at x 20, y 10 px; cell 39 at x 137, y 49 px: in the second region
    assert (cells["x"][0], cells["y"][0]) == (-98.75 + 50, 151.25 + 25)
    assert (cells["x"][39], cells["y"][39]) == (301.25 + 2.5 * 137, 151.25 + 2.5 * 9)
    d_prime = Session(tmp_path).d_prime[-1]
    assert cells["marker"]["cmax"] == pytest.approx(np.nanmax(np.abs(d_prime)))
    assert np.shape(images[0]["z"]) == (40, 160)


def test_a_stimulus_that_was_never_shown_is_listed(tmp_path: Path) -> None:
    messages, _ = recorded(("leaf1", "leaf2"), tmp_path)
    page = made(tmp_path, messages)
    assert "not defined for any cell: no moving texture frame yet of circle1" in page.text
    assert "Tuning by position" not in page.text
