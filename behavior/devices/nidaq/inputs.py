"""A card's input lines: what changed, and when by the card's own clock."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from behavior.devices.nidaq.card import Card, CardLostError
from behavior.devices.nidaq.tasks import wrapped_difference
from rig.clock import monotonic_ns

TICK_NS = 10_000
"""A tick of the card's 100 kHz timebase: 32 bits of it last 11.9 h, and wrap unseen."""
_AT_ONCE = 1000
_BUFFER = 20_000
_BUFFER_S = 2.0


class Timing(Protocol):
    """How a card tells when its lines were what they were."""

    def open(self, task: Any, port: str, changing: list[int]) -> None:
        """Set the lines' task to it."""

    def begin(self, task: Any) -> bool:
        """Let what comes from now on be told; return whether the first of it is no change yet."""

    def stamped(self, values: NDArray[np.uint32]) -> list[tuple[int, int]]:
        """Return (lines, card's time in ns) of each change among what was read."""

    def now_ns(self, task: Any) -> int | None:
        """Return the card's time now; None as long as it has none."""

    def missed(self, task: Any) -> bool:
        """Return whether changes were missed."""


class Latched:
    """The card tells of each change by itself, and a counter latches its timebase then."""

    def __init__(self, card: Card, counter: str) -> None:
        self._card, self._counter = card, counter
        self._ticks = 0
        self._values = np.zeros(_AT_ONCE, np.uint32)
        self._task: Any = None
        self._reader: Any = None
        self._counting: Any = None

    def open(self, task: Any, port: str, changing: list[int]) -> None:
        card, ni = self._card, self._card.ni
        self._ticks = 0
        lines = ",".join(f"{port}/line{line}" for line in changing)
        endless = ni.constants.AcquisitionType.CONTINUOUS
        with card.translating_errors(f"change detection on {lines}"):
            task.timing.cfg_change_detection_timing(lines, lines, endless, _BUFFER)
        self._task = card.task("latch")
        with card.translating_errors(f"time of changes, {self._counter}"):
            counter = f"{card.device}/{self._counter}"
            self._counting = self._task.ci_channels.add_ci_count_edges_chan(counter)
            self._counting.ci_count_edges_term = f"/{card.device}/100kHzTimebase"
            source = f"/{card.device}/ChangeDetectionEvent"
            self._task.timing.cfg_samp_clk_timing(
                10_000, source, sample_mode=endless, samps_per_chan=_BUFFER
            )
            self._reader = ni.stream_readers.CounterReader(self._task.in_stream)
            self._reader.verify_array_shape = False
            self._task.start()
            task.start()

    def begin(self, task: Any) -> bool:
        return False

    def stamped(self, values: NDArray[np.uint32]) -> list[tuple[int, int]]:
        there = len(values)
        latched = self._values[:there]
        self._reader.read_many_sample_uint32(latched, there, self._card.timeout_s)
        return [
            (value, self._unwrapped(ticks) * TICK_NS)
            for value, ticks in zip(values.tolist(), latched.tolist(), strict=True)
        ]

    def now_ns(self, task: Any) -> int | None:
        # what is read from the buffer is older: it must not be taken for a wrap
        return (self._ticks + wrapped_difference(self._counting.ci_count - self._ticks)) * TICK_NS

    def missed(self, task: Any) -> bool:
        return bool(task.in_stream.change_detect_overflowed)

    def _unwrapped(self, ticks: int) -> int:
        self._ticks += wrapped_difference(ticks - self._ticks)
        return self._ticks


