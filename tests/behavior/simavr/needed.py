"""Skips a test where the board cannot be simulated, and never in CI."""

import os

import pytest

from tests.behavior.simavr.avr import missing


def need_tools() -> None:
    """Skip the test where the tools are missing; fail it in CI, where they must not be."""
    if lack := missing():
        how = "apt-get install gcc-avr avr-libc libsimavr-dev libelf-dev"
        said = f"the firmware is not tested here: {lack} is missing; to have it: {how}"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
