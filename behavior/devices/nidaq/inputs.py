"""The changes of a card's input lines, timed by the card's own clock."""

from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from behavior.devices.clock_sync import TOLERANCE_NS
from behavior.devices.nidaq.card import Card, CardLostError
from behavior.devices.nidaq.tasks import wrapped_difference
from rig.clock import monotonic_ns

TICK_NS = 10_000
"""Tick of the card's 100 kHz timebase, ns. Its 32 bits wrap every 11.9 h, and are unwrapped."""
_MAX_READ = 1000
"""Largest number of changes or samples read in one call."""
_BUFFER = 20_000
_BUFFER_S = 2.0
"""Smallest size of the card's buffer, in samples and in seconds."""


class Timing(Protocol):
    """How a card dates the changes of its lines."""

    tolerance_ns: ClassVar[int]
    """Largest error of the fitted clock that counts as normal, ns."""

    def open(self, task: Any, port: str, changing: list[int]) -> None:
        """Configure the task of the lines for this kind of timing."""

    def begin(self, task: Any) -> bool:
        """Start; return True if the first value read is the initial state instead of a change."""

    def dated(self, values: NDArray[np.uint32]) -> list[tuple[int, int]]:
        """Return (state of all lines, card's time in ns) for each change among the values read."""

    def now_ns(self, task: Any) -> int | None:
        """Return the card's current time (ns), or None before it has started."""

    def overflowed(self, task: Any) -> bool:
        """Return True if changes were lost."""


class Latched:
    """Change detection: at each change, a counter latches the card's timebase."""

    tolerance_ns: ClassVar[int] = TOLERANCE_NS

    def __init__(self, card: Card, counter: str) -> None:
        self._card, self._counter = card, counter
        self._ticks = 0
        self._values = np.zeros(_MAX_READ, np.uint32)
        self._task: Any = None
        self._reader: Any = None
        self._counting: Any = None

    def open(self, task: Any, port: str, changing: list[int]) -> None:
        card, ni = self._card, self._card.ni
        self._ticks = 0
        lines = ",".join(f"{port}/line{line}" for line in changing)
        continuous = ni.constants.AcquisitionType.CONTINUOUS
        with card.translating_errors(f"change detection on {lines}"):
            task.timing.cfg_change_detection_timing(lines, lines, continuous, _BUFFER)
        self._task = card.task("latch")
        with card.translating_errors(f"times of changes, {self._counter}"):
            counter = f"{card.device}/{self._counter}"
            self._counting = self._task.ci_channels.add_ci_count_edges_chan(counter)
            self._counting.ci_count_edges_term = f"/{card.device}/100kHzTimebase"
            source = f"/{card.device}/ChangeDetectionEvent"
            self._task.timing.cfg_samp_clk_timing(
                10_000, source, sample_mode=continuous, samps_per_chan=_BUFFER
            )
            self._reader = ni.stream_readers.CounterReader(self._task.in_stream)
            self._reader.verify_array_shape = False
            self._task.start()
            task.start()

    def begin(self, task: Any) -> bool:
        return False

    def dated(self, values: NDArray[np.uint32]) -> list[tuple[int, int]]:
        there = len(values)
        latched = self._values[:there]
        self._reader.read_many_sample_uint32(latched, there, self._card.timeout_s)
        return [
            (value, self._unwrapped(ticks) * TICK_NS)
            for value, ticks in zip(values.tolist(), latched.tolist(), strict=True)
        ]

    def now_ns(self, task: Any) -> int | None:
        # The count is not stored: buffered values are read later but are older, and would look
        # like a wrap of the counter.
        return (self._ticks + wrapped_difference(self._counting.ci_count - self._ticks)) * TICK_NS

    def overflowed(self, task: Any) -> bool:
        return bool(task.in_stream.change_detect_overflowed)

    def _unwrapped(self, ticks: int) -> int:
        self._ticks += wrapped_difference(ticks - self._ticks)
        return self._ticks


