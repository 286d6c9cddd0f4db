"""Serial boards that fail: one error sentence, and nothing stays armed."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from serial.tools import list_ports

from behavior.devices.harp import board
from behavior.devices.harp.board import Board
from behavior.devices.harp.models import ENCODERS, WHO_AM_I
from rig.clock import monotonic_ns
from rig.errors import Refused
from rig.messages import Edge, Message, Start
from tests.behavior.devices.harp.harp_worlds import MS, BehaviorWorld, until
from tests.behavior.devices.harp.pty_board import PtyBoard
from tests.behavior.sessions import hardware, of

LONG = 60_000 * MS
S = 1_000 * MS


@pytest.fixture
def world() -> Iterator[BehaviorWorld]:
    made = BehaviorWorld()
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


def test_a_missing_port_is_refused() -> None:
    assert "/dev/nowhere cannot be opened" in _refused(PtyBoard(), port="/dev/nowhere")


def test_a_missing_board_is_refused_and_those_found_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = [SimpleNamespace(device="/dev/ttyUSB7", serial_number="OTHER1")]
    monkeypatch.setattr(list_ports, "comports", lambda: there)
    published = _refused(PtyBoard(), port="", usb_serial="A5")
    assert "serial number 'A5'" in published
    assert "OTHER1 (/dev/ttyUSB7)" in published


def test_another_board_is_refused() -> None:
    assert "its WhoAmI is 1232, but the setup expects 1216" in _refused(PtyBoard(who_am_i=1232))
    assert "its WhoAmI is 1216, but the setup expects 0" in _refused(PtyBoard(), model="rig-avr")


def test_an_old_firmware_is_refused() -> None:
    assert "firmware 2.4 is older than 2.5" in _refused(PtyBoard(firmware=(2, 4)))


def test_a_board_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "_WAKES_WITHIN_S", 0.1)
    there = PtyBoard()
    there.silent = True
    assert "it does not answer" in _refused(there)


def test_a_port_in_use_is_refused(world: BehaviorWorld) -> None:
    world.open()
    second = Board(Board.Settings(model="behavior", port=world.there.port), "b")
    with pytest.raises(Refused, match="end the program that uses it"):
        second.open()


def test_garbage_on_the_line_loses_no_message(world: BehaviorWorld) -> None:
    wheel = world.device("Wheel", "wheel", cm_per_count=0.1)
    lick = world.device("Lick", "centre")
    world.open()
    licks, zero = 0, wheel.counts(world.wait(1))
    for number in range(10):
        world.there.publish(bytes(range(number, 256, 7)))
        world.turn(5)
        world.lick()
        now = world.wait(20)
        licks += len(lick.onsets(now))
        assert wheel.counts(now) - zero == 5 * (number + 1)
    assert licks == 10
    assert world.board.pop_warnings() == []


def test_a_lost_board_ends_the_driver_with_one_sentence(world: BehaviorWorld) -> None:
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


def test_a_wheel_that_stops_sending_ends_the_driver(world: BehaviorWorld) -> None:
    wheel = world.device("Wheel", "wheel", cm_per_count=0.1)
    world.open()
    wheel.counts(world.wait(1))
    world.there.registers[ENCODERS] = (0,)
    with pytest.raises(OSError, match="has sent no wheel position"):
        while True:
            wheel.counts(world.wait(10))


def _by_number(there: PtyBoard, monkeypatch: pytest.MonkeyPatch) -> Board:
    """Return a board that is found by its USB serial number."""

    def ports() -> list[SimpleNamespace]:
        return [SimpleNamespace(device=there.port, serial_number="A5")]

    monkeypatch.setattr(list_ports, "comports", ports)
    return Board(Board.Settings(model="behavior", usb_serial="A5"), "b")


@pytest.mark.parametrize("reset", [False, True])
def test_a_board_plugged_in_again_is_found_by_its_number_and_continues(
    reset: bool, world: BehaviorWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.board = _by_number(world.there, monkeypatch)
    wheel = world.device("Wheel", "wheel", cm_per_count=0.1)
    lick = world.device("Lick", "centre")
    world.open()
    before = wheel.counts(world.wait(1)) + 1000
    world.turn(1000)
    until(lambda: wheel.counts(world.wait(1)) == before)
    old = world.there.port
    world.there.unplug()
    if reset:
        world.there.reset()
    world.there.plug()
    (warning,) = until(lambda: world.wait(1) and world.board.pop_warnings())
    assert wheel.counts(world.wait(1)) == before
    world.turn(7)
    t = world.lick()
    until(lambda: wheel.counts(world.wait(1)) == before + 7)
    (onset,) = until(lambda: lick.onsets(world.wait(1)))
    assert abs(onset - t) < world.slack_ns
    assert "board b was lost for" in warning
    assert world.there.port != old


def test_a_board_that_is_not_set_up_in_time_is_lost(
    world: BehaviorWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.board = _by_number(world.there, monkeypatch)
    world.open()
    world.there.unplug()
    world.there.late_ns = 35 * MS  # each answer comes, but only after a second
    world.there.plug()
    with pytest.raises(OSError, match="board b is lost"):
        world.wait(2000)


def test_a_line_that_is_up_at_the_start_counts_as_touched_since_then(world: BehaviorWorld) -> None:
    lick = world.device("Lick", "centre")
    world.there.touch(0, up=True)
    world.open()
    began = world.board.session_now()
    assert lick.onsets(world.wait(5)) == []
    touched = lick.touched_since(world.board.session_now())
    assert touched is not None
    assert abs(touched - began) < world.slack_ns


@pytest.mark.parametrize("still", [False, True])
def test_the_touch_is_updated_after_a_reconnection(
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
    until(lambda: world.wait(5) and world.board.pop_warnings())
    assert lick.onsets(world.wait(5)) == []
    touched = lick.touched_since(world.wait(1))
    assert touched is None if not still else touched is not None and touched > t + 20 * MS


def test_a_board_that_was_reset_is_reconnected_and_set_up(world: BehaviorWorld) -> None:
    wheel = world.device("Wheel", "wheel", cm_per_count=0.1)
    world.open()
    world.wait(20)
    world.there.reset()
    world.wait(2600)
    (remark,) = world.board.pop_warnings()
    assert "it was reset" in remark
    wheel.counts(world.wait(10))


def test_a_board_that_was_exchanged_ends_the_driver(
    world: BehaviorWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.open()
    world.there.registers[WHO_AM_I] = (1,)
    with pytest.raises(
        OSError, match=r"board b is lost: another board answers \(1 in register 0\)"
    ):
        world.wait(1500)


def test_late_answers_do_not_move_the_clock(world: BehaviorWorld) -> None:
    world.open()
    world.wait(300)
    clock = world.board._connection.clock
    device = clock.latest
    before = clock.host_ns(device)
    world.there.late_ns = 102 * MS  # the next question is asked before that
    world.wait(1500)
    assert abs(clock.host_ns(device) - before) < 50 * MS
    assert world.board.pop_warnings() == []


def test_the_edge_of_an_output_that_goes_up_at_the_start_is_in_session_time(
    world: BehaviorWorld,
) -> None:
    on = {"board": "b"}
    kind = "behavior.devices.harp"
    table = {
        "boards": {"b": {"is": f"{kind}:Board", "model": "behavior", "port": world.there.port}},
        "wheel": {"is": f"{kind}:Wheel", "cm_per_count": 0.1, **on},
        "outputs": {"sync": {"is": f"{kind}:Output", "on": "session", "line": 0, **on}},
    }
    published: list[Message] = []
    node, _ = hardware(table, published.append)
    node.handle(Start(0, {"seed": 1, "t0_ns": monotonic_ns()}))
    node.close()
    (up,) = [edge for edge in of(Edge, published) if edge.up]
    assert abs(up.t) < S
