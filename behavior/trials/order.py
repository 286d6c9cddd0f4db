"""Draw the order of the trials from a seed, with the same shares on even and on odd trials.

A drawn order is a sequence of pieces. In each piece, every stimulus has as many even as odd trial
numbers, so splitting the session into even and odd trials halves every stimulus:

    piece of 2 x 4 trials, shares 0.5 and 0.5:  even  A . B . A . B .   2 A, 2 B
                                                odd   . B . A . A . B   2 A, 2 B
"""

from collections.abc import Sequence

import numpy as np

from behavior.trials.task_settings import Block
from rig.errors import Refused

_MIN_HALF = 4
_MAX_HALF = 60
"""Largest number of even trials in a piece, and of odd trials."""
_SHARE_ERROR = 0.01
"""Largest difference between the share of a stimulus in a piece and its share in the settings."""
_ATTEMPTS = 1000
"""Largest number of attempts to draw a piece."""


def draw_order(block: Block, seed: int, number: int) -> list[str]:
    """Return the stimulus of each trial of a block.

    A stimulus has at most max_repeats consecutive trials, unless it is the only one.

    Args:
        block: The settings of the block.
        seed: Random seed of the session.
        number: Index of the block in the session.

    Raises:
        Refused: No order fits the stimuli, shares and max_repeats.
    """
    stimuli = block.names
    shares = block.shares or [1 / len(stimuli)] * len(stimuli)
    _check_shares(stimuli, shares, block.max_repeats)
    if len(stimuli) == 1:
        return [stimuli[0]] * block.trials
    rng = np.random.default_rng([seed, 0, number])
    if block.order == "rounds":
        return _draw_rounds(rng, block)
    counts = _trials_per_half(shares)
    order: list[int] = []
    while len(order) < block.trials:
        order += _draw_piece(rng, counts, order, block.max_repeats)
    return [stimuli[i] for i in order[: block.trials]]


def _draw_rounds(rng: np.random.Generator, block: Block) -> list[str]:
    """Return rounds; in each round, every stimulus comes once, in random order."""
    if block.shares:
        raise Refused('order = "rounds" gives every stimulus the same share; remove shares')
    order: list[str] = []
    while len(order) < block.trials:
        one_round = [str(name) for name in rng.permutation(block.names)]
        if order and block.max_repeats == 1 and one_round[0] == order[-1]:
            one_round.append(one_round.pop(0))
        order += one_round
    return order[: block.trials]


def _check_shares(stimuli: Sequence[str], shares: Sequence[float], max_repeats: int) -> None:
    if len(set(stimuli)) != len(stimuli):
        raise Refused(f"stimuli = {list(stimuli)}: one is listed twice; list each once")
    if len(shares) != len(stimuli):
        raise Refused(
            f"there are {len(stimuli)} stimuli but {len(shares)} shares; give one share for each"
        )
    if abs(sum(shares) - 1.0) > 1e-3:
        hint = " (they are fractions, not percent)" if abs(sum(shares) - 100.0) < 1.0 else ""
        raise Refused(f"shares add up to {sum(shares):g}; make them add up to 1{hint}")
    if max_repeats == 1 and len(stimuli) == 2:
        raise Refused(
            "max_repeats = 1 with two stimuli is strict alternation, which ties each stimulus to "
            "odd or even trials; set max_repeats to 2 or more"
        )


def _trials_per_half(shares: Sequence[float]) -> list[int]:
    """Return the number of even trials of each stimulus in a piece; odd trials are as many."""
    for size in range(_MIN_HALF, _MAX_HALF + 1):
        counts = [round(share * size) for share in shares]
        errors = [abs(n / size - share) for n, share in zip(counts, shares, strict=True)]
        if sum(counts) == size and min(counts) > 0 and max(errors) <= _SHARE_ERROR:
            return counts
    raise Refused(
        f"shares = {list(shares)} cannot be reached within {2 * _MAX_HALF} trials; "
        "use rounder shares"
    )


def _draw_piece(
    rng: np.random.Generator, counts: list[int], before: list[int], limit: int
) -> list[int]:
    for _ in range(_ATTEMPTS):
        piece = _try_piece(rng, counts, before, limit)
        if piece is not None:
            return piece
    raise Refused(
        f"no order with these shares has at most {limit} consecutive trials of a stimulus; "
        "raise max_repeats or make the shares more even"
    )


def _try_piece(
    rng: np.random.Generator, counts: list[int], before: list[int], limit: int
) -> list[int] | None:
    """Draw a piece trial by trial; return None if no remaining stimulus may come next."""
    left = [np.array(counts), np.array(counts)]
    order = before[-limit:]  # a run of one stimulus may continue from the piece before
    context = len(order)
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
    return order[context:]
