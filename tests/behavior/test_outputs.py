"""Output lines follow the events of a session, and cameras are counted."""

from typing import Any

import pytest

from rig.errors import Refused
from rig.messages import Arm, Cue, Edge, Exposures, Message, Start, TrialEnd, TrialStart
from tests.behavior.sessions import MS, S, hardware, hardware_table, of

SIMULATED = "behavior.devices.simulated.devices"
TRIAL = TrialStart(0, 0, "leaf1", None, True, 4.0, 2.0, 1.0, "active", 0.0)


def _output(**keys: Any) -> dict[str, Any]:
    return {"is": f"{SIMULATED}:Output", "board": "bench", **keys}


def _edges(output: dict[str, Any], moments: list[tuple[int, Message | None]]) -> list[Edge]:
    published: list[Message] = []
    table = {**hardware_table(), "outputs": {"out": output}}
    node, clock = hardware(table, published.append)
    for ms, message in [(0, Start(0, {"seed": 1})), (0, None), *moments]:
        clock.set(ms * MS)
        if message is None:
            node.tick(ms * MS)
        else:
            node.handle(message)
    node.close()
    return of(Edge, published)


def test_a_session_line_is_up_from_start_to_end() -> None:
    edges = _edges(_output(on="session"), [(10, TRIAL), (30, None)])
    assert edges == [Edge(0, "out", True), Edge(30 * MS, "out", False)]


def test_a_trial_line_is_up_in_each_trial() -> None:
    moments: list[tuple[int, Message | None]] = [
        (10, TRIAL),
        (20, TrialEnd(0, 0, "done")),
        (20, TRIAL),
        (30, TrialEnd(0, 0, "aborted")),
        (40, None),
    ]
    edges = _edges(_output(on="trial"), moments)
    assert [(e.t // MS, e.up) for e in edges] == [(10, True), (20, False), (20, True), (30, False)]


def test_a_pulse_ends_by_itself() -> None:
    moments: list[tuple[int, Message | None]] = [
        (10, TRIAL),
        (12, None),
        (14, Cue(0, 0, 1.0)),
        (18, None),
        (19, None),
        (30, TrialEnd(0, 0, "done")),
    ]
    trial = _edges(_output(on="trial", pulse_ms=5.0), moments)
    cue = _edges(_output(on="cue", pulse_ms=5.0), moments)
    assert [(e.t // MS, e.up) for e in trial] == [(10, True), (18, False)]
    assert [(e.t // MS, e.up) for e in cue] == [(14, True), (19, False)]


def test_a_reward_line_follows_the_water() -> None:
    arm = Arm(0, 1, 60 * S, "centre", "now", 3.0)
    edges = _edges(_output(on="reward", pulse_ms=2.0), [(10, arm), (10, None), (12, None)])
    assert [(e.t // MS, e.up) for e in edges] == [(10, True), (12, False)]


@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        ("out", _output(on="cue"), "needs a pulse length"),
        ("out", _output(on="reward", pulse_ms=5.0, sounds_cue=True), "sounds_cue = true needs"),
        ("frame_clock", _output(on="trial"), "an input line has the same name"),
        ("out", _output(on="noon"), "on"),
    ],
)
def test_a_contradictory_table_is_refused(name: str, output: dict[str, Any], expected: str) -> None:
    with pytest.raises(Refused, match=expected):
        hardware({**hardware_table(), "outputs": {name: output}}, list[Message]().append)


def test_cameras_are_counted_every_second_and_at_the_end() -> None:
    published: list[Message] = []
    camera = {"is": f"{SIMULATED}:Camera", "board": "bench", "rate_hz": 100.0}
    node, clock = hardware({**hardware_table(), "cameras": {"face": camera}}, published.append)
    node.handle(Start(0, {"seed": 1}))
    for ms in range(0, 2501, 100):
        clock.set(ms * MS)
        node.tick(ms * MS)
    node.close()
    assert [(e.t // MS, e.count) for e in of(Exposures, published)] == [
        (0, 0),
        (1000, 100),
        (2000, 200),
        (2500, 250),
    ]
