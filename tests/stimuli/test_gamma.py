"""Gamma tables: they make a screen linear, and impossible readings are refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.errors import Refused
from stimuli.screens.gamma import (
    check_readings,
    common_range,
    correction_table,
    read_gamma,
    write_gamma,
)


def measured(gamma: float, black: float, white: float, count: int = 9) -> list[tuple[float, float]]:
    level = np.linspace(0, 1, count)
    cd_m2 = black + (white - black) * level**gamma
    return list(zip(level.tolist(), cd_m2.tolist(), strict=True))


@given(st.floats(1.2, 3.0), st.floats(0.0, 2.0), st.floats(50, 500))
def test_a_few_readings_make_the_screen_linear(gamma: float, black: float, white: float) -> None:
    sent = correction_table(check_readings(measured(gamma, black, white), "table"), black, white)
    shown = black + (white - black) * sent.astype(float) ** gamma
    assert shown == pytest.approx(np.linspace(black, white, 256), abs=0.002 * white)


def test_screens_of_different_brightness_show_the_same_luminance() -> None:
    dim, bright = (
        check_readings(measured(2.2, b, w), "table") for b, w in ((0.5, 100), (0.2, 250))
    )
    black, white = common_range([dim, bright])
    assert (black, white) == (0.5, 100)
    one = 0.5 + 99.5 * correction_table(dim, black, white).astype(float) ** 2.2
    other = 0.2 + 249.8 * correction_table(bright, black, white).astype(float) ** 2.2
    assert one == pytest.approx(other, abs=0.3)


def test_without_readings_levels_are_sent_as_they_are() -> None:
    assert correction_table(None, 0, 1) * 255 == pytest.approx(np.arange(256), abs=1e-4)


def test_a_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    table = check_readings(measured(2.2, 0.3, 120), "table")
    write_gamma(tmp_path / "g.csv", table, ["2026-11-24", "photometer"])
    assert read_gamma(tmp_path / "g.csv", "left") == pytest.approx(table, rel=1e-5)
    with pytest.raises(FileExistsError):
        write_gamma(tmp_path / "g.csv", table, [])


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        ([(0, 1), (1, 5)], "at least 4 readings"),
        ([(0, 1), (0.3, 2), (0.6, 3), (0.9, 4)], "from level 0 to level 1"),
        ([(0, 1), (0.3, 5), (0.6, 3), (1, 6)], "does not rise"),
        ([(0, 1), (0.3, 2), (0.3, 3), (1, 6)], "does not rise"),
        ([(0, 1), (0.3, float("nan")), (0.6, 3), (1, 6)], "does not rise"),
    ],
)
def test_readings_that_are_not_a_curve_are_refused(
    pairs: list[tuple[float, float]], sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        check_readings(pairs, "screen left")


def test_a_file_that_is_not_a_table_is_named_in_the_refusal(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("level,cd_m2\n0,dark\n")
    with pytest.raises(Refused, match=r"screen left: gamma_file .*g\.csv cannot be read"):
        read_gamma(tmp_path / "g.csv", "left")


def test_a_black_brighter_than_a_white_is_refused() -> None:
    tables = [check_readings(measured(2, b, w), "table") for b, w in ((5, 9), (0, 4))]
    with pytest.raises(Refused, match="match their brightness"):
        common_range(tables)
