"""Fixtures with simulated NI cards."""

from collections.abc import Iterator

import pytest

from tests.behavior.devices.nidaq.simulated_card.contract import shared_card
from tests.behavior.devices.nidaq.simulated_card.process import SimulatedCard


@pytest.fixture
def card() -> Iterator[SimulatedCard]:
    """A shared card, for tests that leave it working."""
    shared_card().do("reset")
    yield shared_card()
    shared_card().do("reset")


@pytest.fixture
def own_card(request: pytest.FixtureRequest) -> Iterator[SimulatedCard]:
    """A separate card, for tests that may break it; parametrized with a model."""
    made = SimulatedCard(getattr(request, "param", "full"))
    yield made
    made.resume()
    made.close()
