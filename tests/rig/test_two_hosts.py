"""A hub and a process on two hosts, which are network namespaces that this test makes.

A session runs on one computer. These tests show that the keys, and the detection of a lost hub, do
not depend on that.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO

import msgspec
import pytest
import zmq

from rig.cli.chaos.session_process import free_port
from rig.clock import monotonic_ns
from rig.transport.gate import Publisher
from rig.transport.hub import HubPlan
from rig.transport.hub_access import ENDS, FRONT, Access, read_access, remove_access, write_access
from tests.hubs import SESSION

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0 or shutil.which("ip") is None,
    reason="only root can make network namespaces, on Linux and with the command ip",
)
ANY = Publisher(("Heartbeat",))
PROCESS = """
import sys
from rig.clock import RealClock
from rig.messages import Heartbeat
from rig.transport.bus import Batching, Bus, BusError
from rig.transport.envelope import Sender
from tests.hubs import SESSION, Kept

name, other, port, t0_ns = sys.argv[1:]
clock = RealClock(int(t0_ns))
sender = Sender(name, clock, session=SESSION)
bus = Bus(sender, int(port), (Heartbeat,), clock, Kept(), Batching(0.02, 60.0), False)
try:
    bus.connect()
    print("connected", flush=True)
    heard = False
    while True:
        for envelope, _ in bus.receive(None):
            if envelope.sender == other and not heard:
                heard = True
                print(f"hears {other}", flush=True)
except BusError as error:
    print(error, flush=True)
"""
"""A process that sends and receives Heartbeats until it loses the hub; it prints what happens."""
STRANGER = """
import sys
import zmq

address, hub_key, public, secret = sys.argv[1:]
for keys in ((), zmq.curve_keypair(), (public.encode(), secret.encode())):
    out = zmq.Context().socket(zmq.XPUB)
    out.linger = 0
    if keys:
        out.curve_serverkey, (out.curve_publickey, out.curve_secretkey) = hub_key.encode(), keys
    out.connect(address)
    print("connected" if out.poll(10_000 if public.encode() in keys else 500) else "refused")
    sys.stdout.flush()
"""
"""A program that connects without a key, with one that the hub does not know, and with a right one.
"""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Hosts:
    """Two hosts with a network cable between them, and a hub on the first."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.names = tuple(f"rig{os.getpid()}{letter}" for letter in "ab")
        try:
            self._far_link = self._connect()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this system makes no network namespaces: {error.stderr!r}")
        self.port, self.t0_ns = free_port(), monotonic_ns()
        self.addresses = {end: f"tcp://10.77.0.1:{self.port + n}" for n, end in enumerate(ENDS)}
        self._start_hub()

    def _connect(self) -> str:
        """Make the hosts and the cable; return the cable's end at the second host."""
        for name in self.names:
            ip("netns", "add", name)
            self._stack.callback(ip, "netns", "delete", name)
        links = [f"r{os.getpid()}{letter}" for letter in "ab"]
        ip("link", "add", links[0], "type", "veth", "peer", "name", links[1])
        for number, (name, link) in enumerate(zip(self.names, links, strict=True), start=1):
            ip("link", "set", link, "netns", name)
            ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", link)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", link, "up")
        return links[1]

    def run(self, host: int, code: str, *arguments: str) -> IO[str]:
        """Run a program on a host until the end of the test; return its output."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.names[host], sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        assert process.stdin is not None and process.stdout is not None
        self._stack.callback(process.stdout.close)
        self._stack.callback(process.stdin.close)
        if host == 0 and not arguments:
            process.stdin.write(self._plan + "\n")
            process.stdin.flush()
        return process.stdout

    def start(self, host: int, name: str, other: str) -> IO[str]:
        """Start a process of the session on a host, and wait until it is connected."""
        output = self.run(host, PROCESS, name, other, str(self.port), str(self.t0_ns))
        assert output.readline() == "connected\n"
        return output

    def cut(self) -> None:
        """Pull out the cable."""
        ip("-n", self.names[1], "link", "set", self._far_link, "down")

    def _start_hub(self) -> None:
        hub_key, hub_secret = (key.decode() for key in zmq.curve_keypair())
        names = {}
        self._stack.callback(remove_access, self.port)
        for name in ("near", "far", "late"):
            public, secret = (key.decode() for key in zmq.curve_keypair())
            names[public] = name
            write_access(self.port, name, Access(self.addresses, hub_key, public, secret))
        publishers = dict.fromkeys(names.values(), ANY)
        plan = HubPlan(SESSION, self.t0_ns, self.addresses, hub_secret, names, publishers)
        self._plan = msgspec.json.encode(plan).decode()
        output = self.run(0, "from rig.transport.hub_process import main; main()")
        assert output.readline() == "ready\n"


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    with ExitStack() as stack:
        yield Hosts(stack)


def test_only_a_process_with_a_key_reaches_the_hub_of_another_host(hosts: Hosts) -> None:
    near, far = hosts.start(0, "near", "far"), hosts.start(1, "far", "near")
    assert near.readline() == "hears far\n"
    assert far.readline() == "hears near\n"
    late = read_access(hosts.port, "late")
    keys = (late.hub_key, late.public_key, late.secret_key)
    stranger = hosts.run(1, STRANGER, late.addresses[FRONT], *keys)
    answers = [stranger.readline().strip() for _ in range(3)]
    assert answers == ["refused", "refused", "connected"]


def test_a_process_whose_cable_is_pulled_ends_and_the_others_continue(hosts: Hosts) -> None:
    near, far = hosts.start(0, "near", "far"), hosts.start(1, "far", "near")
    assert near.readline() == "hears far\n"
    assert far.readline() == "hears near\n"
    hosts.cut()
    assert far.readline() == "the hub is silent: its process has died or hangs\n"
    late = hosts.start(0, "late", "near")  # the hub still serves its own host
    assert late.readline() == "hears near\n"
