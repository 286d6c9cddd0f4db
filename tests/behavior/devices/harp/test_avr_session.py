"""A whole imaging session on our board: a simulated mouse and microscope move its pins."""

from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import pytest

from rig.messages import DeviceTime, Edge, Lick, Message, TrialStart, Valve, Wheel
from rig.replay.replay import replay
from rig.session.provenance import about
from rig.settings.config import read_session
from tests.behavior.devices.harp.simavr.avr import Avr
from tests.behavior.devices.harp.simavr.needed import need_tools
from tests.behavior.devices.imaging import (
    check_whole_imaging_session,
    messages,
    run_imaging_session,
    summary,
)
from tests.behavior.manual.shipped_setups import shipped
from tests.behavior.sessions import MS, of
from tests.live import Live

SHORT = (
    "nodes.referee.realtime=true",  # it gets 2,000 messages per second, also while other tests run
    "task.texture_m=1.0",
    "task.grey_m=0.5",
    "task.cue_from_m=0.2",
    "task.cue_to_m=0.4",
    "task.corridor_cm_s=150",
    "task.grey_before_s=0.5",
    "task.grey_after_s=0.5",
)
CALIBRATED = (
    f"nodes.hardware.valve.centre.calibrated='{date.today()}'",
    f"nodes.hardware.wheel.calibrated='{date.today()}'",
)
TRIALS = 20
NEAR_NS = 50 * MS
"""Largest difference between times in the log and at the pins, on a busy machine, ns."""


def behavior_session(folder: Path, avr: Avr, *args: str, sets: tuple[str, ...] = SHORT) -> Live:
    """Return a session on that board without screens and microscope."""
    setup = shipped(folder, "avr")
    by = ("--override", "a simulated board", *args)
    return Live(folder / "data", *_found(avr), *CALIBRATED, *sets, setup=setup, args=by)


def _found(avr: Avr) -> tuple[str, ...]:
    board = "nodes.hardware.boards.avr"
    return f"{board}.port={avr.port}", f"{board}.usb_serial="


class _AvrWires:
    """The wires of the board, as in rig/setups/avr.toml."""

    PINS: ClassVar[dict[str, str]] = {"lick": "B0", "frame_clock": "C0", "photodiode": "C2"}

    def __init__(self, avr: Avr) -> None:
        self._avr = avr

    def turn(self, counts: int) -> None:
        self._avr.command(f"wheel {counts}")

    def put(self, line: str, up: bool) -> None:
        self._avr.command(f"at 1 {self.PINS[line]} {int(up)}")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Avr]]:
    need_tools()
    avr = Avr()
    try:
        folder = tmp_path_factory.mktemp("avr")
        sets = (*_found(avr), "nodes.referee.realtime=true")
        yield run_imaging_session(folder, "avr", _AvrWires(avr), sets, TRIALS), avr
    finally:
        avr.close()


def _messages(ran: tuple[Path, Avr]) -> list[Message]:
    return messages(ran[0])


def test_a_whole_imaging_session(ran: tuple[Path, Avr]) -> None:
    check_whole_imaging_session(ran[0], TRIALS)


def _pin_times(ran: tuple[Path, Avr], name: str) -> list[int]:
    """Return when a pin rose, in session time (ns)."""
    folder, avr = ran
    t0_ns = read_session(folder).t0_ns
    return [avr.ns(cycle) - t0_ns for up, cycle in avr.seen(name) if up]


def test_it_runs_all_trials_and_gives_water(ran: tuple[Path, Avr]) -> None:
    found = summary(ran[0])
    assert found["end_reason"] == "all trials done"
    assert len(found["trials"]) == TRIALS
    assert found["rewards"] > TRIALS // 5
    assert found["water_ul"] == pytest.approx(3.0 * found["rewards"])


def test_it_replays_bit_for_bit(ran: tuple[Path, Avr]) -> None:
    report = replay(ran[0], [], about())
    assert report.first is None
    assert report.exact
    assert report.compared["task"] > 0


def test_another_running_rule_is_caught_by_the_replay(ran: tuple[Path, Avr]) -> None:
    report = replay(ran[0], ["task.run_threshold_cm_s=30"], about())
    assert report.first is not None


def test_the_valve_pin_shows_every_reward_and_no_other_pulse(ran: tuple[Path, Avr]) -> None:
    published = [message for message in of(Valve, _messages(ran)) if not message.refused]
    opened = ran[1].openings()
    assert [ms for _, ms in opened] == pytest.approx(
        [message.open_ms for message in published], abs=0.01
    )
    for message, t in zip(published, _pin_times(ran, "valve"), strict=True):
        assert abs(message.t - t) < NEAR_NS


def test_the_firmware_opened_the_valve_at_the_lick(ran: tuple[Path, Avr]) -> None:
    """Only the board is this fast: a reward within 50 us of its lick."""
    at_lick = [message for message in of(Valve, _messages(ran)) if message.lick_t is not None]
    armed = [w for w in at_lick if w.lick_t is not None and w.t - w.lick_t < 50_000]
    assert len(at_lick) >= TRIALS // 5
    assert len(armed) >= 0.8 * len(at_lick)


def test_licks_lines_and_wheel_agree_with_the_pins(ran: tuple[Path, Avr]) -> None:
    messages = _messages(ran)
    pins = [t for t in _pin_times(ran, "lick") if t < of(Wheel, messages)[-1].t - NEAR_NS]
    licks = [message.t for message in of(Lick, messages)]
    assert all(min(abs(t - pin) for pin in pins) < NEAR_NS for t in licks[:-3])
    # if the test's thread is late, some touches are close enough to count as bounces
    assert 0.8 * len(pins) <= len(licks) <= len(pins) + 3
    assert of(Wheel, messages)[-1].cm > 50.0
    rises = [w for w in of(Edge, messages) if (w.line, w.up) == ("trial_sync", True)]
    assert len(rises) == len(of(TrialStart, messages)) == len(_pin_times(ran, "output0"))


def test_the_boards_clock_is_in_the_log(ran: tuple[Path, Avr]) -> None:
    clock_times = of(DeviceTime, _messages(ran))
    assert len(clock_times) > 10
    rates = [(b.device_ns - a.device_ns) / (b.t - a.t) for a, b in pairwise(clock_times)]
    assert sorted(rates)[len(rates) // 2] == pytest.approx(1.0, abs=0.01)
