"""A session is read back from its log, whatever the log contains or lacks."""

import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from analysis.session import Session
from rig.errors import Refused
from rig.messages import (
    CellSignals,
    Cue,
    Ended,
    Fault,
    Flip,
    Frame,
    Heartbeat,
    Lick,
    Message,
    Stop,
    TrialEnd,
    Valve,
    Wheel,
)
from rig.transport.log import LOG_FILE
from tests.analysis.logs import MS, START, corridor, enveloped, learning, standing, write_log

TRIALS: list[Message | tuple[str, Message]] = [
    START,
    Wheel(0, 0, 0.0),
    standing(0, -1, 0.0, moving=False),
    Lick(5 * MS, "centre"),
    corridor(0, "leaf1", 10 * MS),
    standing(10 * MS, 0, 0.0),
    standing(30 * MS, 0, 1.5),
    Cue(30 * MS, 0, 1.5),
    standing(20 * MS, 0, 1.0),  # late on the wire
    Lick(20 * MS, "centre"),
    Lick(36 * MS, "centre"),
    standing(40 * MS, 0, 2.0),
    Valve(38 * MS, 1, "centre", 40.0, 2.0, 36 * MS),
    Valve(39 * MS, 1, "centre", 0.0, 0.0, None, "already answered"),
    TrialEnd(50 * MS, 0, "done"),
    corridor(1, "circle1", 50 * MS),
    standing(50 * MS, 1, 0.0),
    TrialEnd(60 * MS, 1, "aborted"),
    corridor(2, "circle1", 60 * MS),
    standing(60 * MS, 2, 0.1),
    Wheel(60 * MS, 90, 12.0),
]


def read_back(folder: Path, messages: list[Message | tuple[str, Message]]) -> Session:
    return Session(write_log(folder, enveloped(messages)))


def test_trials_contain_what_was_drawn_and_their_outcome(tmp_path: Path) -> None:
    trials = read_back(tmp_path, TRIALS).trials
    assert trials.trial.tolist() == [0, 1, 2]
    assert trials.stimulus.tolist() == ["leaf1", "circle1", "circle1"]
    assert trials.rewarded.tolist() == [True, False, False]
    assert trials.outcome[:2].tolist() == ["done", "aborted"]
    assert trials.outcome.isna().tolist() == [False, False, True]
    assert trials.licks.tolist() == [2, 0, 0]
    first = trials.iloc[0]
    assert (first.start_s, first.end_s) == (0.010, 0.050)
    assert (first.cue_position_m, first.cue_s) == (1.5, 0.030)
    assert (first.reward_position_m, first.reward_s) == (1.5, 0.038)
    assert (first.first_lick_s, first.first_lick_position_m) == (0.020, 1.0)
    never = trials.loc[1:, ["cue_position_m", "reward_position_m", "first_lick_s"]]
    assert never.isna().to_numpy().all()


def test_licks_and_rewards_have_the_position_at_their_time(tmp_path: Path) -> None:
    session = read_back(tmp_path, TRIALS)
    assert session.licks.t_s.tolist() == [0.005, 0.020, 0.036]
    assert session.licks.trial.tolist() == [-1, 0, 0]
    np.testing.assert_array_equal(session.licks.position_m, [np.nan, 1.0, 1.5])
    (reward,) = session.rewards.itertuples()
    assert (reward.t_s, reward.lick_t_s, reward.volume_ul) == (0.038, 0.036, 2.0)
    assert (reward.trial, reward.position_m) == (0, 1.5)
    assert session.position.t_s.is_monotonic_increasing
    assert session.wheel.counts.tolist() == [0, 90]
    assert session.settings["subject"] == "VR2"


