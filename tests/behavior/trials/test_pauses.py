"""The completed trials follow the drawn order, whatever is paused."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.trials.order import draw_order
from behavior.trials.task_settings import Block
from rig.messages import Message, OperatorRequest, TrialEnd, TrialStart
from tests.behavior.sessions import S, Walker, of, task

STIMULI = ["leaf1", "circle1"]
QUICK = {
    "motion": "always",
    "corridor_cm_s": 200.0,
    "texture_m": 1.0,
    "grey_m": 0.5,
    "cue": False,
    "grey_before_s": 0.0,
    "reward_delay_ms": 0.0,
}


def run(seed: int, pauses: list[int], trials: int) -> list[Message]:
    """Run trials of 0.75 s with pauses; `pauses` are the steps of 50 ms before each of them."""
    published: list[Message] = []
    walk = Walker(task(published, seed=seed, trials=trials, **QUICK), published, step_ms=50)
    for number, steps in enumerate(pauses):
        walk.run(steps * 0.05)
        for verb in ("pause", "resume"):
            request = OperatorRequest(walk.t, 2 * number + (verb == "resume"), walk.t + S, verb)
            walk.node.handle(request)
    while walk.node.ended is None:
        walk.run(1.0)
    return published


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 60), max_size=12), st.integers(12, 40))
def test_the_completed_trials_are_the_drawn_order(
    seed: int, pauses: list[int], trials: int
) -> None:
    published = run(seed, pauses, trials)
    starts, ends = of(TrialStart, published), of(TrialEnd, published)
    whole = [s for s, e in zip(starts, ends, strict=True) if e.outcome == "done"]
    drawn = draw_order(Block(stimuli=STIMULI, shares=[0.5, 0.5], trials=trials), seed, 0)
    assert [start.stimulus for start in whole] == drawn
    even = Counter(start.stimulus for start in whole[::2])
    for stimulus, n in Counter(start.stimulus for start in whole).items():
        if n >= 12:
            assert 0.4 <= even[stimulus] / n <= 0.6


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_an_aborted_trial_is_shown_again(seed: int, pauses: list[int]) -> None:
    published = run(seed, pauses, 30)
    starts, ends = of(TrialStart, published), of(TrialEnd, published)
    assert [start.trial for start in starts] == list(range(len(starts)))
    assert [end.outcome for end in ends].count("aborted") > 0
    for start, end, after in zip(starts, ends, starts[1:], strict=False):
        if end.outcome == "aborted":
            assert after.stimulus == start.stimulus
            assert after.next_stimulus == start.next_stimulus
        else:
            assert after.stimulus == start.next_stimulus
