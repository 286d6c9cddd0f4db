"""Our firmware alone: if the driver, the line or its code fails, nothing stays armed."""

import threading
from collections.abc import Iterator

import pytest

from behavior.devices.harp.connection import Dated
from behavior.devices.harp.messages import READ, U16, WRITE, HarpMessage
from behavior.devices.harp.models import ARMED, FIRED, INPUTS, WHEEL
from behavior.devices.protocols import ArmedValve
from rig.clock import monotonic_ns
from tests.behavior.devices.harp.harp_worlds import MS, AvrWorld, until

LONG = 60_000 * MS
S = 1_000 * MS


@pytest.fixture
def avr() -> Iterator[AvrWorld]:
    made = AvrWorld()
    yield made
    made.board.close()
    made.close()


def _armed(world: AvrWorld, open_ms: float = 60.0) -> ArmedValve:
    valve: ArmedValve = world.device("ArmedValve", "centre", ul_per_ms=0.05)
    world.open()
    now = world.wait(1)
    valve.arm(now, open_ms, now + LONG)
    return valve


def _sleep_ms(world: AvrWorld, ms: int) -> None:
    """Wait without polling the board."""
    world.avr.pulse("C0", "line1", ms * 1000)


def test_a_silent_driver_leaves_nothing_armed(avr: AvrWorld) -> None:
    valve = _armed(avr)
    output = avr.device("Output", "sync", on="session")
    output.set(avr.wait(1), True)
    assert avr.level("sync")
    _sleep_ms(avr, 700)
    assert not avr.level("sync")
    avr.avr.pulse("B0", "lick", 5000)
    assert _rises(avr) == 0
    avr.wait(1)
    assert "disarmed itself" in avr.board.pop_warnings()[0]
    assert valve.fired(avr.wait(1)) is None  # the driver runs again and renews its request
    avr.lick()
    assert _rises(avr) == 1


def test_a_pulse_ends_in_time_without_the_driver(avr: AvrWorld) -> None:
    valve = avr.device("ArmedValve", "centre", ul_per_ms=0.05)
    avr.open()
    valve.pulse(avr.wait(1), 120.0)
    _sleep_ms(avr, 200)
    assert [ms for _, ms in avr.openings("centre")] == pytest.approx([120.0], abs=0.01)


def test_a_pulse_ends_in_time_if_the_firmware_hangs(avr: AvrWorld) -> None:
    valve = avr.device("ArmedValve", "centre", ul_per_ms=0.05)
    avr.open()
    valve.pulse(avr.wait(1), 50.0)
    avr.avr.command("hang")
    _until_shut(avr, 1)
    assert [ms for _, ms in avr.openings("centre")] == pytest.approx([50.0], abs=0.01)


def test_hung_firmware_is_reset_and_set_up_again_with_the_valve_shut(avr: AvrWorld) -> None:
    valve = avr.device("ArmedValve", "centre", ul_per_ms=0.05)
    avr.open()
    valve.pulse(avr.wait(1), 150.0)
    avr.avr.command("hang")
    _until_shut(avr, 1)
    ((_, ms),) = avr.openings("centre")
    assert ms <= 150.01
    remark = until(lambda: avr.wait(5) and avr.board.pop_warnings())[0]
    assert "board b was lost" in remark
    valve.pulse(avr.wait(1), 20.0)
    _until_shut(avr, 2)


def test_an_armed_reward_ends_without_renewal(
    avr: AvrWorld,
) -> None:
    _armed(avr)
    avr.wait(700)  # the board is asked for its time meanwhile, but its request is not renewed
    avr.lick()
    assert _rises(avr) == 0
    assert avr.board.pop_warnings() == []


def test_a_request_that_has_fired_never_arms_again(avr: AvrWorld) -> None:
    valve = _armed(avr)
    avr.lick()
    until(lambda: valve.fired(avr.wait(5)))
    _until_shut(avr, 1)
    request = avr.board.ask(HarpMessage(READ, ARMED, U16)).values[0]
    answer = avr.board.ask(HarpMessage(WRITE, ARMED, U16, (request, 10_000, 500)))
    assert answer.values == (request, 0, 0)
    avr.lick()
    avr.wait(100)
    assert len(avr.openings("centre")) == 1


def test_the_board_sends_the_lick_before_its_reward(avr: AvrWorld) -> None:
    _armed(avr)
    avr.avr.pulse("B0", "lick", 5000)
    _sleep_ms(avr, 20)
    addresses = [
        event.address for event in avr.board._connection.events() if event.address != WHEEL
    ]
    assert addresses[:2] == [INPUTS, FIRED]


