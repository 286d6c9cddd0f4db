"""A whole session on our board: the mouse moves the board's pins, the firmware gives the water."""

import json
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.messages import DeviceTime, Edge, Lick, Message, TrialStart, Valve, Wheel
from rig.replay.replay import replay
from rig.session.provenance import about
from rig.settings.config import read_session
from rig.transport.log import LOG_FILE, read
from tests.behavior.sessions import MS, of
from tests.behavior.simavr.avr import Avr
from tests.behavior.simavr.mouse import MouseOnAvr
from tests.behavior.simavr.needed import need_tools
from tests.live import PACKAGE, Live

SHORT = (
    "nodes.referee.realtime=true",  # it hears 2,000 words a second, also beside other tests
    "task.texture_m=1.0",
    "task.grey_m=0.5",
    "task.cue_from_m=0.2",
    "task.cue_to_m=0.4",
    "task.corridor_cm_s=150",
    "task.grey_before_s=0.5",
    "task.grey_after_s=0.5",
)
TRIALS = 20
NEAR_NS = 50 * MS
"""How far the log's times may be from the pins' on a busy machine."""


def live(folder: Path, avr: Avr, *args: str, sets: tuple[str, ...] = SHORT) -> Live:
    """Return a session on that board, in the dark: the shipped setup without its display."""
    setup = folder / "avr.toml"
    shipped = (PACKAGE / "setups" / "avr.toml").read_text()
    setup.write_text(shipped.partition("[nodes.display]")[0])
    board, valve = "nodes.hardware.boards.avr", "nodes.hardware.valve.centre"
    on = (
        f"{board}.port={avr.port}",
        f"{board}.usb_serial=",
        f"{valve}.calibrated='{date.today()}'",
        f"nodes.hardware.wheel.calibrated='{date.today()}'",
    )
    by = ("--override", "a simulated board", *args)
    return Live(folder / "data", *on, *sets, setup=setup, args=by)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Avr]]:
    need_tools()
    avr = Avr()
    args = ("--trials", str(TRIALS), "--seed", "5")
    with live(tmp_path_factory.mktemp("data"), avr, *args) as session:
        with MouseOnAvr(avr, session.port):
            code, output = session.end()
        assert code == 0, output
        yield session.folder, avr
    avr.close()


def _messages(ran: tuple[Path, Avr]) -> list[Message]:
    return [message for _, message in read(ran[0] / LOG_FILE)]


def _pin_times(ran: tuple[Path, Avr], name: str) -> list[int]:
    """Return when a pin rose, in session time (ns)."""
    folder, avr = ran
    t0_ns = read_session(folder).t0_ns
    return [avr.ns(cycle) - t0_ns for up, cycle in avr.seen(name) if up]


def test_it_comes_to_its_end_without_a_fault(ran: tuple[Path, Avr]) -> None:
    summary = json.loads((ran[0] / SUMMARY_FILE).read_text())
    assert summary["end_reason"] == "all trials done"
    assert len(summary["trials"]) == TRIALS
    assert summary["faults"] == []
    assert summary["rewards"] > TRIALS // 5
    assert summary["water_ul"] == pytest.approx(3.0 * summary["rewards"])


def test_it_replays_bit_for_bit(ran: tuple[Path, Avr]) -> None:
    report = replay(ran[0], [], about())
    assert report.first is None
    assert report.exact
    assert report.compared["task"] > 0


def test_another_running_rule_is_caught_by_the_replay(ran: tuple[Path, Avr]) -> None:
    report = replay(ran[0], ["task.run_threshold_cm_s=30"], about())
    assert report.first is not None


def test_every_drop_in_the_log_left_the_valve_pin_and_no_other(ran: tuple[Path, Avr]) -> None:
    said = [message for message in of(Valve, _messages(ran)) if not message.refused]
    opened = ran[1].openings()
    assert [ms for _, ms in opened] == pytest.approx(
        [message.open_ms for message in said], abs=0.01
    )
    for message, t in zip(said, _pin_times(ran, "valve"), strict=True):
        assert abs(message.t - t) < NEAR_NS


def test_the_firmware_opened_it_at_the_lick(ran: tuple[Path, Avr]) -> None:
    """The driver cannot be so quick: a drop within 50 us of its lick came from the board."""
    at_lick = [message for message in of(Valve, _messages(ran)) if message.lick_t is not None]
    armed = [w for w in at_lick if w.lick_t is not None and w.t - w.lick_t < 50_000]
    assert len(at_lick) >= TRIALS // 5
    assert len(armed) >= 0.8 * len(at_lick)


def test_licks_lines_and_wheel_are_those_of_the_pins(ran: tuple[Path, Avr]) -> None:
    messages = _messages(ran)
    pins = [t for t in _pin_times(ran, "lick") if t < of(Wheel, messages)[-1].t - NEAR_NS]
    licks = [message.t for message in of(Lick, messages)]
    assert len(licks) == pytest.approx(len(pins), abs=3)
    assert all(min(abs(t - pin) for pin in pins) < NEAR_NS for t in licks[:-3])
    assert of(Wheel, messages)[-1].cm > 50.0
    rises = [w for w in of(Edge, messages) if (w.line, w.up) == ("trial_sync", True)]
    assert len(rises) == len(of(TrialStart, messages)) == len(_pin_times(ran, "output0"))


def test_where_the_boards_clock_stands_is_in_the_log(ran: tuple[Path, Avr]) -> None:
    told = of(DeviceTime, _messages(ran))
    assert len(told) > 10
    rates = [(b.device_ns - a.device_ns) / (b.t - a.t) for a, b in pairwise(told)]
    assert sorted(rates)[len(rates) // 2] == pytest.approx(1.0, abs=0.01)
