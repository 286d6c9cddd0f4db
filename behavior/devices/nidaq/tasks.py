"""The tasks of a card: counters, output lines and the watchdog, each created once."""

from typing import Annotated, Any

import msgspec

from behavior.devices.nidaq.card import Card
from rig.clock import monotonic_ns

CounterName = Annotated[str, msgspec.Meta(pattern=r"^ctr\d$")]
Terminal = Annotated[str, msgspec.Meta(pattern=r"^(PFI\d+)?$")]
"""A terminal such as "PFI0"; "" for the counter's default terminal."""
_WRAP = 1 << 32


class Pulser:
    """A counter that opens a valve or raises a line for a given time, now or at a trigger."""

    def __init__(self, card: Card, counter: str, terminal: str, what: str = "valve") -> None:
        """Prepare a pulser.

        Args:
            card: The card.
            counter: Name of the counter, such as "ctr0".
            terminal: Output terminal; "" for the counter's default.
            what: Name of the line in errors.
        """
        self._card, self._counter, self._terminal = card, counter, terminal
        self._what = what
        self._open_ms = 0.0
        self._task: Any = None
        self._channel: Any = None
        self._triggered = False

    def open(self) -> None:
        """Create the task and reserve the counter; its output is low."""
        card, constants = self._card, self._card.ni.constants
        self._open_ms = 0.0
        self._task = card.task(f"{self._what} {self._counter}")
        with card.translating_errors(f"{self._what}, {self._counter}"):
            self._channel = self._task.co_channels.add_co_pulse_chan_time(
                f"{card.device}/{self._counter}",
                idle_state=constants.Level.LOW,
                initial_delay=0.0,
                low_time=0.001,
                high_time=0.01,
            )
            self._task.timing.cfg_implicit_timing(constants.AcquisitionType.FINITE, 1)
            if self._terminal:
                self._channel.co_pulse_term = f"/{card.device}/{self._terminal}"
            self._task.control(constants.TaskMode.TASK_RESERVE)

    def fire(self, open_ms: float) -> int:
        """Open for open_ms now; return the time of the middle of the call (ns, monotonic)."""
        with self._card.translating_errors(f"{self._what}, {self._counter}"):
            self._prepare(open_ms)
            if self._triggered:
                self._task.triggers.start_trigger.disable_start_trig()
                self._triggered = False
            asked = monotonic_ns()
            self._task.start()
            return (asked + monotonic_ns()) // 2

    def arm(self, open_ms: float, terminal: str) -> None:
        """Open for open_ms at the next rising edge of a terminal, once."""
        with self._card.translating_errors(f"armed valve, {self._counter}, trigger {terminal}"):
            self._prepare(open_ms)
            source = f"/{self._card.device}/{terminal}"
            self._task.triggers.start_trigger.cfg_dig_edge_start_trig(source)
            self._triggered = True
            self._task.start()

    def stop(self) -> None:
        """End a pulse and disarm the trigger; does nothing if the task was never opened."""
        if self._task is not None and self._card.is_open:
            with self._card.translating_errors(f"{self._what}, {self._counter}"):
                self._task.stop()

    def _prepare(self, open_ms: float) -> None:
        self._task.stop()
        if open_ms != self._open_ms:
            self._channel.co_pulse_high_time = open_ms / 1e3
            self._open_ms = open_ms


