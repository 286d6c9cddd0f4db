"""Simulated NI cards for the tests that ask for one."""

from collections.abc import Iterator

import pytest

from tests.behavior.nicard.contract import shared_card
from tests.behavior.nicard.process import SimulatedCard


@pytest.fixture
def card() -> Iterator[SimulatedCard]:
    """A card that a test leaves whole."""
    shared_card().do("reset")
    yield shared_card()
    shared_card().do("reset")


@pytest.fixture
def own_card(request: pytest.FixtureRequest) -> Iterator[SimulatedCard]:
    """A card that a test may break; parametrized with a model."""
    made = SimulatedCard(getattr(request, "param", "full"))
    yield made
    made.go_on()
    made.close()
