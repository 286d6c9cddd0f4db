"""All that can go wrong with a serial board: one sentence, and nothing armed."""

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from serial.tools import list_ports

from behavior.devices import harp_board
from behavior.devices.harp_board import Board
from behavior.devices.harp_messages import READ, U16, WRITE, Message
from behavior.devices.harp_models import ARMED, FIRED, INPUTS, WHEEL, WHO_AM_I
from behavior.devices.protocols import ArmedValve
from rig.clock import monotonic_ns
from rig.refused import Refused
from tests.behavior.harp_worlds import MS, AvrWorld, BehaviorWorld
from tests.behavior.pty_board import PtyBoard

LONG = 60_000 * MS
S = 1_000 * MS


@pytest.fixture
def world() -> Iterator[BehaviorWorld]:
    made = BehaviorWorld()
    yield made
    made.board.close()
    made.close()


@pytest.fixture
def avr() -> Iterator[AvrWorld]:
    made = AvrWorld()
    yield made
    made.board.close()
    made.close()


def _refused(there: PtyBoard, **settings: object) -> str:
    table = Board.Settings(**{"model": "behavior", "port": there.port, **settings})  # type: ignore
    board = Board(table, "b")
    try:
        with pytest.raises(Refused) as refused:
            board.open()
    finally:
        board.close()
        there.close()
    return str(refused.value)


def test_a_port_that_is_not_there_is_refused() -> None:
    assert "/dev/nowhere cannot be had" in _refused(PtyBoard(), port="/dev/nowhere")


def test_a_board_that_is_not_plugged_in_is_refused_and_those_there_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = [SimpleNamespace(device="/dev/ttyUSB7", serial_number="OTHER1")]
    monkeypatch.setattr(list_ports, "comports", lambda: there)
    said = _refused(PtyBoard(), port="", usb_serial="A5")
    assert "serial number 'A5'" in said
    assert "OTHER1 (/dev/ttyUSB7)" in said


def test_another_board_is_refused() -> None:
    assert "it is board 1232, and the setup expects 1216" in _refused(PtyBoard(who_am_i=1232))
    assert "it is board 1216, and the setup expects 0" in _refused(PtyBoard(), model="rig-avr")


def test_an_old_firmware_is_refused() -> None:
    assert "firmware 2.4 is older than 2.5" in _refused(PtyBoard(firmware=(2, 4)))


def test_a_board_that_says_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harp_board, "_WAKES_WITHIN_S", 0.1)
    there = PtyBoard()
    there.silent = True
    assert "it does not answer" in _refused(there)


def test_a_port_in_use_is_refused(world: BehaviorWorld) -> None:
    world.open()
    second = Board(Board.Settings(model="behavior", port=world.there.port), "b")
    with pytest.raises(Refused, match="end what uses it"):
        second.open()


def test_garbage_on_the_line_costs_no_message(world: BehaviorWorld) -> None:
    wheel = world.device("Wheel", "wheel", cm_per_count=0.1)
    lick = world.device("Lick", "centre")
    world.open()
    told, zero = 0, wheel.counts(world.wait(1))
    for number in range(10):
        world.there.say(bytes(range(number, 256, 7)))
        world.turn(5)
        world.lick()
        now = world.wait(20)
        told += len(lick.onsets(now))
        assert wheel.counts(now) - zero == 5 * (number + 1)
    assert told == 10
    assert world.board.remarks() == []


def test_a_board_that_is_gone_ends_the_driver_with_one_sentence(world: BehaviorWorld) -> None:
    world.board.settings = Board.Settings(model="behavior", port=world.there.port, reconnect_s=0.1)
    valve = world.device("Valve", "centre", ul_per_ms=0.05)
    world.open()
    world.there.unplug()
    with pytest.raises(OSError, match=r"board b is lost: .*; check its cable"):
        world.wait(1000)
    with pytest.raises(OSError, match="not open"):
        valve.pulse(monotonic_ns(), 50.0)
    valve.close()
    world.board.close()


def test_a_silent_board_ends_the_driver(world: BehaviorWorld) -> None:
    world.board.settings = Board.Settings(model="behavior", port=world.there.port, reconnect_s=0.1)
    world.open()
    world.there.silent = True
    with pytest.raises(OSError, match="silent for"):
        world.wait(2000)


