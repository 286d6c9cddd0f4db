"""The settings of the benches are valid; their tables and JSON hold the measurements."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.cli.bench.behavior import _LAYERS, SETUPS, Setup, session_of
from rig.cli.bench.harness import Row, count, row, show
from rig.process import completed

ROWS = [
    row("stream, 100 MB/s post: whole page to frame", [0.5] * 999 + [5.0], under={"p50": 1.0}),
    row("flip to flip with 576 textures", [16.0, 18.0], under={"sd": 0.5}),
    row("registered by a window of 512 px", [1.0], note="8 of 8 pages to the pixel"),
    row("NI card (simulated, over gRPC)", [], note="not measured: needs gcc-avr"),
    count("torn pages, written in 1 kB pieces", 0, most=0, n=11520),
    row("3.3 MB by ring read", [0.242] * 180, under={"p50": 0.26}, note="1.36 x memcpy"),
    count("recorder at 5000 messages/s", 12.3, "% of a core", most=10),
]


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_every_setup_of_the_behavior_bench_is_valid(setup: Setup) -> None:
    for layer in setup.layers:
        session = completed(session_of(setup, layer, 0.1).session)
        assert layer in _LAYERS
        assert session.task["decided_by"] == layer
        assert set(session.nodes) == {"hardware", "task"}


def test_a_rare_percentile_is_given_of_many_values_only() -> None:
    assert row("x", [1.0] * 999) == Row("x", "ms", 1.0, 1.0, None, 1.0, 999)
    assert row("x", [1.0] * 999 + [5.0]).p999 is not None
    assert row("x", []) == Row("x", "ms", None)


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.1, 100))
def test_a_target_is_met_or_missed(values: list[float], limit: float) -> None:
    assert row("x", values, under={"max": limit}).passed == (max(values) < limit)
    assert count("x", values[0], most=limit).passed == (values[0] <= limit)
    assert row("x", values).passed is None


@pytest.mark.parametrize("columns", [80, 100])
def test_the_table_is_readable_at_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    show("rig bench frames", ROWS, as_json=False, notes=["late at 3.0 s"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert len(lines) <= 4 + 3 * len(ROWS)
    text = " ".join(" ".join(lines).split())
    assert "…" not in text  # nothing is cut
    verdicts = [line.split()[-1] for line in lines if line.split()[-1:] in (["pass"], ["MISS"])]
    assert verdicts == ["pass", "MISS", "pass", "pass", "MISS"]
    assert lines[-1].strip() == "late at 3.0 s"


def test_the_json_holds_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    show("rig bench frames", ROWS, as_json=True, notes=["late"])
    found = json.loads(capsys.readouterr().out)
    assert (found["bench"], found["notes"], len(found["rows"])) == ("rig bench frames", ["late"], 7)
    first = found["rows"][0]
    assert (first["p50"], first["max"], first["n"]) == (0.5, 5.0, 1000)
    assert [one["passed"] for one in found["rows"]] == [True, False, None, None, True, True, False]