def test_signals_are_read_back_as_published(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    traces = rng.normal(size=(3, 5)).astype("<f4")
    d_prime = np.full((3, 5), np.nan, "<f4")
    d_prime[2] = traces[1]
    messages: list[Message | tuple[str, Message]] = [*TRIALS]
    for i, trial in enumerate((0, 1, -1)):
        signals = (traces[i].tobytes(), None if i < 2 else 0.4)
        stimulus = None if trial < 0 else "leaf1"
        messages.append(CellSignals((20 + i) * MS, i, trial, stimulus, 1.0, True, *signals))
        messages.append(learning((20 + i) * MS, i, d_prime[i], i == 2))
    session = read_back(tmp_path, messages)
    np.testing.assert_array_equal(session.traces, traces)
    assert session.learning.trial.tolist() == [0, 1, 2]
    assert session.learning.final.tolist() == [False, False, True]
    np.testing.assert_array_equal(session.d_prime, d_prime)
    assert session.traces.dtype == session.d_prime.dtype == np.float32
    assert session.decoded.aborted.tolist() == [False, True, False]
    assert session.decoded.frame.tolist() == [0, 1, 2]
    assert session.decoded.stimulus.isna().tolist() == [False, False, True]
    np.testing.assert_array_equal(session.decoded.selective_fraction, [np.nan, np.nan, 0.4])


def test_frames_before_the_cells_were_known_are_rows_of_nan(tmp_path: Path) -> None:
    messages: list[Message | tuple[str, Message]] = [*TRIALS]
    for i, row in enumerate((b"", b"", np.arange(4, dtype="<f4").tobytes())):
        messages.append(CellSignals((20 + i) * MS, i, 0, "leaf1", 1.0, True, row, None))
    session = read_back(tmp_path, messages)
    assert np.isnan(session.traces[:2]).all() and session.traces[2].tolist() == [0, 1, 2, 3]


def test_hours_of_many_cells_are_read_back_without_being_held_in_memory(tmp_path: Path) -> None:
    frames, cells = 200, 50_000
    row = np.random.default_rng(1).random(cells, np.float32)
    messages: list[Message | tuple[str, Message]] = [*TRIALS]
    for i in range(frames):
        signals = ((row + i).tobytes(), None)
        messages.append(CellSignals((20 + i) * MS, i, 0, "leaf1", 1.0, True, *signals))
        messages.append(learning((20 + i) * MS, i, row - i))
    session = read_back(tmp_path, messages)
    del messages
    tracemalloc.start()
    last = session.d_prime[-1] + session.traces[frames // 2]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(last, 2 * row + frames // 2 - (frames - 1), rtol=1e-5)
    assert peak < session.traces.nbytes / 4


def test_signals_that_the_disk_cannot_hold_are_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = CellSignals(20 * MS, 0, 0, "leaf1", 1.0, True, bytes(400), None)
    session = read_back(tmp_path, [*TRIALS, message])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(Refused, match=r"gone has no room for the 0\.0 GB .* set TMPDIR"):
        _ = session.traces


def test_pixels_come_from_the_file(tmp_path: Path) -> None:
    pictures = np.arange(2 * 4 * 6, dtype="<i2").reshape(2, 4, 6)
    (tmp_path / "imaging").mkdir()
    (tmp_path / "imaging" / "a.tif").write_bytes(b"head" + pictures.tobytes())
    frames = [Frame(i * MS, i, "imaging/a.tif", 4 + 48 * i, 4, 6, i / 3, "<i2") for i in range(3)]
    session = read_back(tmp_path, [START, *frames])
    assert session.frames["index"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(session.pixels(1), pictures[1])
    with pytest.raises(Refused, match="no imaging frame 7"):
        session.pixels(7)
    with pytest.raises(Refused, match="pixels of frame 2 are missing"):
        session.pixels(2)


def check_empty(session: Session) -> None:
    tables = [session.trials, session.licks, session.rewards, session.position, session.flips]
    for table in [*tables, session.frames, session.decoded, session.faults]:
        assert len(table) == 0
        assert "t_s" in table or "start_s" in table
    assert session.traces.shape == (0, 0)
    assert session.d_prime.size == 0
    assert session.gaps.total() == 0


def test_a_session_in_which_nothing_happened_reads_as_empty_tables(tmp_path: Path) -> None:
    session = read_back(tmp_path, [START, Stop(MS, "Ctrl-C", ("hardware",))])
    check_empty(session)
    assert session.end_reason == "Ctrl-C"


def test_a_session_that_never_began_reads_as_empty_tables(tmp_path: Path) -> None:
    session = read_back(tmp_path, [])
    check_empty(session)
    assert (session.settings, len(session.ends), session.end_reason) == ({}, 0, None)


def test_licks_before_any_position_fall_in_no_trial(tmp_path: Path) -> None:
    session = read_back(tmp_path, [START, Lick(MS, "centre")])
    assert session.licks.trial.tolist() == [-1]
    assert session.licks.position_m.isna().all()
    assert len(session.trials) == 0


def test_faults_and_ends_name_their_senders(tmp_path: Path) -> None:
    messages: list[Message | tuple[str, Message]] = [
        START,
        ("online", Fault(MS, "the pixels of frame 3 were lost", 3)),
        ("task", Fault(2 * MS, "no more")),
        ("task", Ended(3 * MS, "no more", True, {})),
        ("hardware", Ended(4 * MS, "done", False, {})),
        ("online", Ended(5 * MS, "done", False, {}, overruns=3)),
    ]
    session = read_back(tmp_path, messages)
    assert session.faults.sender.tolist() == ["online", "task"]
    np.testing.assert_array_equal(session.faults.frame, [3, np.nan])
    ends = session.ends
    assert dict(zip(ends.sender, ends.reason, strict=True)) == {
        "task": "no more",
        "hardware": "done",
        "online": "done",
    }
    assert ends.sender[ends.failed].tolist() == ["task"]
    assert session.overruns == {"online": 3}


def test_missing_messages_are_counted_for_each_sender_and_type(tmp_path: Path) -> None:
    messages: list[Message | tuple[str, Message]] = [START]
    messages += [("hardware", Heartbeat(t, True)) for t in range(4)]
    messages += [Wheel(t, t, 0.0) for t in range(6)]
    pairs = enveloped(messages)
    lost = {("Heartbeat", 0), ("Wheel", 0), ("Wheel", 3), ("Wheel", 4)}
    kept = [(e, w) for e, w in pairs if (type(w).__name__, e.seq) not in lost]
    session = Session(write_log(tmp_path, kept))
    assert dict(session.gaps) == {("hardware", "Wheel", 0): 3}


def test_a_truncated_log_is_read_up_to_its_end(tmp_path: Path) -> None:
    messages: list[Message | tuple[str, Message]] = [START]
    messages += [Wheel(t * MS, t, t * 0.1) for t in range(20_000)]
    path = write_log(tmp_path, enveloped(messages)) / LOG_FILE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    session = Session(tmp_path)
    counts = session.wheel.counts.to_numpy()
    assert 0 < len(counts) < 20_000
    np.testing.assert_array_equal(counts, np.arange(len(counts)))
    assert session.settings["seed"] == 7


def test_a_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"has no log\.mcap"):
        Session(tmp_path)


def test_flips_and_positions_keep_every_field(tmp_path: Path) -> None:
    flip = Flip(30 * MS, 4, 1.25, 20 * MS, 29 * MS, True)
    session = read_back(tmp_path, [START, standing(20 * MS, 0, 1.25), flip])
    (shown,) = session.flips.to_dict("records")
    assert set(shown) >= {"vblank", "loop_ms", "dropped", "bright"}
    assert (
        shown.items()
        >= {
            "t_s": 0.030,
            "number": 4,
            "position_m": 1.25,
            "wheel_t_s": 0.020,
            "before_swap_t_s": 0.029,
            "late": True,
        }.items()
    )
    (stood,) = session.position.to_dict("records")
    assert (stood["phase"], stood["moving"], stood["speed_cm_s"]) == ("corridor", True, 20.0)
