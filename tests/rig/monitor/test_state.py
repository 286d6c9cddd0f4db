"""The state that the page shows, computed from messages."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig.messages import (
    CellSignals,
    Cue,
    Ended,
    Fault,
    Heartbeat,
    LearningSignals,
    Lick,
    Message,
    OperatorRequest,
    SettingChange,
    Start,
    Stop,
    TrialEnd,
    TrialVerdict,
    Valve,
)
from rig.monitor.signal_state import Row
from rig.monitor.state import MonitorState
from tests.analysis.logs import MS, corridor, enveloped, standing

STARTED = Start(
    0,
    {
        "subject": "VR2",
        "task_name": "train1",
        "given_today_ul": 12.0,
        "rig": {"name": "left"},
        "task": {"cohort": "task", "stage": "train1", "stimuli": ["leaf1", "circle1"]},
        "nodes": {"task": {}, "hardware": {"guard": {"max_day_ul": 1000.0}}},
    },
)


def folded(*messages: Message | tuple[str, Message]) -> MonitorState:
    state = MonitorState()
    for envelope, message in enveloped(messages):
        state.handle(envelope, message)
    return state


def one_trial() -> list[Message]:
    return [
        STARTED,
        corridor(0, "leaf1", 1000 * MS),
        standing(1100 * MS, 0, 2.0),
        Cue(1101 * MS, 0, 2.0),
        Lick(1200 * MS, "centre"),
        Valve(1201 * MS, 1, "centre", 60.0, 3.0, 1200 * MS),
        Valve(1300 * MS, 2, "centre", 60.0, 3.0, manual=True),
        Valve(1301 * MS, 3, "centre", 0.0, 0.0, refused="too soon"),
    ]


def test_the_state_contains_animal_and_task() -> None:
    session = folded(STARTED).session
    assert (session["subject"], session["cohort"], session["rig"]) == ("VR2", "task", "left")
    assert (session["given_today_ul"], session["day_limit_ul"]) == (12.0, 1000.0)


def test_water_is_summed_with_its_manual_part() -> None:
    head = folded(*one_trial()).head()
    assert (head["water_ul"], head["manual_ul"], head["rewards"]) == (6.0, 3.0, 2)
    assert head["latency_ms"]["lick to valve"]["p50"] == 1.0


def test_licks_cue_and_reward_are_placed_in_their_trial() -> None:
    row = folded(*one_trial(), TrialEnd(4000 * MS, 0, "done")).trials[0]
    assert (row["licks_m"], row["cue_m"], row["reward_m"]) == ([2.0], 2.0, 2.0)
    assert row["outcome"] == "done"


def test_the_time_since_the_last_lick_increases() -> None:
    assert folded(*one_trial(), standing(3200 * MS, 0, 2.5)).head()["since_lick_s"] == 2.0
    assert folded(STARTED).head()["since_lick_s"] is None


def test_a_fault_stays_until_it_is_acknowledged() -> None:
    state = folded(STARTED, ("stream", Fault(5 * MS, "frame 5 is missing")))
    (row,) = state.rows_since(0)["faults"]
    assert (row["sender"], row["text"], row["acknowledged"]) == (
        "stream",
        "frame 5 is missing",
        False,
    )
    seen = state.revision
    assert state.rows_since(0)["notes"] == []
    assert state.acknowledge(0) and not state.acknowledge(1)
    assert [row["acknowledged"] for row in state.rows_since(seen)["faults"]] == [True]


def test_a_refused_request_is_shown() -> None:
    state = folded(
        *one_trial(),
        Valve(1400 * MS, 4, "centre", 0.0, 0.0, refused="1 ml today; no more", manual=True),
        ("task", SettingChange(1500 * MS, 5, "reward_ul", "3.0", "", "page", 0, "up to 3 ul")),
    )
    told = [(row["verb"], row["text"], row["refused"]) for row in state.rows_since(0)["notes"]]
    assert told == [
        ("manual reward", "1 ml today; no more", True),
        ("setting", "up to 3 ul", True),
    ]
    assert state.head()["rewards"] == 2


def test_verdicts_notes_and_ends_are_shown() -> None:
    state = folded(
        *one_trial(),
        ("referee", TrialVerdict(4000 * MS, 0, ("reward before cue",))),
        ("launch", OperatorRequest(4001 * MS, 1, 9000 * MS, "note", "<b>hungry</b>")),
        ("task", Ended(5000 * MS, "time is up", False, {})),
        Stop(4900 * MS, "time is up", ("task",)),
    )
    assert state.head()["referee"] == {"judged": 1, "with violations": 1}
    assert state.rows_since(0)["notes"][0]["text"] == "<b>hungry</b>"
    assert state.processes["task"]["state"] == "ended"
    assert state.head()["ended"] == "time is up"


def test_undefined_d_prime_is_counted_separately() -> None:
    d_prime = np.array([0.5, -3.0, np.nan, 0.0], "<f4")
    pair, others = (("leaf1", "circle1"), ("leaf2", "circle1")), np.ones(4, "<f4")
    whole = np.concatenate([d_prime, others]).astype("<f4").tobytes()
    signals = LearningSignals(0, 0, 1, False, pair, whole, b"", (), ())
    slow = folded(STARTED, signals).signals.row()
    assert (slow["cells"], slow["defined"], sum(slow["d_prime_counts"])) == (4, 3, 3)
    assert slow["d_prime_counts"][0] == 1  # beyond the edge


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 30))
def test_a_browser_that_is_sent_what_changed_ends_with_all_rows(
    trials: list[int], pause: int
) -> None:
    state, revision = MonitorState(), 0
    sent: dict[int, Row] = {}
    for step, trial in enumerate(trials):
        (pair,) = enveloped([corridor(trial, "leaf1", step * MS)])
        state.handle(*pair)
        if step % (pause + 1) == 0:
            sent |= {row["trial"]: dict(row) for row in state.rows_since(revision)["trials"]}
            revision = state.revision
    sent |= {row["trial"]: dict(row) for row in state.rows_since(revision)["trials"]}
    assert sent == state.trials


def test_a_trial_whose_start_was_not_received_is_shown() -> None:
    state = folded(STARTED, TrialEnd(4000 * MS, 3, "done"), corridor(4, "leaf1", 4001 * MS))
    assert [row["stimulus"] for row in state.trials.values()] == ["", "leaf1"]
    assert state.faults == []


def test_a_message_that_cannot_be_shown_is_reported_once_and_the_rest_is_shown() -> None:
    torn = LearningSignals(0, 0, 1, False, (("a", "b"),), b"", b"", (), (), predicting=b"123")
    state = folded(STARTED, torn, torn, corridor(4, "leaf1", 4001 * MS))
    (fault,) = state.faults
    assert fault["text"].startswith("LearningSignals cannot be shown")
    assert list(state.trials) == [4]


@pytest.mark.parametrize(
    ("cue", "mode", "lick_ms", "lick_m", "responded"),
    [
        (2.0, "active", 1200, 3.9, True),
        (2.0, "active", 1200, 4.1, False),  # in the grey
        (2.0, "passive", 1200, 1.0, True),
        (2.0, "passive", 1700, 2.6, True),  # within the delay of the reward
        (2.0, "passive", 1900, 2.8, False),
        (None, "active", 1200, 1.9, False),  # without a cue: in the reward zone
        (None, "active", 1200, 2.0, True),
    ],
)
def test_a_lick_response_is_counted_as_in_the_study(
    cue: float | None, mode: str, lick_ms: int, lick_m: float, responded: bool
) -> None:
    start = msgspec.structs.replace(
        corridor(0, "leaf1", 1000 * MS, cue), reward_mode=mode, reward_delay_ms=250.0
    )
    cues = [Cue(1500 * MS, 0, 2.0)] if lick_ms > 1500 else []
    place = standing((lick_ms - 1) * MS, 0, lick_m)
    state = folded(STARTED, start, *cues, place, Lick(lick_ms * MS, "centre"))
    assert state.trials[0]["responded"] is responded


def test_motion_focus_and_the_projections_of_the_current_trial_are_shown() -> None:
    values = np.arange(8, dtype="<f4")  # two points, one contrast, four areas
    frame = CellSignals(
        0, 7, 1, "leaf1", 0.0, True, b"", None,
        motion=((1.0, -1.0, 0.9), (3.0, 0.0, 0.9)), z_um=(2.0, 4.0),
        tuned=(60 + 12, 60 + 13), projection=values.tobytes(),
    )  # fmt: skip
    slow = folded(STARTED, frame).signals.row()
    assert slow["motion"] == [[7, 2.0, -0.5, 3.0]]
    assert slow["current"] == [[12, 0.0, 1.0, 2.0, 3.0], [13, 4.0, 5.0, 6.0, 7.0]]
    earlier = msgspec.structs.replace(frame, tuned=(120, 121))
    assert [row[0] for row in folded(STARTED, frame, earlier).signals.row()["current"]] == [0, 1]


def test_the_reward_prediction_of_the_current_trial_grows_frame_by_frame() -> None:
    first = CellSignals(0, 7, 4, "leaf1", 0.5, True, b"", None, ramp=1.5)
    frames = [
        first,
        msgspec.structs.replace(first, frame=8, position_m=0.7, ramp=2.0),
        msgspec.structs.replace(first, frame=9, position_m=0.7, ramp=9.0, moving=False),
        msgspec.structs.replace(first, frame=10, position_m=0.9, ramp=None),
        msgspec.structs.replace(first, frame=11, trial=-1, position_m=0.0, ramp=9.0),
    ]
    assert folded(STARTED, *frames).signals.row()["current_ramp"] == [[0.5, 1.5], [0.7, 2.0]]
    later = msgspec.structs.replace(first, frame=12, trial=5, position_m=0.1, ramp=3.0)
    assert folded(STARTED, *frames, later).signals.row()["current_ramp"] == [[0.1, 3.0]]


def test_the_longest_tick_of_a_process_is_shown() -> None:
    state = folded(STARTED, ("task", Heartbeat(5 * MS, True, 3.21)))
    assert state.processes["task"]["loop_ms"] == 3.2
