"""Measure lick to valve in a session, alternately with and without readers of its live page."""

import io
import re
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rig.cli.bench.behavior import SETUPS, session_of
from rig.cli.bench.live_page.load import reader_process
from rig.cli.terminal import new_console
from rig.clock import RealClock
from rig.errors import Refused
from rig.messages import Lick, Valve
from rig.session.launch import launch
from rig.session.live_page import Page
from rig.settings.config import read_session
from rig.transport.log import LOG_FILE, read

_TURN_S = 5.0
_RESAMPLES = 2000


class Comparison(NamedTuple):
    """Times from the lick read to the valve, ms, with readers and without."""

    with_ms: list[float]
    without_ms: list[float]

    def difference_ms(self) -> float:
        """Return how much larger the median is with readers, ms."""
        return float(np.median(self.with_ms) - np.median(self.without_ms))

    def noise_ms(self) -> float:
        """Return the difference that is due to chance, ms: 95 % of random halves differ by less."""
        pooled = np.array([*self.with_ms, *self.without_ms])
        rng = np.random.default_rng(0)
        n = len(self.with_ms)
        found = []
        for _ in range(_RESAMPLES):
            drawn = rng.permutation(pooled)
            found.append(abs(np.median(drawn[:n]) - np.median(drawn[n:])))
        return float(np.percentile(found, 95))


def measure(minutes: float, readers: int) -> Comparison:
    """Run the session. Raises Refused if it failed."""
    printed, turns = io.StringIO(), _Turns(readers)
    with tempfile.TemporaryDirectory() as data:
        switching = threading.Thread(target=turns.run, args=(printed, Path(data)), daemon=True)
        switching.start()
        session = session_of(SETUPS[0], "task", minutes)
        outcome = launch(session, Path(data), new_console(file=printed), page=Page.SERVED)
        turns.ending.set()
        switching.join()
        if outcome.failed:
            raise Refused(f"the measured session failed: {outcome.reason}")
        messages = list(read(outcome.folder / LOG_FILE))
    sent = {message.t: envelope.sent for envelope, message in messages if isinstance(message, Lick)}
    valves = [w for _, w in messages if isinstance(w, Valve) and w.lick_t in sent]
    found: dict[bool, list[float]] = {True: [], False: []}
    for valve in valves:
        found[turns.at(valve.t)].append((valve.t - sent[valve.lick_t or 0]) / 1e6)
    return Comparison(found[True], found[False])


class _Turns:
    """Readers of the live page, switched on and off in turn, and the times of the switches."""

    def __init__(self, readers: int) -> None:
        self.ending = threading.Event()
        self._readers = readers
        self._switched: list[tuple[int, bool]] = []

    def at(self, t: int) -> bool:
        """Return True if there were readers at a session time (ns)."""
        return ([False] + [on for since, on in self._switched if since <= t])[-1]

    def run(self, printed: io.StringIO, data: Path) -> None:
        while (found := re.search(r"live page: (\S+?)#", printed.getvalue())) is None:
            if self.ending.wait(0.1):
                return
        (folder,) = data.glob("sub-*/ses-*")
        clock = RealClock(read_session(folder).t0_ns)
        with reader_process(found[1], self._readers) as switch:
            on = False
            while not self.ending.wait(_TURN_S):
                on = not on
                switch.write(b"on\n" if on else b"off\n")
                switch.flush()
                self._switched.append((clock.now(), on))
