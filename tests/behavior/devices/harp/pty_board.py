"""A simulated Harp Behavior board on a pseudo-terminal, which can fail in many ways."""

import os
import select
import threading
import tty
from collections import deque

from behavior.devices.harp.messages import (
    EVENT,
    READ,
    S16,
    U8,
    U16,
    WRITE,
    HarpMessage,
    Parser,
    build,
)
from behavior.devices.harp.models import (
    ENCODERS,
    EVENTS,
    FIRMWARE_HIGH,
    FIRMWARE_LOW,
    FIRST_OUTPUT_BIT,
    FIRST_VALVE_BIT,
    HEARTBEAT,
    INPUTS,
    MODELS,
    OPERATION,
    OUTPUT_CLEAR,
    OUTPUT_PULSE_MS,
    OUTPUT_SET,
    PULSE_ENABLE,
    PULSE_MS,
    WHEEL,
    WHO_AM_I,
)
from rig.clock import monotonic_ns

MS = 1_000_000
S = 1_000 * MS


class PtyBoard:
    """A thread that answers, sends events and times pulses. Its clock has its own rate."""

    def __init__(
        self, who_am_i: int = 1216, firmware: tuple[int, int] = (3, 3), ppm: float = 40.0
    ) -> None:
        self.registers: dict[int, tuple[int, ...]] = {
            WHO_AM_I: (who_am_i,),
            FIRMWARE_HIGH: (firmware[0],),
            FIRMWARE_LOW: (firmware[1],),
            INPUTS: (0,),
            OPERATION: (0,),
            PULSE_ENABLE: (0,),
            EVENTS: (0,),
            ENCODERS: (0,),
            **{PULSE_MS + port: (15,) for port in range(3)},
            **{OUTPUT_PULSE_MS + line: (15,) for line in range(4)},
        }
        self.silent = False
        """If True, it receives but sends nothing."""
        self.late_ns = 0
        """Delay of its answers, ns; events are sent at once."""
        self.looped = False
        """If True, the valve of each spout is wired to its lick line."""
        self._late: deque[tuple[int, bytes]] = deque()
        self.openings: list[tuple[int, int, float]] = []
        """(spout, host time in ns, ms) of each finished opening of a valve."""
        self.outputs = 0
        self.pulses: list[tuple[int, int, float]] = []
        """(output, host time in ns, ms) of each ended pulse of an output that it times."""
        self._types = {a: r.payload_type for a, r in MODELS["behavior"].registers.items()}
        self._parser = Parser()
        self._rate = 1.0 + ppm * 1e-6
        self._zero = monotonic_ns() - 1_000 * S
        self._open: dict[int, tuple[int, int]] = {}
        self._up: dict[int, tuple[int, int]] = {}
        self._counts = 0
        self._due = self._beat_due = monotonic_ns()
        self._replies: deque[bytes] = deque()
        self._lock = threading.RLock()
        self._running = True
        self.plug()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def plug(self) -> None:
        """Plug it in, at a new port."""
        master, device = os.openpty()
        tty.setraw(device)
        self.port = os.ttyname(device)
        with self._lock:
            self._device, self._master = device, master

    def unplug(self) -> None:
        """Unplug it; it keeps running from another supply."""
        with self._lock:
            os.close(self._device)
            os.close(self._master)
            self._master = -1

    def reset(self) -> None:
        """Reset it, as after a dip of its supply; its clock starts at 0."""
        with self._lock:
            self._zero = monotonic_ns()
            self.registers[OPERATION] = (0,)

    def set_clock(self, seconds: float) -> None:
        """Set its clock forward or back, as a synchronizer does."""
        with self._lock:
            self._zero -= round(seconds * S)

    def close(self) -> None:
        """Switch it off; also more than once."""
        if self._running:
            self._running = False
            self._thread.join()
            if self._master >= 0:
                self.unplug()

    @property
    def is_open(self) -> bool:
        """Whether a valve is open."""
        return bool(self._open)

    def touch(self, line: int, up: bool) -> int:
        """Raise or lower an input; return when (ns, monotonic)."""
        with self._lock:
            now = monotonic_ns()
            state = self.registers[INPUTS][0] & ~(1 << line) | up << line
            self.registers[INPUTS] = (state,)
            self._event(INPUTS, U8, (state,), now)
        return now

    def turn(self, counts: int) -> None:
        """Turn the wheel."""
        with self._lock:
            self._counts += counts

    def publish(self, data: bytes) -> None:
        """Send any bytes."""
        with self._lock:
            self._replies.append(data)

    def _run(self) -> None:
        while self._running:
            with self._lock:
                master = self._master
                if master >= 0:
                    self._live(monotonic_ns())
            if master < 0:
                select.select([], [], [], 0.001)
                continue
            try:
                ready, _, _ = select.select([master], [], [], 0.0005)
            except OSError:  # it was unplugged meanwhile
                continue
            if ready:
                with self._lock:
                    self._handle()

    def _live(self, now: int) -> None:
        for spout, (opened, ms) in list(self._open.items()):
            if now >= opened + ms * MS:
                del self._open[spout]
                self.openings.append((spout, opened, float(ms)))
                self._loop(spout, up=False)
        for line, (rose, ms) in list(self._up.items()):
            if now >= rose + ms * MS:
                self._lower(line, rose + ms * MS)
        if self._active and now >= self._due:
            self._due = max(self._due + MS, now - MS)
            if self.registers[EVENTS][0] & 4 and self.registers[ENCODERS][0] & 4:
                raw = (self._counts + 0x8000) % 0x10000 - 0x8000
                self._event(WHEEL, S16, (0, raw, 0), now)
        if self._active and now >= self._beat_due:
            self._beat_due = now + S
            self._event(HEARTBEAT, U16, (1,), now)
        self._flush()

    def _handle(self) -> None:
        try:
            data = os.read(self._master, 4096)
        except OSError:  # no program has the port open
            return
        self._live(
            monotonic_ns()
        )  # what was due earlier happens first, even if this thread had to wait
        for request in self._parser.feed(data):
            self._answer(request, monotonic_ns())
        self._flush()

    def _answer(self, request: HarpMessage, now: int) -> None:
        kind, address, values = request.kind, request.address, request.values
        known = address in self.registers or address in (OUTPUT_SET, OUTPUT_CLEAR)
        payload_type = self._types.get(address, request.payload_type)
        if not known or payload_type != request.payload_type:
            reply = HarpMessage(kind, address, request.payload_type, (), self._ns(now), error=True)
        elif kind == READ:
            reply = HarpMessage(READ, address, payload_type, self.registers[address], self._ns(now))
        else:
            self._write(address, values, now)
            reply = HarpMessage(WRITE, address, payload_type, values, self._ns(now))
        self._late.append((now + self.late_ns, build(reply)))

    def _write(self, address: int, values: tuple[float, ...], now: int) -> None:
        bits = int(values[0])
        if address == OUTPUT_SET:
            self.outputs |= bits >> FIRST_OUTPUT_BIT
            for line in range(4):
                bit = 1 << FIRST_OUTPUT_BIT + line
                if bits & bit and self.registers[PULSE_ENABLE][0] & bit:
                    self._up[line] = (now, int(self.registers[OUTPUT_PULSE_MS + line][0]))
            for spout in range(3):
                if bits >> FIRST_VALVE_BIT & 1 << spout:
                    timed = self.registers[PULSE_ENABLE][0] >> FIRST_VALVE_BIT & 1 << spout
                    ms = self.registers[PULSE_MS + spout][0] if timed else 1_000_000_000
                    self._open[spout] = (now, int(ms))
                    self._loop(spout, up=True)
        elif address == OUTPUT_CLEAR:
            self.outputs &= ~(bits >> FIRST_OUTPUT_BIT)
            for line in [one for one in self._up if bits >> FIRST_OUTPUT_BIT & 1 << one]:
                self._lower(line, now)
            for spout in [s for s in self._open if bits >> FIRST_VALVE_BIT & 1 << s]:
                opened, _ = self._open.pop(spout)
                self.openings.append((spout, opened, (now - opened) / MS))
                self._loop(spout, up=False)
        else:
            self.registers[address] = (bits,)

    def _lower(self, line: int, now: int) -> None:
        rose, _ = self._up.pop(line)
        self.outputs &= ~(1 << line)
        self.pulses.append((line, rose, (now - rose) / MS))

    def _loop(self, spout: int, up: bool) -> None:
        if self.looped:
            self.touch(spout, up)

    def _event(self, address: int, payload_type: int, values: tuple[int, ...], now: int) -> None:
        if self._active:
            self._replies.append(
                build(HarpMessage(EVENT, address, payload_type, values, self._ns(now)))
            )

    @property
    def _active(self) -> bool:
        return self.registers[OPERATION][0] & 3 == 1

    def _ns(self, now: int) -> int:
        return int((now - self._zero) * self._rate)

    def _flush(self) -> None:
        while self._late and self._late[0][0] <= monotonic_ns():
            self._replies.append(self._late.popleft()[1])
        data = b"".join(self._replies)
        self._replies.clear()
        if data and not self.silent:
            os.write(self._master, data)
