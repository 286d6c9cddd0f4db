"""The [nodes.hardware] table: wrong tables are refused, and tasks with impossible water."""

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from behavior.hardware import Hardware
from rig.errors import Refused
from rig.messages import Message
from tests.behavior.sessions import hardware_table

WATER = {"cohort": "task", "water_for": ["task"], "spout": "centre", "reward_ul": 3.0}
NO_WATER: list[dict[str, Any]] = [{"cohort": "unrewarded"}, {"water_for": []}]


def _made(table: dict[str, Any]) -> Hardware:
    published: list[Message] = []
    return Hardware(msgspec.convert(table, Hardware.Settings), published.append)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("wheel.is", "behavior.devices.simulated:Globe", r"\[nodes.hardware.wheel\].*Globe"),
        ("wheel.is", "no.such.module:Wheel", "cannot be loaded"),
        ("wheel.is", "Wheel", "must name a class"),
        ("wheel.is", "rig.clock:RealClock", "is not a device"),
        ("wheel.cm_per_count", -1.0, "cm_per_count"),
        ("wheel.colour", "red", "colour"),
        ("wheel.board", "bank", "no board 'bank'; choose one of bench"),
        ("wheel.board", None, "needs a board"),
        ("boards.bench.mouse.run_cm_s", "fast", r"boards.bench.mouse\].*run_cm_s"),
        ("valve.centre.ul_per_ms", 0.0, r"valve.centre\].*ul_per_ms"),
    ],
)
def test_a_wrong_table_is_refused_before_anything_is_opened(
    path: str, value: Any, expected: str
) -> None:
    table = hardware_table()
    *parents, key = path.split(".")
    at = table
    for parent in parents:
        at = at[parent]
    at[key] = value
    with pytest.raises(Refused, match=expected):
        _made(table)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"spout": "left"}, r"hardware\.lick\.left\] .* has: centre, dry"),
        ({"spout": "dry"}, r"hardware\.valve\.dry\] .* has: centre"),
        ({"reward_ul": 7.51}, "longer than guard.max_open_ms = 150; set reward_ul to 7.5 or less"),
    ],
)
def test_a_task_with_impossible_water_is_refused(facts: dict[str, Any], expected: str) -> None:
    table = hardware_table()
    table["lick"]["dry"] = table["lick"]["centre"]
    node = _made(table)
    with pytest.raises(Refused, match=expected):
        node.check({**WATER, **facts})
    for change in NO_WATER:
        node.check({**WATER, **facts, **change})
    node.check(WATER)


@given(ul_per_ms=st.floats(0.001, 1), max_open_ms=st.floats(1, 150))
@example(ul_per_ms=0.97, max_open_ms=3.0)
def test_the_largest_volume_named_in_a_refusal_is_allowed(
    ul_per_ms: float, max_open_ms: float
) -> None:
    table = hardware_table()
    table["valve"]["centre"]["ul_per_ms"] = ul_per_ms
    node = _made({**table, "guard": {"max_open_ms": max_open_ms}})
    with pytest.raises(Refused, match="or less") as refused:
        node.check({**WATER, "reward_ul": 200.0})
    largest_ul = float(str(refused.value).split("reward_ul to ")[1].split()[0])
    node.check({**WATER, "reward_ul": largest_ul})
    assert largest_ul == pytest.approx(ul_per_ms * max_open_ms, abs=0.0011)


def test_completed_settings_make_the_same_devices_again() -> None:
    whole = msgspec.to_builtins(_made(hardware_table()).settings)
    assert whole["boards"]["bench"]["mouse"]["run_cm_s"] > 0
    assert whole["lines"]["frame_clock"]["pulse_ms"] > 0
    assert msgspec.to_builtins(_made(whole).settings) == whole
