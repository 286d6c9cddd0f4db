"""The photodiode check: no finding while light follows the flips, otherwise one within 5 s."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.timing.photodiode_check import PhotodiodeCheck
from behavior.devices.simulated import devices
from rig.messages import Edge, Fault, Flip, Integrity
from stimuli.photodiode.patch_code import encode
from tests.acquisition.sessions import of, run
from tests.live import NO_SCREEN

S = 1_000_000_000
MS = 1_000_000
LINE = "photodiode"


def check(
    light: Callable[[float], float | None], hz: float = 60.0, seconds: float = 14.0, seed: int = 1
) -> list[tuple[float, str]]:
    """Flip, with light after these delays, ms (None: no light); return faults and times."""
    rng = np.random.default_rng(seed)
    checked = PhotodiodeCheck(LINE, drift_ms=6.0)
    messages: list[Flip | Edge] = []
    seen = False
    for number in range(int(seconds * hz)):
        t_s = number / hz
        t, bright = round(t_s * S) + int(rng.integers(0, MS)), encode(number)
        messages.append(Flip(t, number, 0.0, 0, t, False, 0, bright))
        if (delay_ms := light(t_s)) is not None and bright != seen:
            seen = bright
            messages.append(Edge(t + round(delay_ms * MS), LINE, bright))
    messages.sort(key=lambda message: message.t)
    found = []
    for message in messages:
        if isinstance(message, Edge):
            checked.edge(message)
        elif (finding := checked.flip(message)) is not None:
            found.append((message.t / S, finding.name))
    return found


@given(st.sampled_from([60.0, 120.0, 144.0]), st.floats(0, 80), st.integers(0, 99))
def test_a_steady_delay_is_sound(hz: float, delay_ms: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert check(lambda _: delay_ms + rng.uniform(0, 1.5), hz, 8.0) == []


@pytest.mark.parametrize(
    ("light", "name"),
    [
        (lambda t: 8.0 if t < 6 else None, "photodiode dead"),
        (lambda _: None, "photodiode dead"),
        (lambda t: 8.0 if t < 6 else 8.0 + 1000 / 60, "photodiode drifts"),
        (lambda t: 8.0 if t < 6 else 8.0 + 4.0 * (t - 6), "photodiode drifts"),
        (lambda t: 8.0 if t < 6 else 8.0 + 40 * np.sin(1e5 * t), "photodiode astray"),
    ],
)
@pytest.mark.parametrize("hz", [60.0, 144.0])
def test_what_goes_wrong_is_found_within_five_seconds_and_reported_once(
    light: Callable[[float], float | None], name: str, hz: float
) -> None:
    found = check(light, hz)
    began = 0.0 if light(0.0) is None else 6.0
    assert name in [what for _, what in found]
    assert began < found[0][0] < began + 5.0
    assert len(found) == len({what for _, what in found})


def test_a_fault_that_returns_is_reported_again() -> None:
    found = check(lambda t: None if 3 < t < 6 or 10 < t < 13 else 8.0, seconds=16.0)
    assert [name for _, name in found if name == "photodiode dead"] == ["photodiode dead"] * 2


def test_edges_of_other_lines_are_ignored() -> None:
    checked = PhotodiodeCheck("elsewhere", 6.0)
    checked.edge(Edge(0, LINE, True))
    flips = [Flip(n * S // 60, n, 0.0, 0, 0, False, 0, encode(n)) for n in range(300)]
    assert [f.name for f in map(checked.flip, flips) if f is not None] == ["photodiode dead"]


class Dying(devices.Photodiode):
    """A photodiode that fails five seconds into the session."""

    def edges(self, now: int) -> list[tuple[int, bool]]:
        return [edge for edge in super().edges(now) if edge[0] < 5 * S]


class Drifting(devices.Photodiode):
    """A photodiode whose delay grows by 4 ms per second from five seconds on."""

    def edges(self, now: int) -> list[tuple[int, bool]]:
        return [(t + max(0, t - 5 * S) * 4 // 1000, up) for t, up in super().edges(now)]


@pytest.mark.parametrize(
    ("kind", "name"),
    [(None, None), ("Dying", "photodiode dead"), ("Drifting", "photodiode drifts")],
)
def test_a_session_reports_its_photodiode_within_five_seconds(
    kind: str | None, name: str | None, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = f"tests.acquisition.test_photodiode_check:{kind}"
    injected = [] if kind is None else [f"nodes.hardware.lines.photodiode.is={path}"]
    published = run(
        NO_SCREEN, *injected, without=("referee", "online", "mesoscope", "stream"), end_s=12
    )
    found = [(w.t / S, f) for w in of(published, Integrity) for f in w.findings]
    edges = [w for w in of(published, Edge) if w.line == LINE]
    assert len(edges) > 100
    if name is None:
        assert found == []
        return
    assert [what for _, what in found] == [name]
    assert 5.0 < found[0][0] < 10.0
    assert [w.t / S for w in of(published, Fault)] == [found[0][0]]
