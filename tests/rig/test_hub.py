"""Only the processes of a session can publish in it, each under its own name."""

import errno
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import zmq

from rig.cli.chaos.session_process import free_port
from rig.clock import RealClock
from rig.errors import Refused
from rig.messages import Arm, Ended, Fault, Lick, Message, OperatorRequest, Start, Stop, Wheel, kind
from rig.transport import hub as hub_module
from rig.transport import hub_access
from rig.transport.bus import Bus
from rig.transport.envelope import Sender
from rig.transport.gate import Gate, Publisher
from rig.transport.hub import Hub
from rig.transport.hub_access import (
    BACK,
    BATCHES,
    ENDS,
    FRONT,
    MAX_MESSAGE_BYTES,
    OBSERVER,
    addresses,
    connect,
    hub_folder,
    read_access,
)
from tests.hubs import SESSION, RunningHub, frame_of, observer, running_hub

DRIVER = Publisher(("Wheel", "Lick", "Heartbeat", "Fault", "Ended"))
NOW = 60_000_000_000
SECOND = 1_000_000_000


class Fixed:
    """A clock that does not advance."""

    def __init__(self, now: int = NOW) -> None:
        self._now = now

    def now(self) -> int:
        return self._now


def frame(
    message: Message, sender: str = "hardware", sent: int = NOW, session: str = SESSION
) -> bytes:
    return frame_of(Sender(sender, Fixed(sent), session=session).wrap(message), kind(message))


@pytest.fixture
def gate() -> Gate:
    return Gate(SESSION, {"hardware": DRIVER, "online": Publisher(("Lick",), 10 * SECOND)})


