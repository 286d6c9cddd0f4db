"""For every seed the drawn order has the required shares, repeats and parity."""

from collections import Counter
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behavior.trials.order import draw_order as draw_block
from behavior.trials.task_settings import Block
from rig.errors import Refused

LEAF = ["leaf1", "circle1", "leaf2", "circle2"]
PLANS = [
    ([0.5, 0.5], 3),
    ([0.5, 0.5], 2),
    ([0.25, 0.25, 0.25, 0.25], 3),
    ([0.25, 0.25, 0.25, 0.25], 1),
    ([0.4, 0.4, 0.2], 3),
    ([0.45, 0.45, 0.05, 0.05], 3),
    ([0.33, 0.33, 0.34], 2),
    ([0.6, 0.4], 3),
    ([1.0], 3),
]


def draw_order(
    stimuli: list[str], shares: list[float], most: int, trials: int, seed: int
) -> list[str]:
    block = Block(stimuli=stimuli, shares=shares, max_repeats=most, trials=trials)
    return draw_block(block, seed, 0)


plans = st.sampled_from(PLANS)
seeds = st.integers(0, 2**32)


@given(plans, seeds)
def test_shares_repeats_and_parity(plan: tuple[list[float], int], seed: int) -> None:
    shares, most = plan
    stimuli = LEAF[: len(shares)]
    order = draw_order(stimuli, shares, most, 400, seed)
    assert len(order) == 400
    for stimulus, share in zip(stimuli, shares, strict=True):
        at = [i for i, name in enumerate(order) if name == stimulus]
        assert len(at) / 400 == pytest.approx(share, abs=0.03)
        even = sum(1 for i in at if i % 2 == 0)
        assert 0.4 <= even / len(at) <= 0.6
    if len(stimuli) > 1:
        assert max(len(list(run)) for _, run in groupby(order)) <= most


@given(seeds)
def test_even_and_odd_trials_are_balanced_from_the_twelfth_trial_of_a_stimulus(seed: int) -> None:
    order = draw_order(LEAF[:2], [0.5, 0.5], 3, 200, seed)
    even: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for number, stimulus in enumerate(order):
        seen[stimulus] += 1
        even[stimulus] += number % 2 == 0
        if seen[stimulus] >= 12:
            assert 0.4 <= even[stimulus] / seen[stimulus] <= 0.6


@given(seeds, st.integers(1, 100), st.integers(1, 100))
def test_a_longer_session_extends_the_order_of_a_shorter_one(
    seed: int, short: int, more: int
) -> None:
    first = draw_order(LEAF[:2], [0.5, 0.5], 3, short, seed)
    longer = draw_order(LEAF[:2], [0.5, 0.5], 3, short + more, seed)
    assert longer[:short] == first


def test_different_seeds_draw_different_orders_without_bias() -> None:
    orders = {tuple(draw_order(LEAF[:2], [0.5, 0.5], 3, 40, seed)) for seed in range(50)}
    assert len(orders) == 50
    first = Counter(order[0] for order in orders)
    assert 10 < first["leaf1"] < 40


@pytest.mark.parametrize(
    ("stimuli", "shares", "most", "expected"),
    [
        (LEAF[:2], [0.5, 0.5], 1, "strict alternation"),
        (LEAF[:2], [0.5, 0.4], 3, "add up to 0.9"),
        (LEAF[:2], [1.0], 3, "2 stimuli but 1 shares"),
        (["leaf1", "leaf1"], [0.5, 0.5], 3, "twice"),
        (LEAF[:2], [0.95, 0.05], 3, "raise max_repeats"),
        (LEAF[:2], [0.997, 0.003], 20, "rounder shares"),
    ],
)
def test_an_impossible_order_is_refused(
    stimuli: list[str], shares: list[float], most: int, expected: str
) -> None:
    with pytest.raises(Refused, match=expected):
        draw_order(stimuli, shares, most, 100, 1)
