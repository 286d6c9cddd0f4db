"""The loop of nodes: whatever fails, each opened node is closed once and publishes why it ended."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest

from rig.clock import SetClock
from rig.messages import Fault, Lick, Message, OperatorRequest, Start, Stop
from rig.node import Node, drive
from rig.transport.envelope import Envelope, Sender

MS = 1_000_000
WHY = "the lamp is out"
START = Start(0, {})
Act = tuple[Any, ...]


class _Toy(Node):
    """A node that records its calls, and fails or ends where a test says."""

    subscribes = (Start, Lick)

    def __init__(self, acts: list[Act], **fails: BaseException) -> None:
        super().__init__(Node.Settings(), lambda message: self._note("publish", message))
        self.acts, self.fails = acts, fails
        self.ends_at: Message | None = None

    def open(self) -> None:
        self._do("open")

    def handle(self, message: Message) -> None:
        self._do("handle", message)
        if message == self.ends_at:
            self.ended = "it has seen enough"

    def tick(self, now: int) -> None:
        self._do("tick", now)

    def close(self) -> None:
        self._do("close")

    def _do(self, verb: str, *what: Any) -> None:
        self._note(verb, *what)
        if verb in self.fails:
            raise self.fails[verb]

    def _note(self, *act: Any) -> None:
        self.acts.append((self.name, *act))


class _Driver(_Toy):
    name = "driver"
    period_s = 0.010


class _Decider(_Toy):
    name = "decider"


class _Other(_Toy):
    name = "other"


class _Slow(_Driver):
    """Its third tick takes three and a half periods."""

    def tick(self, now: int) -> None:
        super().tick(now)
        if len(_of(self, self.acts, "tick")) == 3:
            assert isinstance(self.clock, SetClock)
            self.clock.set(now + 35 * MS)


class _ListTransport:
    """Deliver each batch at its time (ns), and record how each node ended."""

    def __init__(self, clock: SetClock, acts: list[Act], *batches: tuple[int, list[Message]]):
        self._clock, self._acts = clock, acts
        self._batches = deque(batches)
        self._launch = Sender("launch", clock)

    def connect(self) -> None:
        self._acts.append(("transport", "connect"))

    def receive(self, until: int | None) -> Sequence[tuple[Envelope, Message]]:
        assert self._batches, "a node still runs after the last word"
        if until is not None and until < self._batches[0][0]:
            self._clock.set(until)
            return []
        t, messages = self._batches.popleft()
        self._clock.set(t)
        return [(self._launch.wrap(message), message) for message in messages]

    def end(self, sender: str, reason: str, failed: bool) -> None:
        self._acts.append((sender, "ended", reason, failed))


def _drive(
    acts: list[Act],
    nodes: Sequence[_Toy],
    *batches: tuple[int, list[Message]],
    alone: bool = False,
) -> None:
    clock = SetClock()
    drive(nodes, _ListTransport(clock, acts, *batches), clock, alone)


def _lick(ms: int) -> Message:
    return Lick(ms * MS, "centre")


def _stop(t: int, *names: str) -> tuple[int, list[Message]]:
    return t, [Stop(t, "enough for today", names)]


def _of(node: Node, acts: list[Act], *verbs: str) -> list[Act]:
    """Return the recorded calls of a node, without its name."""
    return [act[1:] for act in acts if act[0] == node.name and (not verbs or act[1] in verbs)]


def _fault(acts: list[Act], node: Node) -> Fault:
    ((_, fault),) = _of(node, acts, "publish")
    assert isinstance(fault, Fault)
    return fault


@pytest.mark.parametrize("verb", ["open", "handle", "tick"])
def test_a_driver_that_fails_closes_its_devices_then_publishes_why(verb: str) -> None:
    acts: list[Act] = []
    driver = _Driver(acts, **{verb: OSError(WHY)})
    with pytest.raises(OSError, match=WHY):
        _drive(acts, [driver], (MS, [START]))
    end = _of(driver, acts, "close", "publish", "ended")
    assert end == [("close",), ("publish", _fault(acts, driver)), ("ended", WHY, True)]
    assert _fault(acts, driver).text == WHY


@pytest.mark.parametrize("verb", ["open", "handle"])
def test_a_decider_that_fails_publishes_why_before_its_last_messages(verb: str) -> None:
    acts: list[Act] = []
    decider = _Decider(acts, **{verb: OSError(WHY)})
    with pytest.raises(OSError, match=WHY):
        _drive(acts, [decider], (MS, [START]))
    end = _of(decider, acts, "close", "publish", "ended")
    assert end == [("publish", _fault(acts, decider)), ("close",), ("ended", WHY, True)]
    assert _fault(acts, decider).text == WHY


@pytest.mark.parametrize("verb", ["handle", "tick", "close"])
def test_if_one_node_fails_all_others_are_closed_and_publish_why(verb: str) -> None:
    acts: list[Act] = []
    driver = _Driver(acts, **{verb: OSError(WHY)})
    nodes = [_Decider(acts), driver, _Other(acts)]
    with pytest.raises(OSError, match=WHY):
        _drive(acts, nodes, (MS, [START]), _stop(50 * MS, "driver"))
    for node in nodes:
        assert _of(node, acts, "close") == [("close",)]
        ((_, reason, failed),) = _of(node, acts, "ended")
        assert WHY in reason
        assert failed
    assert _fault(acts, nodes[0]).text == _fault(acts, nodes[2]).text == WHY


def test_a_node_that_was_not_opened_is_not_closed() -> None:
    acts: list[Act] = []
    first, second, third = _Decider(acts), _Driver(acts, open=OSError(WHY)), _Other(acts)
    with pytest.raises(OSError, match=WHY):
        _drive(acts, [first, second, third], (MS, [START]))
    assert _of(first, acts, "close") == _of(second, acts, "close") == [("close",)]
    assert not _of(third, acts)
    assert ("transport", "connect") not in acts


def test_a_node_that_fails_to_close_has_failed_and_is_not_closed_again() -> None:
    acts: list[Act] = []
    driver = _Driver(acts, close=OSError(WHY))
    with pytest.raises(OSError, match=WHY):
        _drive(acts, [driver], (MS, [START]), _stop(2 * MS, "driver"))
    assert _of(driver, acts, "close") == [("close",)]
    assert _of(driver, acts, "ended") == [("ended", f"closing failed: {WHY}", True)]


@pytest.mark.parametrize("kind", [_Driver, _Decider])
def test_a_failed_node_that_also_fails_to_close_still_publishes_why(kind: type[_Toy]) -> None:
    acts: list[Act] = []
    node = kind(acts, handle=OSError(WHY), close=OSError("the valve is gone"))
    with pytest.raises(OSError, match="the valve is gone"):
        _drive(acts, [node], (MS, [START]))
    assert _of(node, acts, "close") == [("close",)]
    assert _fault(acts, node).text == WHY
    assert _of(node, acts, "ended") == [("ended", WHY, True)]


def test_a_node_run_alone_that_fails_and_cannot_close_leaves_the_others_running() -> None:
    acts: list[Act] = []
    failing, other = (
        _Decider(acts, handle=ValueError(WHY), close=ValueError("half made")),
        _Other(acts),
    )
    _drive(acts, [failing, other], (MS, [START]), _stop(2 * MS, "other"), alone=True)
    assert _of(failing, acts, "ended") == [("ended", f"ValueError: {WHY}", True)]
    assert _of(other, acts, "ended") == [("ended", "enough for today", False)]


def test_an_interrupt_without_a_text_is_named() -> None:
    acts: list[Act] = []
    driver = _Driver(acts, tick=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        _drive(acts, [driver], (MS, [START]))
    assert _of(driver, acts, "ended") == [("ended", "KeyboardInterrupt", True)]


def test_a_node_that_ends_within_a_batch_gets_no_more_of_it() -> None:
    acts, licks = list[Act](), [_lick(ms) for ms in range(3)]
    ends, stays = _Driver(acts), _Decider(acts)
    ends.ends_at = licks[1]
    _drive(acts, [ends, stays], (MS, [START, *licks]), _stop(50 * MS, "decider"))
    assert _of(ends, acts, "handle") == [("handle", message) for message in (START, *licks[:2])]
    assert _of(stays, acts, "handle") == [("handle", message) for message in (START, *licks)]
    assert not _of(ends, acts, "tick")
    assert _of(ends, acts)[-2:] == [("close",), ("ended", "it has seen enough", False)]


def test_a_stop_ends_the_nodes_that_it_names() -> None:
    acts: list[Act] = []
    driver, decider, other = _Driver(acts), _Decider(acts), _Other(acts)
    lick = _lick(20)
    first, last = _stop(15 * MS, "driver", "other"), _stop(30 * MS, "decider", "driver")
    _drive(acts, [driver, decider, other], (0, [START]), first, (20 * MS, [lick]), last)
    for node in (driver, decider, other):
        assert _of(node, acts)[-2:] == [("close",), ("ended", "enough for today", False)]
    assert _of(decider, acts, "handle")[-1] == ("handle", lick)
    assert lick not in [
        message for _, message in _of(driver, acts, "handle") + _of(other, acts, "handle")
    ]
    assert _of(driver, acts, "tick") == [("tick", 0), ("tick", 10 * MS)]


def test_a_node_gets_only_messages_that_it_subscribes_to() -> None:
    acts: list[Act] = []
    decider = _Decider(acts)
    _drive(acts, [decider], (MS, [OperatorRequest(MS, 1, MS, "pause")]), _stop(2 * MS, "decider"))
    assert _of(decider, acts) == [("open",), ("close",), ("ended", "enough for today", False)]


def test_ticks_begin_with_start_and_keep_their_period() -> None:
    acts: list[Act] = []
    driver = _Driver(acts)
    first, *others = ((t * MS, [_lick(t)]) for t in (1, 7, 23, 24, 31))
    _drive(acts, [driver], first, (5 * MS, [START]), *others, _stop(50 * MS, "driver"))
    assert _of(driver, acts, "tick") == [("tick", t * MS) for t in (5, 15, 25, 35, 45)]


def test_missed_ticks_are_dropped_not_caught_up() -> None:
    acts: list[Act] = []
    driver = _Slow(acts)
    _drive(acts, [driver], (0, [START]), _stop(90 * MS, "driver"))
    assert _of(driver, acts, "tick") == [("tick", t * MS) for t in (0, 10, 20, 55, 65, 75, 85)]


def test_a_decider_has_no_clock() -> None:
    acts: list[Act] = []
    driver, decider = _Driver(acts), _Decider(acts)
    _drive(acts, [driver, decider], _stop(MS, "driver", "decider"))
    assert driver.clock.now() == MS
    assert not hasattr(decider, "clock")
