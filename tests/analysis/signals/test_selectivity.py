"""Fractions of selective cells: a cell whose |d'| is exactly a threshold is selective."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.cells.areas import NAMES
from analysis.signals.selectivity import (
    THRESHOLDS,
    defined_counts,
    fractions,
    selective_fraction,
)

AT = {threshold: number for number, threshold in enumerate(THRESHOLDS)}
tied = st.sampled_from([sign * threshold for threshold in THRESHOLDS for sign in (1, -1)])


@given(
    st.lists(
        st.tuples(st.one_of(tied, st.just(np.nan), st.floats(-3, 3, width=32)), st.integers(0, 4)),
        min_size=1,
        max_size=60,
    )
)
def test_fractions_are_those_of_the_definition_at_every_threshold(
    cells: list[tuple[float, int]],
) -> None:
    d_prime = np.array([value for value, _ in cells], np.float32)
    groups = np.array([group for _, group in cells], np.uint8)
    found = fractions(d_prime, groups)
    for group in range(len(NAMES)):
        own = d_prime if group == 0 else d_prime[groups == group]
        for threshold, number in AT.items():
            if not own.size:
                assert np.isnan(found[group, :, number]).all()
                continue
            a, b = np.mean(own >= np.float32(threshold)), np.mean(own <= -np.float32(threshold))
            np.testing.assert_allclose(found[group, :, number], [a + b, a, b], atol=1e-7)
    assert defined_counts(d_prime, groups)[0] == np.count_nonzero(~np.isnan(d_prime))


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_cell_exactly_at_a_threshold_is_selective(threshold: float) -> None:
    d_prime = np.array([threshold], np.float64).astype(np.float32)
    assert selective_fraction(d_prime, threshold) == 1.0
    assert fractions(d_prime, np.zeros(1, np.uint8))[0, 1, AT[threshold]] == 1.0