class Counter:
    """A counter that counts the rising edges of a line, or the steps of a quadrature encoder."""

    def __init__(self, card: Card, counter: str, terminals: tuple[str, ...]) -> None:
        """Prepare a counter.

        Args:
            card: The card.
            counter: Name of the counter, such as "ctr0".
            terminals: The line, or A and B of the encoder; "" for the counter's default.
        """
        self._card, self._counter, self._terminals = card, counter, terminals
        self._count = 0
        self._last = 0
        self._reader: Any = None

    def open(self) -> None:
        """Create the task and start to count at 0."""
        card, ni = self._card, self._card.ni
        self._count = self._last = 0
        task = card.task(f"count {self._counter}")
        with card.translating_errors(
            f"{self._counter}, {' '.join(self._terminals).strip() or 'default terminals'}"
        ):
            if len(self._terminals) == 2:
                self._encoder(task)
            else:
                channel = task.ci_channels.add_ci_count_edges_chan(self._path)
                if self._terminals[0]:
                    channel.ci_count_edges_term = f"/{card.device}/{self._terminals[0]}"
            self._reader = ni.stream_readers.CounterReader(task.in_stream)
            task.start()

    def count(self) -> int:
        """Return the count so far."""
        with self._card.translating_errors(self._counter):
            if len(self._terminals) == 2:
                value = round(self._reader.read_one_sample_double(self._card.timeout_s))
            else:
                value = int(self._reader.read_one_sample_uint32(self._card.timeout_s))
        self._count += wrapped_difference(value - self._last)
        self._last = value
        return self._count

    @property
    def _path(self) -> str:
        return f"{self._card.device}/{self._counter}"

    def _encoder(self, task: Any) -> None:
        constants = self._card.ni.constants
        channel = task.ci_channels.add_ci_lin_encoder_chan(
            self._path,
            decoding_type=constants.EncoderType.X_4,
            units=constants.LengthUnits.TICKS,
            dist_per_pulse=1.0,
        )
        a, b = self._terminals
        if a:
            channel.ci_encoder_a_input_term = f"/{self._card.device}/{a}"
        if b:
            channel.ci_encoder_b_input_term = f"/{self._card.device}/{b}"


class Level:
    """An output line that keeps its level."""

    def __init__(self, card: Card, line: str) -> None:
        self._card, self._line = card, line
        self._writer: Any = None

    def open(self) -> None:
        """Create the task and lower the line."""
        card, ni = self._card, self._card.ni
        task = card.task(f"output {self._line.replace('/', ' ')}")
        with card.translating_errors(f"output {self._line}"):
            task.do_channels.add_do_chan(f"{card.device}/{self._line}")
            self._writer = ni.stream_writers.DigitalSingleChannelWriter(task.out_stream, False)
            task.start()
        self.write(up=False)

    def write(self, up: bool) -> None:
        """Raise or lower the line."""
        with self._card.translating_errors(f"output {self._line}"):
            self._writer.write_one_sample_one_line(up, self._card.timeout_s)

    def close(self) -> None:
        """Lower the line if it was opened, because NI does not do so when a task is closed."""
        if self._writer is not None and self._card.is_open:
            self.write(up=False)


class Watchdog:
    """The card's own timer, which lowers the valves' lines if the driver stops responding."""

    def __init__(self, card: Card, lines: list[str], timeout_s: float) -> None:
        self._card, self._lines, self._timeout_s = card, lines, timeout_s
        self._task: Any = None

    def open(self) -> None:
        """Create and reserve the task; this also releases a card that a watchdog has locked."""
        card, ni = self._card, self._card.ni
        self._task = card.watchdog(self._timeout_s)
        with card.translating_errors(f"watchdog of {', '.join(self._lines)}"):
            down = ni.constants.Level.LOW
            states = [
                ni.types.DOExpirationState(
                    physical_channel=f"{card.device}/{line}", expiration_state=down
                )
                for line in self._lines
            ]
            self._task.cfg_watchdog_do_expir_states(states)
            self._task.control(ni.constants.TaskMode.TASK_RESERVE)

    def begin(self) -> None:
        """Start the timer; from now on the driver must call `reset` in time."""
        with self._card.translating_errors("the watchdog"):
            self._task.start()

    def reset(self) -> None:
        """Restart the timer. Raises CardLostError if the timer has already expired."""
        with self._card.translating_errors("the watchdog"):
            self._task.reset_timer()


def wrapped_difference(difference: int) -> int:
    """Return the difference of two 32-bit counts, wrapped to the nearest equivalent."""
    return (difference + _WRAP // 2) % _WRAP - _WRAP // 2
