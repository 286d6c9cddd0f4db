"""Fixtures of the tests of the online node."""

from pathlib import Path

import pytest

from tests.analysis.nodes import CELLS


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells") / "cells.csv"
    path.write_text(CELLS)
    return path
