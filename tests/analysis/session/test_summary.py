"""The numbers of the summary are those of the log, and are valid JSON."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.session.summary import frame_latencies_s, summarise
from rig.messages import (
    CellSignals,
    Cue,
    Fault,
    Flip,
    Frame,
    Integrity,
    Lick,
    Message,
    Stop,
    TrialEnd,
    Valve,
    Wheel,
)
from tests.analysis.logs import MS, START, corridor, enveloped, standing, write_log

Said = list[Message | tuple[str, Message]]
Outcome = Literal["done", "aborted"]


def a_trial(k: int, stimulus: str, outcome: Outcome | None, licks: int) -> Said:
    """100 ms at 1 m; a rewarded one brings 2.5 ul, 1.5 ms after its first lick."""
    t = (100 * k + 1) * MS
    messages: Said = [Wheel(t, 10 * k, 0.5 * k), corridor(k, stimulus, t), standing(t, k, 1.0)]
    messages.append(Cue(t, k, 1.0))
    messages += [Lick(t + (10 + i) * MS, "centre") for i in range(licks)]
    if stimulus == "leaf1" and licks:
        lick_t = t + 10 * MS
        messages.append(Valve(lick_t + 1_500_000, k, "centre", 50.0, 2.5, lick_t))
    messages += [Flip(t + (8 + 16 * i) * MS, 2 * k + i, 1.0, t, t, i > 0) for i in range(2)]
    messages.append(Frame(t + 60 * MS, k, "imaging/a.tif", 0, 2, 2, 0.0))
    fraction = None if k == 0 else 0.25
    traces = b"\0" * 4
    messages.append(CellSignals(t + 60 * MS, k, k, stimulus, 1.0, True, traces, fraction))
    return messages if outcome is None else [*messages, TrialEnd(t + 90 * MS, k, outcome)]


def summary_of(folder: Path, messages: Said) -> dict[str, Any]:
    found = summarise(write_log(folder, enveloped(messages, delay=3 * MS)), frames_written=11)
    return dict(json.loads(json.dumps(found, allow_nan=False)))


def test_findings_are_counted_and_mark_the_session(tmp_path: Path) -> None:
    late, lost = ("edge late",), ("page lost", "edge lost")
    messages: Said = [START]
    messages += [
        Integrity(30 * MS, 1, 0, True, (), True, 1, 0),
        Integrity(60 * MS, 2, 1, True, late, False, 2, 1),
        Integrity(90 * MS, 3, None, False, lost, False, 2, 2),
        Integrity(60 * MS, 4, 2, True, late, False, 3, 3),
        Integrity(99 * MS, 0, None, False, (), False, 3, 3),
    ]
    assert summary_of(tmp_path, messages)["integrity"] == {
        "sound": False,
        "edges": 3,
        "pages": 3,
        "findings": {"edge late": 2, "edge lost": 1, "page lost": 1},
    }


def test_without_the_integrity_process_it_is_absent_from_the_summary(tmp_path: Path) -> None:
    assert summary_of(tmp_path, [START])["integrity"] is None


def test_a_summary_has_the_numbers_of_its_session(tmp_path: Path) -> None:
    messages: Said = [START, Flip(0, 99, 0.0, -1, 0, False)]
    messages += a_trial(0, "leaf1", "done", 3)
    messages += a_trial(1, "circle1", "done", 1)
    messages += a_trial(2, "leaf1", "aborted", 2)
    messages += [("stream", Fault(400 * MS, "frame 5 is missing")), Stop(500 * MS, "Ctrl-C", ())]
    summary = summary_of(tmp_path, messages)
    assert [summary[k] for k in ("subject", "task", "cohort", "seed", "version")] == [
        "VR2",
        "train1",
        "task",
        7,
        "0.1.0",
    ]
    assert summary["trials"] == [
        listed(0, "leaf1", "done", 1.0, 3),
        listed(1, "circle1", "done", None, 1),
        listed(2, "leaf1", "aborted", 1.0, 2),
    ]
    assert summary["trials_done"] == 2
    assert (summary["rewards"], summary["water_ul"], summary["licks"]) == (2, 5.0, 6)
    assert summary["distance_m"] == pytest.approx(0.01)
    frames = [summary[f"frames_{how}"] for how in ("written", "streamed", "analysed")]
    assert frames == [11, 3, 3]
    assert (summary["flips"], summary["flips_late"]) == (7, 3)
    assert summary["selective_fraction"] == 0.25
    assert (summary["gaps"], summary["end_reason"]) == (0, "Ctrl-C")
    (fault,) = summary["faults"]
    assert fault == {"t_s": 0.4, "sender": "stream", "text": "frame 5 is missing", "frame": None}
    for name, (n, ms) in {
        "lick_to_valve": (2, 1.5),
        "wheel_to_flip": (3, 8.0),
        "frame_to_decoded": (3, 3.0),
    }.items():
        numbers = summary["latency_ms"][name]
        assert numbers == {"n": n, **{k: pytest.approx(ms) for k in ("p50", "p99", "max")}}


def listed(
    number: int, stimulus: str, outcome: str, reward_m: float | None, licks: int
) -> dict[str, Any]:
    return {
        "number": number,
        "stimulus": stimulus,
        "rewarded": stimulus == "leaf1",
        "outcome": outcome,
        "cue_position_m": 1.0,
        "reward_position_m": reward_m,
        "licks": licks,
    }


def test_a_session_that_never_began_has_numbers_too(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, [])
    assert summary["subject"] is None
    assert summary["trials"] == []
    assert summary["latency_ms"]["lick_to_valve"] == {"p50": None, "p99": None, "max": None, "n": 0}


@settings(max_examples=25, deadline=None)
@given(
    trials=st.lists(
        st.tuples(
            st.sampled_from(["leaf1", "circle1"]),
            st.sampled_from(["done", "aborted", None]),
            st.integers(0, 3),
        ),
        max_size=5,
    )
)
def test_the_counts_of_any_session_add_up(
    tmp_path_factory: pytest.TempPathFactory, trials: list[tuple[str, Outcome | None, int]]
) -> None:
    messages: Said = [START]
    for k, (stimulus, outcome, licks) in enumerate(trials):
        messages += a_trial(k, stimulus, outcome, licks)
    summary = summary_of(tmp_path_factory.mktemp("session"), messages)
    assert [t["outcome"] for t in summary["trials"]] == [outcome for _, outcome, _ in trials]
    assert summary["licks"] == sum(t["licks"] for t in summary["trials"])
    rewarded = [t for t in summary["trials"] if t["reward_position_m"] is not None]
    assert summary["rewards"] == len(rewarded)
    assert all(t["rewarded"] and t["licks"] for t in rewarded)
    assert summary["water_ul"] == 2.5 * len(rewarded)


def test_values_that_never_were_final_have_no_latency() -> None:
    """The last two frames of the first part would get the times of the next part."""
    t_s = np.array([0.0, 0.1, 0.2, 0.3, 90.0, 90.1, 90.2, 90.3])
    decoded = pd.DataFrame({"t_s": t_s, "sent_s": t_s + 0.2 + 0.004})
    latency_s = frame_latencies_s(decoded, 2)
    assert latency_s == pytest.approx([0.004] * 4)
