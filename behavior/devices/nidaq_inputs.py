"""A card's input lines: what changed, and when by the card's own clock."""

from typing import Any

import numpy as np

from behavior.devices.nidaq_card import Card, CardLostError
from behavior.devices.nidaq_tasks import shorter_way
from rig.clock import monotonic_ns

TICK_NS = 10_000
"""A tick of the card's 100 kHz timebase: 32 bits of it last 11.9 h, and wrap unseen."""
_AT_ONCE = 1000
_BUFFER = 20_000


class Inputs:
    """The lowest lines of a port: each change of some of them, with the card's time of it.

    A counter latches the timebase at each change-detection event. Without one the lines are read
    whenever they are asked for, and a change has no time of its own.
    """

    def __init__(self, card: Card, port: str, lines: int, counter: str) -> None:
        self.changing: set[int] = set()
        """The numbers of the lines whose changes are wanted."""
        self.level = 0
        """The lines as they were last read, line 0 in bit 0."""
        self._card, self._counter = card, counter
        self._port = f"{card.device}/{port}"
        self._where = f"{self._port}/line0:{lines - 1}"
        self._values = np.zeros(_AT_ONCE, np.uint32)
        self._latched = np.zeros(_AT_ONCE, np.uint32)
        self._ticks = 0
        self._task: Any = None
        self._reader: Any = None
        self._latch: Any = None
        self._latch_reader: Any = None
        self._counting: Any = None

    def open(self) -> None:
        """Make the tasks, read the lines once, and begin."""
        card, ni = self._card, self._card.ni
        self._ticks = 0
        self._task = card.task("inputs")
        with card.asking(f"input lines {self._where}"):
            grouping = ni.constants.LineGrouping.CHAN_FOR_ALL_LINES
            self._task.di_channels.add_di_chan(self._where, line_grouping=grouping)
            self._reader = ni.stream_readers.DigitalSingleChannelReader(self._task.in_stream)
            self._reader.verify_array_shape = False
            self.level = int(self._reader.read_one_sample_port_uint32(card.timeout_s))
        if self._counter and self.changing:
            self._open_latch()

    def read(self) -> list[tuple[int, int | None]]:
        """Return (lines, card's time in ns) of each change since the last call."""
        if self._latch is None:
            with self._card.asking(f"input lines {self._where}"):
                value = int(self._reader.read_one_sample_port_uint32(self._card.timeout_s))
            return [(value, None)]
        with self._card.asking(f"changes of {self._where}"):
            waiting = min(int(self._task.in_stream.avail_samp_per_chan), _AT_ONCE)
            if not waiting:
                return []
            timeout_s = self._card.timeout_s
            self._reader.read_many_sample_port_uint32(self._values[:waiting], waiting, timeout_s)
            self._latch_reader.read_many_sample_uint32(self._latched[:waiting], waiting, timeout_s)
        values = self._values[:waiting].tolist()
        return [
            (value, self._unwrapped(ticks) * TICK_NS)
            for value, ticks in zip(values, self._latched[:waiting].tolist(), strict=True)
        ]

    def ask_clock(self) -> tuple[int, int, int] | None:
        """Return when the card's time was asked, what it said, when that came (ns); None if none.

        Raises CardLostError if the card has missed changes since the last call.
        """
        if self._latch is None:
            return None
        with self._card.asking(f"changes of {self._where}"):
            asked = monotonic_ns()
            ticks = self._counting.ci_count
            answered = monotonic_ns()
            missed = self._task.in_stream.change_detect_overflowed
        if missed:
            raise CardLostError(f"{self._where} changes faster than the card can tell: noise?")
        # what is read from the buffer is older: it must not be taken for a wrap
        return asked, (self._ticks + shorter_way(ticks - self._ticks)) * TICK_NS, answered

    def _unwrapped(self, ticks: int) -> int:
        self._ticks += shorter_way(ticks - self._ticks)
        return self._ticks

    def _open_latch(self) -> None:
        card, ni = self._card, self._card.ni
        changing = ",".join(f"{self._port}/line{line}" for line in sorted(self.changing))
        endless = ni.constants.AcquisitionType.CONTINUOUS
        with card.asking(f"change detection on {changing}"):
            self._task.stop()
            self._task.timing.cfg_change_detection_timing(changing, changing, endless, _BUFFER)
        self._latch = card.task("latch")
        with card.asking(f"time of changes, {self._counter}"):
            counter = f"{card.device}/{self._counter}"
            self._counting = self._latch.ci_channels.add_ci_count_edges_chan(counter)
            self._counting.ci_count_edges_term = f"/{card.device}/100kHzTimebase"
            source = f"/{card.device}/ChangeDetectionEvent"
            self._latch.timing.cfg_samp_clk_timing(
                10_000, source, sample_mode=endless, samps_per_chan=_BUFFER
            )
            self._latch_reader = ni.stream_readers.CounterReader(self._latch.in_stream)
            self._latch_reader.verify_array_shape = False
            self._latch.start()
            self._task.start()