class Sampled:
    """Sampling by the card's own clock: the time of a change is that of the first changed sample.

    Sampling starts with the session, because the buffer is not read earlier.
    """

    tolerance_ns: ClassVar[int] = 250_000_000
    """Large, because the card transfers samples in packets and their count may lag behind."""

    def __init__(self, card: Card, hz: float) -> None:
        self._card, self._hz = card, hz
        self._read = 0
        self._last = 0
        self._mask = np.uint32(0)
        self._running = False

    def open(self, task: Any, port: str, changing: list[int]) -> None:
        self._running = False
        self._mask = np.uint32(sum(1 << line for line in changing))
        continuous = self._card.ni.constants.AcquisitionType.CONTINUOUS
        room = max(_BUFFER, round(self._hz * _BUFFER_S))
        with self._card.translating_errors(f"sampling {port} {self._hz:g} times a second"):
            task.timing.cfg_samp_clk_timing(self._hz, sample_mode=continuous, samps_per_chan=room)
            task.control(self._card.ni.constants.TaskMode.TASK_RESERVE)

    def begin(self, task: Any) -> bool:
        self._read, self._last, self._running = 0, -1, True
        task.start()
        return True

    def dated(self, values: NDArray[np.uint32]) -> list[tuple[int, int]]:
        lines = (values & self._mask).astype(np.int64)
        changes = np.flatnonzero(np.diff(lines, prepend=self._last))
        first, self._read = self._read, self._read + len(lines)
        self._last = int(lines[-1])
        return [(int(values[at]), round((first + at) * 1e9 / self._hz)) for at in changes.tolist()]

    def now_ns(self, task: Any) -> int | None:
        if not self._running:
            return None
        taken = int(task.in_stream.total_samp_per_chan_acquired)
        return round((taken - 0.5) * 1e9 / self._hz)  # halfway from the last to the next sample

    def overflowed(self, task: Any) -> bool:
        return False  # reading overwritten samples raises an error instead


class Inputs:
    """The first lines of a port: changes of some of them, with the card's time.

    Without a `timing` the lines are read at each call, and changes have no card's time.
    """

    def __init__(self, card: Card, port: str, lines: int, timing: Timing | None) -> None:
        self.changing: set[int] = set()
        """Numbers of the lines whose changes are needed."""
        self.level = 0
        """State of the lines when last read, line 0 in bit 0."""
        self._card, self._timing = card, timing
        self._port = f"{card.device}/{port}"
        self._where = f"{self._port}/line0:{lines - 1}"
        self._values = np.zeros(_MAX_READ, np.uint32)
        self._task: Any = None
        self._reader: Any = None
        self._timed: Timing | None = None
        self._initial_next = False
        """True if the next value read is the initial state instead of a change."""

    def open(self) -> None:
        """Create the tasks and read the lines once; do nothing if no line is needed."""
        card, ni = self._card, self._card.ni
        self._task = self._timed = None
        self._initial_next = False
        if not self.changing:
            return
        self._task = card.task("inputs")
        with card.translating_errors(f"input lines {self._where}"):
            grouping = ni.constants.LineGrouping.CHAN_FOR_ALL_LINES
            self._task.di_channels.add_di_chan(self._where, line_grouping=grouping)
            self._reader = ni.stream_readers.DigitalSingleChannelReader(self._task.in_stream)
            self._reader.verify_array_shape = False
            self.level = int(self._reader.read_one_sample_port_uint32(card.timeout_s))
        if self._timing is not None:
            with card.translating_errors(f"input lines {self._where}"):
                self._task.stop()
            self._timing.open(self._task, self._port, sorted(self.changing))
            self._timed = self._timing

    def begin(self) -> None:
        """Start to record changes."""
        if self._timed is not None:
            with self._card.translating_errors(f"input lines {self._where}"):
                self._initial_next = self._timed.begin(self._task)

    def read(self) -> list[tuple[int, int | None]]:
        """Return (state of all lines, card's time in ns) for each change since the last call."""
        if self._task is None:
            return []
        with self._card.translating_errors(f"input lines {self._where}"):
            if self._timed is None:
                value = self._reader.read_one_sample_port_uint32(self._card.timeout_s)
                return [(int(value), None)]
            waiting = min(int(self._task.in_stream.avail_samp_per_chan), _MAX_READ)
            if not waiting:
                return []
            values = self._values[:waiting]
            self._reader.read_many_sample_port_uint32(values, waiting, self._card.timeout_s)
            changes = self._timed.dated(values)
        if self._initial_next:  # changes between open and begin do not count
            self._initial_next = False
            self.level, _ = changes.pop(0)
        return list(changes)

    def read_clock(self) -> tuple[int, int, int] | None:
        """Return a clock exchange (asked, card's time, answered; ns), or None without a clock.

        Raises:
            CardLostError: The card has lost changes since the last call.
        """
        if self._timed is None:
            return None
        with self._card.translating_errors(f"clock of {self._where}"):
            asked = monotonic_ns()
            card_ns = self._timed.now_ns(self._task)
            answered = monotonic_ns()
            overflowed = self._timed.overflowed(self._task)
        if overflowed:
            raise CardLostError(
                f"{self._where} change faster than the card can record; look for noise on them"
            )
        return None if card_ns is None else (asked, card_ns, answered)
