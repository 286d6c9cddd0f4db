"""Lines of the closed loop: raised for a limited time, one answer per request, never a valve."""

from typing import Any

import pytest

from rig.errors import Refused
from rig.messages import Edge, Message, Start, Trigger, TriggerOutput, TriggerRelease, Valve
from tests.behavior.sessions import MS, hardware, hardware_table, of

LASER = {"is": "behavior.devices.simulated:TriggerLine", "board": "bench", "longest_ms": 500.0}


class Driver:
    """An open driver with a laser, ticked by hand."""

    def __init__(self, **lines: dict[str, Any]) -> None:
        self.published: list[Message] = []
        table = {**hardware_table(), "trigger_lines": lines or {"laser": LASER}}
        self.node, self.clock = hardware(table, self.published.append)
        self.node.handle(Start(0, {"seed": 1}))
        self.tick(0)

    def tick(self, ms: int) -> None:
        self.clock.set(ms * MS)
        self.node.tick(ms * MS)

    def ask(self, ms: int, id_: int, up_ms: float = 20.0, **keys: Any) -> TriggerOutput | None:
        """Send a request; return the answer to it, if there is one."""
        before = len(self.published)
        self.clock.set(ms * MS)
        values: dict[str, Any] = {
            "deadline": (ms + 100) * MS, "rule": "one", "line": "laser", "hold": False,
            "sham": False, "trial": 0, "stimulus": "leaf1", "position_m": 2.0,
        }  # fmt: skip
        self.node.handle(Trigger(ms * MS, id=id_, up_ms=up_ms, **{**values, **keys}))
        answers = of(TriggerOutput, self.published[before:])
        assert len(answers) <= 1
        return answers[0] if answers else None

    @property
    def edges(self) -> list[tuple[int, bool]]:
        return [(e.t // MS, e.up) for e in of(Edge, self.published) if e.line == "laser"]

    @property
    def pulses(self) -> list[tuple[int, int]]:
        line: Any = self.node.devices.trigger_lines["laser"]
        return [(rose // MS, fell // MS) for rose, fell in line.pulses]


def test_a_line_rises_for_the_time_asked_and_the_answer_says_so() -> None:
    driver = Driver()
    assert driver.ask(10, 1) == TriggerOutput(10 * MS, 1, "laser", 20.0)
    driver.tick(29)
    assert driver.edges == [(10, True)]
    driver.tick(35)
    assert driver.edges == [(10, True), (30, False)]
    assert driver.pulses == [(10, 30)]


def test_a_sham_does_everything_except_raising_the_line() -> None:
    driver = Driver()
    assert driver.ask(10, 1, sham=True) == TriggerOutput(10 * MS, 1, "laser", 0.0, sham=True)
    driver.tick(50)
    assert (driver.edges, driver.pulses) == ([], [])


def test_a_held_line_is_lowered_by_its_release_and_by_no_other() -> None:
    driver = Driver()
    driver.ask(10, 1, 400.0, hold=True)
    driver.node.handle(TriggerRelease(20 * MS, 7))
    assert driver.edges == [(10, True)]
    driver.clock.set(60 * MS)
    driver.node.handle(TriggerRelease(60 * MS, 1))
    assert driver.edges == [(10, True), (60, False)]
    assert driver.pulses == [(10, 60)]


def test_the_device_lowers_a_line_whose_driver_does_nothing_more() -> None:
    driver = Driver()
    driver.ask(10, 1, 400.0, hold=True)
    assert driver.pulses == [(10, 410)], "the device knows the end from the beginning"


@pytest.mark.parametrize(
    ("keys", "refused"),
    [
        ({"deadline": 9 * MS}, "too late"),
        ({"line": "lamp"}, "there is no such trigger line"),
        ({"line": "centre"}, "there is no such trigger line"),
        ({"up_ms": 501.0}, "longer than longest_ms of the line"),
        ({"up_ms": 0.0}, "longer than longest_ms of the line"),
        ({"up_ms": float("nan")}, "longer than longest_ms of the line"),
        ({"up_ms": 501.0, "sham": True}, "longer than longest_ms of the line"),
    ],
)
def test_an_impossible_request_is_refused_and_raises_nothing(
    keys: dict[str, Any], refused: str
) -> None:
    driver = Driver()
    answer = driver.ask(10, 1, **keys)
    assert answer is not None
    assert (answer.refused, answer.up_ms) == (refused, 0.0)
    driver.tick(50)
    assert (driver.edges, driver.pulses) == ([], [])
    assert of(Valve, driver.published) == []
    valve: Any = driver.node.devices.valves["centre"]
    assert valve.pulses == []


def test_a_line_that_is_up_is_not_raised_again() -> None:
    driver = Driver()
    driver.ask(10, 1, 100.0)
    answer = driver.ask(50, 2)
    assert answer is not None
    assert answer.refused == "the line is up"
    answer = driver.ask(110, 3)
    assert answer is not None
    assert answer.refused == ""
    assert driver.edges == [(10, True), (110, False), (110, True)]


def test_a_repeated_request_does_nothing() -> None:
    driver = Driver()
    driver.ask(10, 1)
    driver.tick(50)
    assert driver.ask(60, 1) is None
    assert driver.pulses == [(10, 30)]


def test_lines_are_lowered_at_the_end() -> None:
    driver = Driver()
    driver.ask(10, 1, 400.0)
    driver.clock.set(100 * MS)
    driver.node.close()
    assert driver.edges == [(10, True), (100, False)]
    assert driver.pulses == [(10, 100)]


@pytest.mark.parametrize(
    ("name", "what"), [("centre", "a valve"), ("frame_clock", "an input line")]
)
def test_a_trigger_line_may_not_have_the_name_of_another_device(name: str, what: str) -> None:
    with pytest.raises(Refused, match=f"{what} has the same name; rename the trigger line"):
        Driver(**{name: LASER})


def test_a_valve_cannot_be_declared_as_a_trigger_line() -> None:
    valve = {"is": "behavior.devices.simulated:Valve", "board": "bench", "ul_per_ms": 0.05}
    with pytest.raises(Refused, match=r"Valve is not a trigger line.*only the water guard opens"):
        Driver(laser=valve)
