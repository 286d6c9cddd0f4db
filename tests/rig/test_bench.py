"""What the benches would run is valid, and reads its times rightly."""

import pytest

from rig.cli.bench.behavior import _LAYERS, SETUPS, Setup, _row, _session
from rig.process import completed


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_every_setup_of_the_behaviour_bench_is_valid(setup: Setup) -> None:
    for layer in setup.layers:
        session = completed(_session(setup, layer, 0.1).session)
        assert layer in _LAYERS
        assert session.task["decided_by"] == layer
        assert set(session.nodes) == {"hardware", "task"}


def test_a_rare_percentile_is_said_of_many_values_only() -> None:
    assert _row("x", [1.0] * 999, "")[1:] == ("1.000", "1.000", "-", "1.000", "999", "")
    assert _row("x", [1.0] * 999 + [5.0], "")[3] != "-"
    assert _row("x", [], "")[1:] == ("-", "-", "-", "-", "0", "")
