"""Driver and task with delayed messages between them: every reward is still correct."""

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.trials import trial
from rig.messages import Arm, Cue, Disarm, Fault, Message, Start, TrialEnd, TrialStart, Valve
from rig.node import Node
from tests.behavior.sessions import MS, S, check_trials, hardware, hardware_table, of, task

TICK_NS = 5 * MS
EAGER = {"is": "behavior.animals:SimulatedMouse", "idle_bursts_per_min": 40.0, "idle_burst_s": 2.0}
OPTIONS = {
    "corridor_cm_s": 200.0,
    "trials": 8,
    "minutes": 0.7,
    "grey_before_s": 0.5,
    "grey_after_s": 0.0,
    "grey_m": 1.0,
    "cue_to_m": 2.5,
}


class _Transport:
    """Deliver messages in the order of publishing, each delayed, some after a stall."""

    def __init__(self, seed: int, late_ms: float, hangs_s: float) -> None:
        self._rng = np.random.default_rng(seed)
        self._late_ms, self._hangs_s = late_ms, hangs_s
        self._messages: deque[tuple[int, Message]] = deque()
        self._free_at = 0

    def put(self, now: int, messages: list[Message]) -> None:
        for message in messages:
            if self._rng.random() < 0.0005:
                self._free_at = now + round(self._rng.uniform(0, self._hangs_s) * S)
            late = round(self._rng.uniform(0, self._late_ms) * MS)
            self._free_at = max(self._free_at, now + late)
            self._messages.append((self._free_at, message))

    def due(self, now: int) -> list[Message]:
        messages = []
        while self._messages and self._messages[0][0] <= now:
            messages.append(self._messages.popleft()[1])
        return messages


def _session(seed: int, late_ms: float, hangs_s: float, options: dict[str, Any]) -> list[Message]:
    """Return everything that driver and task published, in order."""
    published: list[Message] = []
    from_task: list[Message] = []
    from_driver: list[Message] = []
    decider = task(from_task, **{**OPTIONS, **options, "seed": seed})
    driver, clock = hardware(hardware_table(EAGER), from_driver.append)
    there, back = _Transport(seed, late_ms, hangs_s), _Transport(seed + 1, late_ms, hangs_s)

    def exchange(
        node: Node, messages: list[Message], transport: _Transport, outbox: list[Message]
    ) -> None:
        for message in messages:
            if isinstance(message, node.subscribes) and node.ended is None:
                node.handle(message)
        transport.put(clock.now(), outbox)
        published.extend(outbox)
        outbox.clear()

    start = Start(0, {"seed": seed})
    driver.handle(start)
    decider.handle(start)
    while decider.ended is None and clock.now() < 60 * S:
        clock.set(clock.now() + TICK_NS)
        exchange(driver, back.due(clock.now()), there, from_driver)
        driver.tick(clock.now())
        exchange(driver, [], there, from_driver)
        exchange(decider, there.due(clock.now()), back, from_task)
    decider.close()
    return published + from_task


def _check(published: list[Message]) -> None:
    trials = {start.trial: start for start in of(TrialStart, published)}
    cues = {cue.trial: cue.t for cue in of(Cue, published)}
    trial, trial_of = -1, {}
    for message in published:
        if isinstance(message, TrialStart):
            trial = message.trial
        elif isinstance(message, Arm):
            trial_of[message.id] = trial
    opened = [valve for valve in of(Valve, published) if not valve.refused]
    watered = [trial_of[valve.id] for valve in opened]
    assert len(watered) == len(set(watered)), "two rewards in a trial"
    for valve, number in zip(opened, watered, strict=True):
        assert trials[number].rewarded
        assert valve.t >= cues[number]
        assert valve.lick_t is None or cues[number] <= valve.lick_t <= valve.t
    answers = [valve.id for valve in of(Valve, published)]
    assert len(answers) == len(set(answers))


@pytest.fixture(autouse=True)
def _armed_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew requests every 300 ms, so that requests and answers often cross."""
    monkeypatch.setattr(trial, "ARMED_NS", 300 * MS)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from([0.0, 2.0, 40.0, 400.0]),
    st.sampled_from([0.0, 3.0]),
    st.sampled_from(["active", "passive"]),
    st.sampled_from(["device", "task"]),
)
def test_at_most_one_reward_a_trial_however_late_messages_are(
    seed: int, late_ms: float, hangs_s: float, mode: str, decided_by: str
) -> None:
    published = _session(seed, late_ms, hangs_s, {"reward_mode": mode, "decided_by": decided_by})
    check_trials(published)
    _check(published)


def test_without_delays_every_request_is_answered() -> None:
    for seed in range(3):
        published = _session(seed, 0.0, 0.0, {})
        _check(published)
        assert len(of(Valve, published)) >= 2
        assert not of(Fault, published)
        ends = {end.trial: end for end in of(TrialEnd, published)}
        answered = {v.id for v in of(Valve, published)} | {d.id for d in of(Disarm, published)}
        assert answered >= {arm.id for arm in of(Arm, published)}
        assert len(ends) == 8
