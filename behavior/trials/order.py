"""The order of the trials: seeded, in the asked shares, and tied to no parity of trial numbers.

A drawn order is made of pieces. In each a stimulus stands as often on even as on odd numbers,
so that a split of the session into even and odd trials halves every stimulus.
"""

from collections.abc import Sequence

import numpy as np

from behavior.trials.task_settings import Block
from rig.errors import Refused

_SHORTEST_HALF = 4
_LONGEST_HALF = 60
_SHARE_ERROR = 0.01
_ATTEMPTS = 1000


def draw_order(block: Block, seed: int, number: int) -> list[str]:
    """Return the stimulus of each trial of the session's block of that number.

    A stimulus comes at most max_repeats times in a row (an only stimulus always). Raises Refused
    if stimuli, shares and max_repeats allow no such order.
    """
    stimuli = block.names
    shares = block.shares or [1 / len(stimuli)] * len(stimuli)
    _check(stimuli, shares, block.max_repeats)
    if len(stimuli) == 1:
        return [stimuli[0]] * block.trials
    rng = np.random.default_rng([seed, 0, number])
    if block.order == "rounds":
        return _rounds(rng, block)
    counts = _half_piece(shares)
    order: list[int] = []
    while len(order) < block.trials:
        order += _piece(rng, counts, order, block.max_repeats)
    return [stimuli[i] for i in order[: block.trials]]


def _rounds(rng: np.random.Generator, block: Block) -> list[str]:
    """Return rounds in each of which every stimulus comes once, in an order of its own."""
    if block.shares:
        raise Refused('order = "rounds" gives every stimulus the same share; take out shares')
    order: list[str] = []
    while len(order) < block.trials:
        again = [str(name) for name in rng.permutation(block.names)]
        if order and block.max_repeats == 1 and again[0] == order[-1]:
            again.append(again.pop(0))
        order += again
    return order[: block.trials]


def _check(stimuli: Sequence[str], shares: Sequence[float], max_repeats: int) -> None:
    if len(set(stimuli)) != len(stimuli):
        raise Refused(f"stimuli = {list(stimuli)}: one stands there twice; name each once")
    if len(shares) != len(stimuli):
        raise Refused(
            f"there are {len(stimuli)} stimuli and {len(shares)} shares; give one share to each"
        )
    if abs(sum(shares) - 1.0) > 1e-3:
        raise Refused(f"shares add up to {sum(shares):g}; let them add up to 1")
    if max_repeats == 1 and len(stimuli) == 2:
        raise Refused(
            "max_repeats = 1 with two stimuli is strict alternation, which ties each stimulus to "
            "odd or even trials; set max_repeats to 2 or more"
        )


def _half_piece(shares: Sequence[float]) -> list[int]:
    """Return how often each stimulus comes on the even numbers of a piece, as on the odd ones."""
    for size in range(_SHORTEST_HALF, _LONGEST_HALF + 1):
        counts = [round(share * size) for share in shares]
        errors = [abs(n / size - share) for n, share in zip(counts, shares, strict=True)]
        if sum(counts) == size and min(counts) > 0 and max(errors) <= _SHARE_ERROR:
            return counts
    raise Refused(
        f"shares = {list(shares)} cannot be kept in a piece of at most {2 * _LONGEST_HALF} trials; "
        "use rounder shares"
    )


def _piece(rng: np.random.Generator, counts: list[int], before: list[int], limit: int) -> list[int]:
    for _ in range(_ATTEMPTS):
        piece = _attempt(rng, counts, before, limit)
        if piece is not None:
            return piece
    raise Refused(
        f"no order of these shares has at most {limit} trials of a stimulus in a row; "
        "raise max_repeats or make the shares more even"
    )


def _attempt(
    rng: np.random.Generator, counts: list[int], before: list[int], limit: int
) -> list[int] | None:
    """Draw a piece trial by trial; None if it ran into a dead end."""
    left = [np.array(counts), np.array(counts)]
    order = before[-limit:]
    known = len(order)
    for number in range(2 * sum(counts)):
        weights = left[number % 2].astype(float)
        tail = order[-limit:]
        if len(tail) == limit and len(set(tail)) == 1:
            weights[tail[0]] = 0.0
        if weights.sum() == 0.0:
            return None
        chosen = int(rng.choice(len(counts), p=weights / weights.sum()))
        left[number % 2][chosen] -= 1
        order.append(chosen)
    return order[known:]
