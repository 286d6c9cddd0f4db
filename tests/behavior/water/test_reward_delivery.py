"""Rewards do not depend on the layer that gives them, and no device stays armed by mistake."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.devices.protocols import Fired
from behavior.devices.simulated.devices import ArmedValve, Board
from behavior.hardware import Hardware
from rig import virtual_session
from rig.clock import SetClock
from rig.messages import Arm, Cue, Disarm, Fault, Message, Start, TrialEnd, TrialStart, Valve
from rig.settings.config import SessionSettings
from tests.behavior.scripted import Mouse
from tests.behavior.sessions import MS, S, hardware, hardware_table, of, session

SIMULATED = "behavior.devices.simulated.devices"
LAYERS = ("Valve", "ArmedValve")


def _table(valve: str, **guard: Any) -> dict[str, Any]:
    table = hardware_table({"is": "tests.behavior.scripted:Mouse"})
    table["valve"]["centre"]["is"] = f"{SIMULATED}:{valve}"
    return {**table, "guard": guard}


class _Rig:
    """A driver with the simulated devices and a scripted mouse."""

    def __init__(self, valve: str, **guard: Any) -> None:
        self.published: list[Message] = []
        self.node, self.clock = hardware(_table(valve, **guard), self.published.append)
        board = self.node.devices.boards["bench"]
        assert isinstance(board, Board)
        assert isinstance(board.mouse, Mouse)
        self.mouse = board.mouse
        self.valve: Any = self.node.devices.valves["centre"]
        self.node.handle(Start(0, {"seed": 1}))

    def at(self, now: int, *messages: Message) -> None:
        self.clock.set(now)
        for message in messages:
            self.node.handle(message)
        self.node.tick(now)

    def valves(self) -> list[Valve]:
        return of(Valve, self.published)


def test_a_pulse_whose_answer_is_lost_counts_as_water(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = _Rig("Valve")

    def lost(now: int, open_ms: float) -> int:
        raise OSError("the card does not answer")

    monkeypatch.setattr(rig.valve, "pulse", lost)
    with pytest.raises(OSError, match="does not answer"):
        rig.at(S, _arm(1, S, on="now"))
    (valve,) = rig.valves()
    assert (valve.volume_ul, valve.refused) == (3.0, "")
    (fault,) = of(Fault, rig.published)
    assert "it may have opened" in fault.text


def _arm(id_: int, t: int, on: Any = "lick", lasts: int = 60 * S) -> Arm:
    return Arm(t, id_, t + lasts, "centre", on, 3.0)


acts = st.lists(
    st.tuples(
        st.sampled_from(["lick", "lick", "arm", "late", "again", "disarm", "now", "wait"]),
        st.sampled_from([0, 1, 7, 60, 150, 300, 1200]),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(acts, st.sampled_from([{"max_per_minute": 6}, {"max_unconsumed": 1}]))
def test_the_device_and_the_driver_give_the_same_water(
    script: list[tuple[str, int]], guard: dict[str, Any]
) -> None:
    """A late request arrives after the lick that it was meant for, which has not been read yet."""
    answers = []
    for layer in LAYERS:
        rig = _Rig(layer, **guard)
        now, armed, request = 0, None, 0
        for act, wait_ms in script:
            now += 2 * MS
            messages: list[Message] = []
            match act:
                case "lick":
                    rig.mouse.tongue.append(now - 1 * MS)
                case "arm" | "late" | "now":
                    request += 1
                    if act == "late":
                        rig.mouse.tongue.append(now - 1 * MS)
                    t = now - 2 * MS if act == "late" else now
                    messages = [_arm(request, t, "now" if act == "now" else "lick")]
                    armed = armed if act == "now" else messages[0]
                case "again" if armed is not None:
                    messages = [armed]
                case "disarm" if armed is not None:
                    messages = [Disarm(now, request)]
            rig.at(now, *messages)
            for _ in range(wait_ms // 50):
                now += 50 * MS
                rig.at(now)
            rig.at(now + MS)
        rig.node.close()
        answers.append([(v.id, v.open_ms, v.lick_t, v.refused) for v in rig.valves()])
        assert len(rig.valve.pulses) == sum(not v.refused for v in rig.valves())
    assert answers[0] == answers[1]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_session_has_the_same_trials_and_water_whichever_layer_fires(
    layer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hardware, "period_s", 0.005)
    published = _session(layer)
    drops = [valve for valve in of(Valve, published) if not valve.refused]
    assert not of(Fault, published)
    rewarded = [start.trial for start in of(TrialStart, published) if start.rewarded]
    assert len(rewarded) - 1 <= len(drops) <= len(rewarded)
    assert [end.outcome for end in of(TrialEnd, published)] == ["done"] * 8
    assert len(of(Cue, published)) == 8
    # the device opens at the lick, the driver at its next tick
    late = [valve.t - (valve.lick_t or 0) for valve in drops]
    assert all(t == 0 for t in late) if layer == "ArmedValve" else all(t >= 0 for t in late)
    reference = [message for message in _session("Valve") if isinstance(message, TrialStart | Cue)]
    assert [(w.trial, type(w)) for w in reference] == [
        (w.trial, type(w)) for w in published if isinstance(w, TrialStart | Cue)
    ]


def _session(layer: str) -> list[Message]:
    chosen: SessionSettings = session(3, trials=8)
    chosen.nodes["hardware"]["valve"]["centre"]["is"] = f"{SIMULATED}:{layer}"
    return [message for _, message in virtual_session.run(chosen, 300 * S)]


def test_the_device_is_armed_and_disarmed_as_soon_as_the_message_arrives() -> None:
    rig = _Rig("ArmedValve")
    rig.at(1 * MS)
    rig.clock.set(2 * MS)
    rig.node.handle(_arm(1, 2 * MS))
    assert rig.valve._armed_ms == 60.0
    rig.node.handle(Disarm(2 * MS, 1))
    assert rig.valve._armed_ms is None


def test_nothing_stays_armed_after_a_silent_task_or_a_closed_driver() -> None:
    for end in ("silence", "close"):
        rig = _Rig("ArmedValve")
        rig.at(1 * MS, _arm(1, 1 * MS))
        if end == "close":
            rig.node.close()
        else:
            rig.at(1 * S + 2 * MS)
        assert rig.valve._armed_ms is None
        rig.mouse.tongue.append(2 * S)
        assert rig.valve.fired(2 * S) is None
        assert not rig.valve.pulses


def test_the_device_drops_a_reward_that_is_not_renewed() -> None:
    rig = _Rig("ArmedValve")
    rig.at(1 * MS, _arm(1, 1 * MS))
    rig.mouse.tongue.append(1 * S + 2 * MS)
    assert rig.valve.fired(2 * S) is None


def test_a_reward_given_by_the_device_at_the_last_moment_is_published() -> None:
    rig = _Rig("ArmedValve")
    rig.at(1 * MS, _arm(1, 1 * MS))
    rig.mouse.tongue.append(2 * MS)
    rig.clock.set(3 * MS)
    rig.node.close()
    assert rig.valves() == [Valve(2 * MS, 1, "centre", 60.0, 3.0, 2 * MS)]


def test_a_reward_for_now_is_given_even_if_the_device_is_armed() -> None:
    rig = _Rig("ArmedValve")
    rig.at(1 * MS, _arm(1, 1 * MS))
    rig.mouse.tongue.append(2 * MS)
    rig.at(3 * MS, Arm(3 * MS, 1, 60 * S, "centre", "lick", 3.0))
    rig.at(4 * MS, _arm(2, 4 * MS, "now"))
    first, second = rig.valves()
    assert (first.id, first.refused) == (1, "")
    assert (second.id, "less than 200 ms" in second.refused) == (2, True)


def test_no_device_is_armed_on_a_faulty_lick_line() -> None:
    rig = _Rig("ArmedValve")
    rig.at(1 * MS, _arm(1, 1 * MS))
    rig.node._lick_filters["centre"].healthy = False
    rig.at(2 * MS)
    assert rig.valve._armed_ms is None
    rig.node._lick_filters["centre"].healthy = True
    rig.at(3 * MS)
    assert rig.valve._armed_ms == 60.0


class _Lost(ArmedValve):
    """A valve whose device is lost while it is armed."""

    def disarm(self, now: int) -> Fired | None:
        raise OSError("the board is gone")


def test_a_reward_that_is_lost_with_its_device_counts_as_given() -> None:
    table = _table("Valve")
    table["valve"]["centre"]["is"] = f"{__name__}:_Lost"
    published: list[Message] = []
    node = Hardware(msgspec.convert(table, Hardware.Settings), published.append)
    node.clock = SetClock()
    node.open()
    node.handle(Start(0, {"seed": 1}))
    node.handle(_arm(1, 0))
    with pytest.raises(OSError, match="the board is gone"):
        node.close()
    assert of(Valve, published) == [Valve(0, 1, "centre", 60.0, 3.0)]
    assert "may have opened" in of(Fault, published)[0].text