def test_a_message_of_its_publisher_is_admitted(gate: Gate) -> None:
    assert gate.refusal("hardware", frame(Wheel(NOW, 1, 0.0)), NOW) is None


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        (frame(Wheel(2**61, 1, 0.0)), "a time that cannot be right"),
        (frame(Wheel(-(2**61), 1, 0.0)), "a time that cannot be right"),
        (frame(Wheel(NOW - 10 * SECOND - 1, 1, 0.0)), "a time that cannot be right"),
        (frame(Wheel(NOW + SECOND + 1, 1, 0.0)), "a time that cannot be right"),
        (frame(Wheel(NOW, 1, 0.0), sent=NOW - 11 * SECOND), "a time that cannot be right"),
        (frame(Wheel(NOW, 1, 0.0), sent=2**62), "a time that cannot be right"),
        (frame(Start(NOW, {})), "a type that it does not publish"),
        (frame(Arm(NOW, 1, NOW, "centre", "now", 3.0)), "a type that it does not publish"),
        (frame(OperatorRequest(NOW, 1, NOW, "water")), "a type that it does not publish"),
        (frame(Ended(NOW, "done", False, {}), sender="task"), "names another sender"),
        (frame(Wheel(NOW, 1, 0.0), session="another"), "of another session"),
        (frame(Wheel(NOW, 1, 0.0), session=""), "of another session"),
        (b"Wheel " + frame(Lick(NOW, "centre")).partition(b" ")[2], "garbled"),
        (frame(Wheel(NOW, 1, 0.0))[:-1], "garbled"),
        (b"Wheel ", "garbled"),
        (b"Wheel not a message", "garbled"),
        (b"\xff\xfe\x00", "a type that it does not publish"),
        (b"", "a type that it does not publish"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_forged_message_is_refused(gate: Gate, forged: bytes, why: str) -> None:
    refusal = gate.refusal("hardware", forged, NOW)
    assert refusal is not None
    assert why in refusal


def test_no_flipped_bit_is_admitted(gate: Gate) -> None:
    sound = frame(Wheel(NOW, 1, 0.0))
    for bit in range(8 * len(sound)):
        flipped = bytearray(sound)
        flipped[bit // 8] ^= 1 << (bit % 8)
        assert gate.refusal("hardware", bytes(flipped), NOW) is not None, bit


def test_a_number_is_admitted_once(gate: Gate) -> None:
    sender = Sender("hardware", Fixed(), session=SESSION)
    frames = [frame_of(sender.wrap(Wheel(NOW, n, 0.0)), "Wheel") for n in range(3)]
    assert gate.refusal("hardware", frames[1], NOW) is None
    for stale in frames[:2]:
        assert gate.refusal("hardware", stale, NOW) == "with a number that was used before"
    assert gate.refusal("hardware", frames[2], NOW) is None


def test_a_decider_may_lag_by_what_it_is_allowed(gate: Gate) -> None:
    late = frame(Lick(NOW - 19 * SECOND, "centre"), sender="online")
    assert gate.refusal("online", late, NOW) is None
    too_late = frame(Lick(NOW - 21 * SECOND, "centre"), sender="online")
    assert gate.refusal("online", too_late, NOW) is not None


@pytest.fixture(params=[False, True], ids=["unix socket", "tcp"])
def hub(request: pytest.FixtureRequest) -> Iterator[RunningHub]:
    with running_hub("x", tcp=request.param, hardware=DRIVER) as hub:
        yield hub


def until_fault(bus: Bus) -> tuple[list[Message], Fault]:
    """Receive until a Fault comes; return what came before it, and the Fault."""
    before: list[Message] = []
    while True:
        for _, message in bus.receive(None):
            if isinstance(message, Fault):
                return before, message
            before.append(message)


def test_a_flood_of_refused_messages_makes_one_fault_a_second(hub: RunningHub) -> None:
    bus = hub.bus("x", Wheel, Lick, Start, Ended, Fault)
    now = hub.clock.now
    garbage = [b"Wheel not a message %d" % n for n in range(20_000)]
    forged: list[Message] = [Start(now(), {}), Wheel(2**61, 1, 0.0)]
    sender = hub.sender("hardware")
    frames = [frame_of(sender.wrap(message), kind(message)) for message in forged]
    other = hub.sender("hardware", session="of yesterday").wrap(Wheel(now(), 1, 0.0))
    began = now()
    hub.inject("hardware", [*garbage, *frames, frame_of(other, "Wheel")])
    faults: list[Fault] = []
    while sum(int(re.findall(r"refused (\d+)", fault.text)[0]) for fault in faults) < 20_003:
        before, fault = until_fault(bus)
        assert not [m for m in before if isinstance(m, Wheel | Start | Ended)]
        faults.append(fault)
    assert len(faults) <= 2 + (now() - began) // SECOND
    texts = " ".join(fault.text for fault in faults)
    assert "of hardware garbled" in texts
    assert "of hardware of another session" in texts


def _strangers(
    hub: RunningHub, other: RunningHub
) -> Iterator[tuple[str, Callable[[zmq.Socket[Any]], None]]]:
    front = addresses(hub.port, not _is_tcp(hub))[FRONT]
    public, secret = zmq.curve_keypair()

    def plain(out: zmq.Socket[Any]) -> None:
        out.connect(front)

    def unknown_key(out: zmq.Socket[Any]) -> None:
        connect(out, read_access(hub.port, "x"), FRONT)
        out.disconnect(front)
        out.curve_publickey, out.curve_secretkey = public, secret
        out.connect(front)

    def key_that_only_listens(out: zmq.Socket[Any]) -> None:
        connect(out, read_access(hub.port, OBSERVER), FRONT)

    def key_of_another_session(out: zmq.Socket[Any]) -> None:
        connect(out, read_access(other.port, "x"), FRONT)
        out.disconnect(addresses(other.port)[FRONT])
        out.curve_serverkey = read_access(hub.port, "x").hub_key.encode()
        out.connect(front)

    yield "without a key", plain
    yield "with a key of another session", key_of_another_session
    yield "with an unknown key", unknown_key
    yield "with the observer's key", key_that_only_listens


def _is_tcp(hub: RunningHub) -> bool:
    return not (hub_folder(hub.port) / FRONT).exists()


def test_a_stranger_is_not_connected(hub: RunningHub) -> None:
    bus = hub.bus("x", Wheel, Fault)
    with running_hub("x") as other:
        for name, connected in _strangers(hub, other):
            context: zmq.Context[Any] = zmq.Context()
            out = context.socket(zmq.XPUB)
            connected(out)
            assert not out.poll(300), f"a stranger {name} got the hub's subscription"
            context.destroy(linger=0)
    bus.publish(Wheel(1, 1, 0.0))
    assert [m for _, m in bus.receive(None) if isinstance(m, Fault)] == []


@pytest.mark.parametrize("end", [BACK, BATCHES])
def test_a_stranger_receives_no_message(hub: RunningHub, end: str) -> None:
    context: zmq.Context[Any] = zmq.Context()
    ear = context.socket(zmq.SUB)
    ear.subscribe(b"")
    ear.connect(addresses(hub.port, not _is_tcp(hub))[end])
    known = observer(context, hub.port)
    known.subscribe(b"")
    bus = hub.bus("x", Wheel)
    for t in range(100):  # until the hub knows of both subscriptions
        bus.publish(Wheel(t, t, 0.0))
        if known.poll(100):
            break
    else:
        pytest.fail("the observer receives nothing")
    bus.publish(Wheel(200, 200, 0.0))
    assert not ear.poll(300)
    context.destroy(linger=0)


def test_raw_bytes_at_the_port_leave_the_hub_running() -> None:
    with running_hub("x", tcp=True) as hub:
        for data in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\xff" * 64,
            os.urandom(4096),
            b"\xff\x00" + b"\0" * 8,
        ):
            with socket.create_connection(("127.0.0.1", hub.port)) as stranger:
                stranger.sendall(data)
        bus = hub.bus("x", Wheel)
        bus.publish(Wheel(1, 1, 0.0))
        while not any(isinstance(m, Wheel) for _, m in bus.receive(None)):
            pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on open files")
def test_more_idle_connections_than_open_files_leave_the_hub_running() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1024:
        pytest.skip("this user may open too few files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))  # the hub inherits it
    try:
        hub = RunningHub("x")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with closing(hub), ExitStack() as strangers:
        for number in range(3 * 128):
            stranger = strangers.enter_context(socket.socket(socket.AF_UNIX))
            stranger.connect(os.fspath(hub_folder(hub.port) / ENDS[number % 3]))
        bus = hub.bus("x", Wheel)
        bus.publish(Wheel(1, 1, 0.0))
        while not any(isinstance(m, Wheel) for _, m in bus.receive(None)):
            pass


def _forged(hub: RunningHub) -> dict[str, list[bytes]]:
    """Return the parts of one message of each kind that hardware's own key may not publish."""
    now = hub.clock.now()

    def made(message: Message, sender: Sender | None = None) -> bytes:
        return frame_of((sender or hub.sender("hardware")).wrap(message), kind(message))

    good = made(Wheel(now, 7, 0.0))
    flipped = bytearray(good)
    flipped[-1] ^= 1
    yesterday = hub.sender("hardware", session="of yesterday")
    later = hub.sender("hardware", RealClock(hub.t0_ns - 5 * SECOND))
    return {
        "Start without nodes": [made(Start(now, {}))],
        "Stop": [made(Stop(now, "forged", ("hardware",)))],
        "Arm": [made(Arm(now, 1, now + SECOND, "centre", "now", 3.0))],
        "OperatorRequest": [made(OperatorRequest(now, 1, now + SECOND, "water"))],
        "wrong sender": [made(Wheel(now, 7, 0.0), hub.sender("task"))],
        "Ended in another's name": [made(Ended(now, "forged", False, {}), hub.sender("task"))],
        "another session": [made(Wheel(now, 7, 0.0), yesterday)],
        "the future": [made(Wheel(now + 2 * SECOND, 7, 0.0))],
        "the past": [made(Wheel(now - 11 * SECOND, 7, 0.0))],
        "t = 2^61": [made(Wheel(2**61, 7, 0.0))],
        "sent in the future": [made(Wheel(now, 7, 0.0), later)],
        "a wrong CRC": [bytes(flipped)],
        "truncated": [good[: len(good) // 2]],
        "unknown type": [b"Wheels" + good[5:]],
        "a type that is not in it": [b"Lick" + good[5:]],
        "two parts": [good, good],
        "a good part last": [b"", good],
        "empty": [b""],
        "empty parts": [b"", b"", b""],
    }


def test_no_forged_message_passes_the_hub_and_each_is_counted() -> None:
    with running_hub("x", hardware=DRIVER) as hub:
        bus = hub.bus("x", Wheel, Lick, Start, Stop, Arm, OperatorRequest, Ended, Fault)
        forged = _forged(hub)
        hub.inject("hardware", list(forged.values()))
        refused = 0
        while refused < sum(map(len, forged.values())):
            before, fault = until_fault(bus)
            assert {kind(message) for message in before} <= {"Heartbeat"}
            refused += int(re.findall(r"refused (\d+)", fault.text)[0])
        sender = hub.sender("hardware")
        first, second = (
            frame_of(sender.wrap(Wheel(hub.clock.now(), n, 0.0)), "Wheel") for n in (0, 1)
        )
        hub.inject("hardware", [first, second, first, second])
        before, fault = until_fault(bus)
        assert [m.counts for m in before if isinstance(m, Wheel)] == [0, 1]
        assert "refused 2 messages: 2 of hardware with a number that was used before" in fault.text


def test_a_message_that_is_too_large_closes_its_connection_alone() -> None:
    with running_hub("x", hardware=DRIVER) as hub:
        bus = hub.bus("x", Wheel, Fault)
        hub.inject("hardware", [b"Wheel " + bytes(MAX_MESSAGE_BYTES)])
        bus.publish(Wheel(hub.clock.now(), 5, 0.0))
        while not (received := [m for _, m in bus.receive(None) if isinstance(m, Wheel | Fault)]):
            pass
        assert received == [Wheel(received[0].t, 5, 0.0)]


def test_only_this_user_can_read_the_keys_and_reach_the_sockets() -> None:
    with running_hub("x") as hub:
        folder = hub_folder(hub.port)
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        keys = sorted(folder.glob("*.key"))
        assert [key.stem for key in keys] == [OBSERVER, "x"]
        assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
        assert all((folder / end).is_socket() for end in ENDS)
    assert not folder.exists()


def test_a_hub_whose_keys_cannot_be_written_is_refused_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(port: int, name: str, access: hub_access.Access) -> None:
        hub_access.write_access(port, name, access)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hub_module, "write_access", full)
    port = free_port()
    with closing(Hub(port)) as hub, pytest.raises(Refused, match=r"No space left .*; make room"):
        hub.start(SESSION, 0, {"hardware": DRIVER})
    assert not hub_folder(port).exists()


def test_a_folder_that_others_may_enter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_access, "private_folder", lambda: tmp_path)
    with running_hub("x") as hub:
        pass
    (tmp_path / f"hub-{hub.port}").mkdir(mode=0o755)
    (tmp_path / f"hub-{hub.port}").chmod(0o755)
    access = hub_access.Access({}, "", "", "")
    with pytest.raises(Refused, match="is open to other users; run: chmod 700"):
        hub_access.write_access(hub.port, "x", access)


def test_a_path_too_long_for_a_socket_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_access, "private_folder", lambda: tmp_path / ("a" * 100))
    with pytest.raises(Refused, match=r"has 1\d\d bytes and may have 103"):
        addresses(5571, unix_sockets=True)


def test_the_hub_ends_with_the_process_that_started_it() -> None:
    code = (
        "import os; from tests.hubs import RunningHub; hub = RunningHub('x');"
        "print(hub.port, hub.hub._process.pid, flush=True); input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    port, pid = map(int, parent.stdout.readline().split())
    hub = os.pidfd_open(pid)
    parent.kill()
    parent.wait()
    assert zmq.select([hub], [], [], 10)[0], "the hub outlived its parent"
    os.close(hub)
    parent.stdout.close()
    parent.stdin.close()
    hub_access.remove_access(port)


def test_a_process_without_a_session_is_refused() -> None:
    with running_hub("x") as hub:
        pass
    with pytest.raises(Refused, match=f"no hub with the number {hub.port} admits x"):
        hub.bus("x", Wheel, clock=RealClock(0))
