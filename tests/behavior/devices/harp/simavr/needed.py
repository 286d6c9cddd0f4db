"""Skip tests if the tools to simulate the board are missing, but never in CI."""

import os

import pytest

from tests.behavior.devices.harp.simavr.avr import missing


def need_tools() -> None:
    """Skip the test if the tools are missing; in CI, fail it."""
    if lack := missing():
        how = "apt-get install gcc-avr avr-libc libsimavr-dev libelf-dev"
        published = f"the firmware is not tested here: {lack} is missing; to have it: {how}"
        if os.environ.get("CI") == "true":
            pytest.fail(published)
        pytest.skip(published)
