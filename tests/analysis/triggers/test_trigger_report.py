"""Summary and report of a session with triggers: counts, latencies, and where lines rose."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.report.write import report
from analysis.session.session import Session
from analysis.session.summary import summarise
from behavior.hardware import Hardware
from rig import virtual_session
from rig.messages import (
    CellSignals,
    Edge,
    Message,
    Trigger,
    TriggerOutput,
)
from tests.analysis.logs import START, corridor, enveloped, standing, write_log
from tests.analysis.test_report import Page
from tests.analysis.triggers.loops import MS, rule, with_loop
from tests.behavior.sessions import S


def _trigger(t_ms: float, id_: int, frame: int | None, sham: bool = False) -> Message:
    return Trigger(
        round(t_ms * MS), id_, 10**12, "one", "laser", 20.0, False, sham, 0, "leaf1", 1.0, frame
    )


def _logged(folder: Path, lag: int = 2) -> Path:
    """Two triggers of frames, one of a tick, a refused one, and one without an answer."""
    node = {"run": "analysis.online", "traces": {"deconvolution_lag_frames": lag}}
    start = type(START)(0, {**START.session, "nodes": {"online": node}})
    messages: list[Message | tuple[str, Message]] = [start, corridor(0, "leaf1", MS)]
    messages += [standing((1 + 10 * k) * MS, 0, 0.1 * k) for k in range(200)]
    for k in range(6):
        signals = CellSignals((100 + 300 * k) * MS, k, 0, "leaf1", 1.0, True, b"\0" * 4, None)
        messages.append(("online", signals))
    asked = [(100, 1, 0, False), (400, 2, 1, True), (1501, 3, None, False), (1700, 4, None, False)]
    messages += [("closed_loop", _trigger(*one)) for one in [*asked, (1800, 5, None, False)]]
    answers = [
        TriggerOutput(710 * MS, 1, "laser", 20.0),
        TriggerOutput(1030 * MS, 2, "laser", 0.0, sham=True),
        TriggerOutput(1502 * MS, 3, "laser", 20.0),
        TriggerOutput(1702 * MS, 4, "laser", 0.0, refused="too late"),
        Edge(710 * MS, "laser", True),
        Edge(715 * MS, "laser", False),
    ]
    messages += [("hardware", answer) for answer in answers]
    return write_log(folder, enveloped(messages))


def test_latencies_run_from_the_frame_that_completed_the_values(tmp_path: Path) -> None:
    summary = summarise(_logged(tmp_path), frames_written=0)
    found = {name: one for name, one in summary["latency_ms"].items() if "line" in name}
    assert {name: one["n"] for name, one in found.items()} == {
        "position_to_line": 1,
        "frame_to_line": 2,
        "activity_to_line": 2,
    }
    assert found["position_to_line"]["p50"] == pytest.approx(1.0)
    # frame 0 was complete with frame 2 at 700 ms, frame 1 with frame 3 at 1000 ms
    assert found["frame_to_line"]["p50"] == pytest.approx((10 + 30) / 2)
    assert found["frame_to_line"]["max"] == pytest.approx(30.0)
    assert found["activity_to_line"]["p50"] == pytest.approx((610 + 630) / 2)
    assert summary["triggers"] == {"one": {"lines": 2, "shams": 1, "refused": 2}}
    json.dumps(summary, allow_nan=False)


def test_the_table_has_the_length_of_each_pulse_or_the_reason_for_none(tmp_path: Path) -> None:
    table = Session(_logged(tmp_path)).triggers
    assert table.up_ms.to_numpy() == pytest.approx([5.0, 0.0, 20.0, 0.0, 0.0])
    assert list(table.refused) == ["", "", "", "too late", "not answered"]
    np.testing.assert_allclose(table.line_s, [0.71, 1.03, 1.502, np.nan, np.nan])
    np.testing.assert_allclose(table.line_position_m, [7.0, 10.2, 15.0, np.nan, np.nan])
    assert list(table.frame.isna()) == [False, False, True, True, True]


def test_a_session_without_triggers_has_no_such_latency(tmp_path: Path) -> None:
    write_log(tmp_path, enveloped([START, corridor(0, "leaf1", MS), standing(2 * MS, 0, 1.0)]))
    summary = summarise(tmp_path, frames_written=0)
    assert summary["triggers"] == {}
    assert not [name for name in summary["latency_ms"] if "line" in name]


def test_the_report_shows_each_trigger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hardware, "period_s", 0.01)
    licks = rule("licks >= 1 and in texture", name="licked", hold_ms=300.0)
    never = rule("position_m > 100", name="never")
    chosen = with_loop(rule(sham_fraction=0.5), licks, never, trials=6)
    write_log(tmp_path, virtual_session.run(chosen, 300 * S))
    report(tmp_path, tmp_path / "report.html")
    page, table = Page(tmp_path / "report.html"), Session(tmp_path).triggers
    for text in ("Triggers", "position_m >= 2.0", "licks >= 1 and in texture", "position_m > 100"):
        assert text in page.text
    drawn = [trace for figure in page.figures for trace in figure["traces"]]
    shams = [trace for trace in drawn if trace.get("name", "").endswith(", sham")]
    assert (
        sum(len(trace["x"]) for trace in shams) == len(table[table.sham & table.line_s.notna()]) > 0
    )
    held = [trace for trace in drawn if trace.get("name") == "held"]
    assert sum(len(trace["x"]) for trace in held) == 3 * (table.hold & (table.up_ms > 0)).sum()