def test_a_wheel_that_is_not_heard_of_is_not_guessed(world: BehaviorWorld) -> None:
    wheel = world.device("Wheel", "wheel", cm_per_count=0.1)
    world.open()
    wheel.counts(world.wait(1))
    world.there.registers[harp_board.harp_models.ENCODERS] = (0,)
    with pytest.raises(OSError, match="its wheel has been silent"):
        while True:
            wheel.counts(world.wait(10))


def _by_number(there: PtyBoard, monkeypatch: pytest.MonkeyPatch) -> Board:
    """Return a board that is known by its USB serial number, at whatever port it is."""

    def ports() -> list[SimpleNamespace]:
        return [SimpleNamespace(device=there.port, serial_number="A5")]

    monkeypatch.setattr(list_ports, "comports", ports)
    return Board(Board.Settings(model="behavior", usb_serial="A5"), "b")


@pytest.mark.parametrize("reset", [False, True])
def test_a_board_plugged_in_again_is_found_by_its_number_and_goes_on(
    reset: bool, world: BehaviorWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.board = _by_number(world.there, monkeypatch)
    wheel = world.device("Wheel", "wheel", cm_per_count=0.1)
    lick = world.device("Lick", "centre")
    world.open()
    world.turn(1000)
    before = wheel.counts(world.wait(20))
    old = world.there.port
    world.there.unplug()
    if reset:
        world.there.reset()
    world.there.plug()
    assert wheel.counts(world.wait(300)) == before
    world.turn(7)
    t = world.lick()
    now = world.wait(20)
    assert wheel.counts(now) == before + 7
    (onset,) = lick.onsets(now)
    assert abs(onset - t) < world.slack_ns
    (remark,) = world.board.remarks()
    assert "board b was lost for" in remark
    assert world.there.port != old


def test_a_board_that_is_not_set_up_in_time_is_not_waited_for(
    world: BehaviorWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.board = _by_number(world.there, monkeypatch)
    world.open()
    world.there.unplug()
    world.there.late_ns = 35 * MS  # each answer comes, all of them only after a second
    world.there.plug()
    with pytest.raises(OSError, match="board b is lost"):
        world.wait(2000)


def test_a_line_that_is_up_from_the_begin_is_touched_since_then(world: BehaviorWorld) -> None:
    lick = world.device("Lick", "centre")
    world.there.touch(0, up=True)
    world.open()
    began = world.board.session_now()
    assert lick.onsets(world.wait(5)) == []
    touched = lick.touched_since(world.board.session_now())
    assert touched is not None
    assert abs(touched - began) < world.slack_ns


@pytest.mark.parametrize("still", [False, True])
def test_a_board_that_was_lost_in_a_touch_tells_of_it_as_it_is_when_it_is_back(
    still: bool, world: BehaviorWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.board = _by_number(world.there, monkeypatch)
    lick = world.device("Lick", "centre")
    world.open()
    t = world.there.touch(0, up=True)
    assert len(lick.onsets(world.wait(20))) == 1
    world.there.unplug()
    world.there.touch(0, up=still)
    world.there.plug()
    _until(lambda: world.wait(5) and world.board.remarks())
    assert lick.onsets(world.wait(5)) == []
    touched = lick.touched_since(world.wait(1))
    assert touched is None if not still else touched is not None and touched > t + 20 * MS


def test_a_board_that_was_reset_is_set_up_again(world: BehaviorWorld) -> None:
    wheel = world.device("Wheel", "wheel", cm_per_count=0.1)
    world.open()
    world.wait(20)
    world.there.reset()
    world.wait(2600)
    (remark,) = world.board.remarks()
    assert "heartbeat has stopped" in remark
    wheel.counts(world.wait(10))


def test_another_board_in_its_place_ends_the_driver(
    world: BehaviorWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.open()
    world.there.registers[WHO_AM_I] = (1,)
    with pytest.raises(OSError, match=r"board b is lost: another board answers: \(1,\)"):
        world.wait(1500)


def test_late_answers_do_not_move_the_clock(world: BehaviorWorld) -> None:
    world.open()
    world.wait(300)
    clock = world.board._link.clock
    device = clock.latest
    before = clock.host_ns(device)
    world.there.late_ns = 102 * MS  # by then the next question is asked
    world.wait(1500)
    assert abs(clock.host_ns(device) - before) < 50 * MS
    assert world.board.remarks() == []


# -- our own firmware: what it does by itself ---------------------------------------------------


def _armed(world: AvrWorld, open_ms: float = 60.0) -> ArmedValve:
    valve: ArmedValve = world.device("ArmedValve", "centre", ul_per_ms=0.05)
    world.open()
    now = world.wait(1)
    valve.arm(now, open_ms, now + LONG)
    return valve


def _sleep_ms(world: AvrWorld, ms: int) -> None:
    """Let the board's time pass while the driver does nothing."""
    world.avr.pulse("C0", "line1", ms * 1000)


def test_a_driver_that_falls_silent_leaves_nothing_armed(avr: AvrWorld) -> None:
    valve = _armed(avr)
    output = avr.device("Output", "sync", on="session")
    output.set(avr.wait(1), True)
    assert avr.level("sync")
    _sleep_ms(avr, 700)
    assert not avr.level("sync")
    avr.avr.pulse("B0", "lick", 5000)
    assert _rises(avr) == 0
    avr.wait(1)
    assert "disarmed itself" in avr.board.remarks()[0]
    assert valve.fired(avr.wait(1)) is None  # it lives again, and renews what is still wanted
    avr.lick()
    assert _rises(avr) == 1


def test_a_pulse_ends_in_time_if_the_driver_is_gone(avr: AvrWorld) -> None:
    valve = avr.device("ArmedValve", "centre", ul_per_ms=0.05)
    avr.open()
    valve.pulse(avr.wait(1), 120.0)
    _sleep_ms(avr, 200)
    assert [ms for _, ms in avr.openings("centre")] == pytest.approx([120.0], abs=0.01)


def test_a_pulse_ends_in_time_if_the_firmware_hangs(avr: AvrWorld) -> None:
    valve = avr.device("ArmedValve", "centre", ul_per_ms=0.05)
    avr.open()
    valve.pulse(avr.wait(1), 50.0)
    avr.avr.tell("hang")
    _until_shut(avr, 1)
    assert [ms for _, ms in avr.openings("centre")] == pytest.approx([50.0], abs=0.01)


def test_a_firmware_that_hangs_is_reset_shuts_its_valve_and_is_set_up_again(avr: AvrWorld) -> None:
    valve = avr.device("ArmedValve", "centre", ul_per_ms=0.05)
    avr.open()
    valve.pulse(avr.wait(1), 150.0)
    avr.avr.tell("hang")
    _until_shut(avr, 1)
    ((_, ms),) = avr.openings("centre")
    assert ms <= 150.01
    remark = _until(lambda: avr.wait(5) and avr.board.remarks())[0]
    assert "board b was lost" in remark
    valve.pulse(avr.wait(1), 20.0)
    _until_shut(avr, 2)


def test_an_armed_reward_that_is_not_renewed_is_void_also_if_the_driver_lives(
    avr: AvrWorld,
) -> None:
    _armed(avr)
    avr.wait(700)  # the board is asked its time meanwhile, its valve is not asked for
    avr.lick()
    assert _rises(avr) == 0
    assert avr.board.remarks() == []


def test_a_wish_that_was_fired_never_arms_again(avr: AvrWorld) -> None:
    valve = _armed(avr)
    avr.lick()
    _until(lambda: valve.fired(avr.wait(5)))
    _until_shut(avr, 1)
    wish = avr.board.ask(Message(READ, ARMED, U16)).values[0]
    answer = avr.board.ask(Message(WRITE, ARMED, U16, (wish, 10_000, 500)))
    assert answer.values == (wish, 0, 0)
    avr.lick()
    avr.wait(100)
    assert len(avr.openings("centre")) == 1


def test_the_board_tells_of_the_lick_before_what_it_fired(avr: AvrWorld) -> None:
    _armed(avr)
    avr.avr.pulse("B0", "lick", 5000)
    _sleep_ms(avr, 20)
    told = [event.address for event in avr.board._link.events() if event.address != WHEEL]
    assert told[:2] == [INPUTS, FIRED]


def test_what_fired_is_told_with_its_lick_not_before(avr: AvrWorld) -> None:
    valve = _armed(avr)
    lick = avr.device("Lick", "centre")
    avr.lick()
    now = avr.wait(20)
    (t,) = lick.onsets(now)
    assert valve.fired(t - 1) is None
    fired = valve.fired(now)
    assert fired is not None
    assert fired.lick_t == t


@pytest.mark.parametrize("open_ms", [150.1, 200.0, 262.0])
def test_no_pulse_is_longer_than_the_firmwares_ceiling(avr: AvrWorld, open_ms: float) -> None:
    valve = avr.device("ArmedValve", "centre", ul_per_ms=0.05)
    avr.open()
    for act in (valve.pulse, lambda now, ms: valve.arm(now, ms, now + LONG)):
        with pytest.raises(OSError, match="refuses"):
            act(avr.wait(1), open_ms)
    avr.lick()
    assert _rises(avr) == 0


def test_a_reward_whose_word_was_lost_on_the_way_is_counted(avr: AvrWorld) -> None:
    valve = _armed(avr)
    avr.avr.tell("mute 1")
    avr.avr.pulse("B0", "lick", 5000)
    avr.avr.tell("mute 0")
    fired = _until(lambda: valve.fired(avr.wait(5)))
    assert fired.open_ms == pytest.approx(60.0)
    _until_shut(avr, 1)


def test_a_reward_whose_word_alone_was_damaged_is_told_with_its_lick(
    avr: AvrWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    valve = _armed(avr)
    lick = avr.device("Lick", "centre")
    monkeypatch.setattr(avr.board, "on_fired", None)
    avr.lick()
    avr.lick()
    (t, _) = lick.onsets(avr.wait(20))
    fired = _until(lambda: valve.fired(avr.wait(5)))
    assert fired.lick_t == fired.opened_t == t


def test_a_reward_that_was_given_while_the_board_was_lost_is_counted(avr: AvrWorld) -> None:
    valve = _armed(avr)
    avr.avr.tell("mute 1")
    avr.avr.pulse("B0", "lick", 5000)
    back = threading.Timer(0.5, avr.avr.tell, ["mute 0"])
    back.start()
    fired = _until(lambda: valve.fired(avr.wait(5)))
    back.join()
    assert fired.open_ms == pytest.approx(60.0)
    assert valve.disarm(avr.wait(1)) is None


def test_a_board_that_was_lost_holds_the_reward_again_when_it_is_back(avr: AvrWorld) -> None:
    valve = _armed(avr)
    avr.avr.tell("mute 1")
    back = threading.Timer(0.7, avr.avr.tell, ["mute 0"])
    back.start()
    _until(lambda: avr.wait(5) and avr.board.remarks())
    back.join()
    for _ in range(3):
        assert valve.fired(avr.wait(10)) is None
    avr.lick()
    assert _until(lambda: valve.fired(avr.wait(5))).open_ms == pytest.approx(60.0)
    _until_shut(avr, 1)
    avr.wait(100)
    assert len(avr.openings("centre")) == 1


def test_a_board_that_was_lost_and_reset_may_have_fired_and_that_counts(avr: AvrWorld) -> None:
    valve = _armed(avr)
    avr.avr.tell("freeze 1")
    back = threading.Timer(0.5, avr.avr.tell, ["freeze 0"])
    back.start()
    fired = _until(lambda: valve.fired(avr.wait(5)))
    back.join()
    assert fired.open_ms == pytest.approx(60.0)


def _rises(world: AvrWorld) -> int:
    """How often the valve has opened."""
    return sum(up for up, _ in world.avr.seen("valve"))


def _until_shut(world: AvrWorld, times: int) -> None:
    _until(lambda: len(world.openings("centre")) >= times)


def _until(look: Callable[[], Any]) -> Any:
    """Return what was looked for, once it is there."""
    patience = monotonic_ns() + 30 * S
    while not (found := look()):
        assert monotonic_ns() < patience, "it never came"
        time.sleep(0.001)
    return found
