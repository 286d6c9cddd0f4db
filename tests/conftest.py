"""Settings of all tests, and the marker of those that start a whole session."""

import pytest
from hypothesis import settings

# an example of a property may take as long as the machine needs
settings.register_profile("rig", deadline=None)
settings.load_profile("rig")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of a module that uses tests.live, which runs `rig run` and its processes."""
    for item in items:
        if hasattr(getattr(item, "module", None), "Live"):
            item.add_marker(pytest.mark.session)