def test_a_lick_during_other_events_is_sent_before_its_reward(
    avr: AvrWorld,
) -> None:
    valve = _armed(avr, 1.0)
    events: list[Dated] = []

    def is_read() -> bool:
        events.extend(avr.board._connection.events())
        states = [event.values[0] for event in events if event.address == INPUTS]
        return states[-1:] == [0] and FIRED in [event.address for event in events]

    for late_us in range(1, 121):
        valve.arm(monotonic_ns(), 1.0, monotonic_ns() + LONG)
        events.clear()
        avr.avr.command(f"at 1 C0 1\nat {late_us} B0 1\nat 500 C0 0\nat 1000 B0 0")
        until(is_read)
        lick = next(e for e in events if e.address == INPUTS and int(e.values[0]) & 1)
        (fired,) = [event for event in events if event.address == FIRED]
        assert events.index(lick) < events.index(fired), f"{late_us} us"


def test_a_reward_is_reported_in_the_tick_of_its_lick(avr: AvrWorld) -> None:
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
def test_no_pulse_is_longer_than_the_firmwares_limit(avr: AvrWorld, open_ms: float) -> None:
    valve = avr.device("ArmedValve", "centre", ul_per_ms=0.05)
    avr.open()
    for act in (valve.pulse, lambda now, ms: valve.arm(now, ms, now + LONG)):
        with pytest.raises(OSError, match="refuses"):
            act(avr.wait(1), open_ms)
    avr.lick()
    assert _rises(avr) == 0


def test_a_reward_whose_event_was_lost_is_counted(avr: AvrWorld) -> None:
    valve = _armed(avr)
    avr.avr.command("mute 1")
    avr.avr.pulse("B0", "lick", 5000)
    avr.avr.command("mute 0")
    fired = until(lambda: valve.fired(avr.wait(5)))
    assert fired.open_ms == pytest.approx(60.0)
    _until_shut(avr, 1)


def test_a_reward_whose_event_was_damaged_is_dated_to_its_lick(
    avr: AvrWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    valve = _armed(avr)
    lick = avr.device("Lick", "centre")
    monkeypatch.setattr(avr.board, "on_fired", None)
    avr.lick()
    avr.lick()
    (t, _) = lick.onsets(avr.wait(20))
    fired = until(lambda: valve.fired(avr.wait(5)))
    assert fired.lick_t == fired.opened_t == t


def test_a_reward_given_while_the_board_was_lost_is_counted(avr: AvrWorld) -> None:
    valve = _armed(avr)
    avr.avr.command("mute 1")
    avr.avr.pulse("B0", "lick", 5000)
    back = threading.Timer(0.5, avr.avr.command, ["mute 0"])
    back.start()
    fired = until(lambda: valve.fired(avr.wait(5)))
    back.join()
    assert fired.open_ms == pytest.approx(60.0)
    assert valve.disarm(avr.wait(1)) is None


def test_the_reward_is_armed_again_after_a_reconnection(avr: AvrWorld) -> None:
    valve = _armed(avr)
    avr.avr.command("mute 1")
    back = threading.Timer(0.7, avr.avr.command, ["mute 0"])
    back.start()
    until(lambda: avr.wait(5) and avr.board.pop_warnings())
    back.join()
    for _ in range(3):
        assert valve.fired(avr.wait(10)) is None
    avr.lick()
    assert until(lambda: valve.fired(avr.wait(5))).open_ms == pytest.approx(60.0)
    _until_shut(avr, 1)
    avr.wait(100)
    assert len(avr.openings("centre")) == 1


def test_an_armed_reward_counts_as_given_if_the_board_was_lost_and_reset(avr: AvrWorld) -> None:
    valve = _armed(avr)
    avr.avr.command("freeze 1")
    back = threading.Timer(0.5, avr.avr.command, ["freeze 0"])
    back.start()
    fired = until(lambda: valve.fired(avr.wait(5)))
    back.join()
    assert fired.open_ms == pytest.approx(60.0)


def _rises(world: AvrWorld) -> int:
    """Return how often the valve has opened."""
    return sum(up for up, _ in world.avr.seen("valve"))


def _until_shut(world: AvrWorld, times: int) -> None:
    until(lambda: len(world.openings("centre")) >= times)
