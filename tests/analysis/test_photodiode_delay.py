"""The delay from flip to light is measured from the photodiode's edges."""

from pathlib import Path

import numpy as np
import pytest

from analysis.session import Session
from analysis.session.photodiode_delay import photodiode_delays_s
from rig.messages import Edge, Flip, Message
from tests.analysis.logs import START, enveloped, write_log

LIT = START.__class__(0, {**START.session, "nodes": {"integrity": {"photodiode": "diode"}}})


def _session(folder: Path, delay_ms: float, lost: int, noise: int) -> Session:
    """Flip at 60 Hz with a random patch; lose some edges, and add some noise."""
    random = np.random.default_rng(1)
    bright = random.random(600) < 0.5
    messages: list[Message] = []
    edges: list[Message] = []
    for number, lit in enumerate(bright):
        t = round((1 + number / 60) * 1e9)
        messages.append(Flip(t, number, 0.0, 0, t, False, bright=bool(lit)))
        if number and lit != bright[number - 1]:
            late_ns = round(1e6 * (delay_ms + random.uniform(-0.5, 0.5)))
            edges.append(Edge(t + late_ns, "diode", bool(lit)))
    kept = random.permutation(len(edges))[lost:]
    edges = [edges[at] for at in kept]
    edges += [Edge(round(t * 1e9), "diode", True) for t in random.uniform(1, 11, noise)]
    edges.append(Edge(2_000_000_000, "frame_clock", True))
    both = sorted([LIT, *messages, *edges], key=lambda message: message.t)
    pairs = [("display" if isinstance(m, Flip) else "hardware", m) for m in both[1:]]
    return Session(write_log(folder, enveloped([LIT, *pairs])))


@pytest.mark.parametrize("delay_ms", [3.0, 8.0, 24.0, 57.0])
def test_the_delay_is_that_of_the_light(tmp_path: Path, delay_ms: float) -> None:
    delays_ms = 1e3 * photodiode_delays_s(_session(tmp_path, delay_ms, lost=20, noise=10))
    assert delays_ms.size > 250
    assert np.median(delays_ms) == pytest.approx(delay_ms, abs=0.2)
    assert np.percentile(np.abs(delays_ms - delay_ms), 95) < 1.0


def test_without_a_photodiode_there_is_no_delay(tmp_path: Path) -> None:
    write_log(tmp_path, enveloped([START, ("display", Flip(1, 0, 0.0, 0, 1, False))]))
    assert photodiode_delays_s(Session(tmp_path)).size == 0
