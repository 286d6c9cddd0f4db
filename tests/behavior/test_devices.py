"""What each Protocol promises, asked of every implementation of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.devices import protocols
from behavior.devices.simulated import SPOUT
from rig import device
from rig.messages import Cue, Message, Pulse, Start, TrialStart, Valve
from tests.behavior.sessions import MS, S

SIMULATED = "behavior.devices.simulated"
SCRIPTED = "tests.behavior.scripted"
MOUSE = {"mouse": {"is": "behavior.mouse:SimulatedMouse", "idle_bursts_per_min": 60.0}}
RIGS = {SIMULATED: MOUSE, SCRIPTED: {}}
TRIAL = TrialStart(0, 0, "leaf1", None, True, 4.0, 2.0, 1.0, "active", 0.0)


def _board(module: str) -> protocols.Board:
    board: protocols.Board = device.make({"is": f"{module}:Board", **RIGS[module]}, "[b]", "b")
    return board


def _begun(module: str, seed: int = 1) -> protocols.Board:
    board = _board(module)
    board.open()
    board.hear(Start(0, {"seed": seed}))
    return board


def _device(module: str, kind: str, board: protocols.Board, name: str, **keys: Any) -> Any:
    table = {"is": f"{module}:{kind}", "board": "b", **keys}
    return device.make_on_board(table, f"[{name}]", name, {"b": board})


boards = pytest.mark.parametrize("module", RIGS)
waits = st.lists(st.integers(0, 2000), min_size=1, max_size=40)


@boards
def test_a_board_hears_every_word_and_closes_in_every_state(module: str) -> None:
    words: list[Message] = [
        Start(0, {"seed": 1}),
        TRIAL,
        Cue(1, 0, 1.0),
        Valve(2, 1, "centre", 60.0, 3.0),
        Pulse(3, "frame_clock"),
    ]
    _board(module).close()
    board = _board(module)
    board.open()
    for word in words:
        board.hear(word)
    board.close()
    board.close()


@boards
@settings(deadline=None)
@given(waits_ms=waits)
def test_a_wheel_counts_whole_counts_and_has_a_calibration(
    module: str, waits_ms: list[int]
) -> None:
    wheel: protocols.Wheel = _device(module, "Wheel", _begun(module), "wheel", cm_per_count=0.0135)
    assert wheel.settings.cm_per_count == 0.0135
    now = 0
    for wait_ms in waits_ms:
        now += wait_ms * MS
        counts = wheel.counts(now)
        assert isinstance(counts, int)
        assert counts == wheel.counts(now)


@boards
@settings(deadline=None)
@given(waits_ms=waits)
def test_licks_come_once_in_order_and_not_before_their_time(
    module: str, waits_ms: list[int]
) -> None:
    board = _begun(module)
    if module == SCRIPTED:
        board.licks = list(range(0, 60 * S, 130 * MS))  # type: ignore[attr-defined]
    lick: protocols.Lick = _device(module, "Lick", board, SPOUT)
    now, all_onsets = 0, []
    for wait_ms in waits_ms:
        now += wait_ms * MS
        onsets = lick.onsets(now)
        assert all(t <= now for t in onsets)
        all_onsets += onsets
        assert lick.onsets(now) == []
    assert all_onsets == sorted(set(all_onsets))


@boards
def test_a_valve_tells_when_it_opened_and_shuts_in_every_state(module: str) -> None:
    board = _board(module)
    valve: protocols.Valve = _device(module, "Valve", board, "centre", ul_per_ms=0.05)
    assert valve.settings.ul_per_ms == 0.05
    valve.close()
    board.open()
    assert 5 * S <= valve.pulse(5 * S, 60.0) < 5 * S + MS
    valve.close()
    valve.close()


@given(waits_ms=waits, pulses_ms=st.lists(st.integers(10, 500), max_size=20))
def test_a_line_goes_up_and_down_once_a_pulse(waits_ms: list[int], pulses_ms: list[int]) -> None:
    board = _begun(SIMULATED)
    line: protocols.Line = _device(SIMULATED, "Line", board, "frame_clock")
    t, sent = 0, []
    for pulse_ms in pulses_ms:
        t += pulse_ms * MS
        sent.append(t)
        board.hear(Pulse(t, "frame_clock"))
    now, edges = 0, []
    for wait_ms in [*waits_ms, 20_000]:
        now += wait_ms * MS
        seen = line.edges(now)
        assert all(at <= now for at, _ in seen)
        edges += seen
        assert line.edges(now) == []
    assert [at for at, up in edges if up] == sent
    assert edges == sorted(edges)
    assert [up for _, up in edges] == [True, False] * len(sent)