class Sampled:
    """The card samples its lines by its own clock: a change is as old as its sample.

    It begins with the session: a session may be long in coming, and nobody would read meanwhile.
    """

    def __init__(self, card: Card, hz: float) -> None:
        self._card, self._hz = card, hz
        self._read = 0
        self._last = 0
        self._wanted = np.uint32(0)
        self._runs = False

    def open(self, task: Any, port: str, changing: list[int]) -> None:
        self._runs = False
        self._wanted = np.uint32(sum(1 << line for line in changing))
        endless = self._card.ni.constants.AcquisitionType.CONTINUOUS
        room = max(_BUFFER, round(self._hz * _BUFFER_S))
        with self._card.translating_errors(f"sampling {port} {self._hz:g} times a second"):
            task.timing.cfg_samp_clk_timing(self._hz, sample_mode=endless, samps_per_chan=room)
            task.control(self._card.ni.constants.TaskMode.TASK_RESERVE)

    def begin(self, task: Any) -> bool:
        self._read, self._last, self._runs = 0, -1, True
        task.start()
        return True

    def stamped(self, values: NDArray[np.uint32]) -> list[tuple[int, int]]:
        lines = (values & self._wanted).astype(np.int64)
        changes = np.flatnonzero(np.diff(lines, prepend=self._last))
        first, self._read = self._read, self._read + len(lines)
        self._last = int(lines[-1])
        return [(int(values[at]), round((first + at) * 1e9 / self._hz)) for at in changes.tolist()]

    def now_ns(self, task: Any) -> int | None:
        if not self._runs:
            return None
        taken = int(task.in_stream.total_samp_per_chan_acquired)
        return round((taken - 0.5) * 1e9 / self._hz)  # between the last sample and the next

    def missed(self, task: Any) -> bool:
        return False  # what was written over cannot be read, and that is told there


class Inputs:
    """The lowest lines of a port: each change of some of them, with the card's time of it.

    Without a timing the lines are read whenever they are asked for, and a change has no time of
    its own.
    """

    def __init__(self, card: Card, port: str, lines: int, timing: Timing | None) -> None:
        self.changing: set[int] = set()
        """The numbers of the lines whose changes are wanted."""
        self.level = 0
        """The lines as they were last read, line 0 in bit 0."""
        self._card, self._timing = card, timing
        self._port = f"{card.device}/{port}"
        self._where = f"{self._port}/line0:{lines - 1}"
        self._values = np.zeros(_AT_ONCE, np.uint32)
        self._task: Any = None
        self._reader: Any = None
        self._timed: Timing | None = None
        self._is_level = False
        """Whether the lines that are told next are as they are at the begin, and no change."""

    def open(self) -> None:
        """Make the tasks, and read the lines once; if none is wanted, the card is left alone."""
        card, ni = self._card, self._card.ni
        self._task = self._timed = None
        self._is_level = False
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
        """Let what comes from now on be told."""
        if self._timed is not None:
            with self._card.translating_errors(f"input lines {self._where}"):
                self._is_level = self._timed.begin(self._task)

    def read(self) -> list[tuple[int, int | None]]:
        """Return (lines, card's time in ns) of each change since the last call."""
        if self._task is None:
            return []
        with self._card.translating_errors(f"input lines {self._where}"):
            if self._timed is None:
                value = self._reader.read_one_sample_port_uint32(self._card.timeout_s)
                return [(int(value), None)]
            waiting = min(int(self._task.in_stream.avail_samp_per_chan), _AT_ONCE)
            if not waiting:
                return []
            values = self._values[:waiting]
            self._reader.read_many_sample_port_uint32(values, waiting, self._card.timeout_s)
            told = self._timed.stamped(values)
        if self._is_level:  # what changed since the opening came before the begin
            self._is_level = False
            self.level, _ = told.pop(0)
        return list(told)

    def read_clock(self) -> tuple[int, int, int] | None:
        """Return when the card's time was asked, what it said, when that came (ns); None if none.

        Raises CardLostError if the card has missed changes since the last call.
        """
        if self._timed is None:
            return None
        with self._card.translating_errors(f"clock of {self._where}"):
            asked = monotonic_ns()
            card_ns = self._timed.now_ns(self._task)
            answered = monotonic_ns()
            missed = self._timed.missed(self._task)
        if missed:
            raise CardLostError(f"{self._where} changes faster than the card can tell: noise?")
        return None if card_ns is None else (asked, card_ns, answered)
