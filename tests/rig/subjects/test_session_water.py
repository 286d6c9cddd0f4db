"""The water of a session: exact if possible, otherwise bounded by what was reserved."""

import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from rig.messages import Heartbeat, Message, Wheel
from rig.subjects.session_water import is_closed, read_water
from rig.subjects.water_reserve import (
    RESERVE_FILE,
    Reservation,
    Unreadable,
    read_reserved,
)
from rig.transport.log import LOG_FILE
from tests.rig.animals import REWARD_UL, closed, cut_off, ended, reserve, valves, write


def bounds(folder: Path, session_id: str = "") -> tuple[float, Any]:
    """Return what a session certainly gave and may have given; None if nothing bounds it."""
    water = read_water(folder, session_id)
    most = None if water.unknown_ul is None else water.at_least_ul + water.unknown_ul
    return water.at_least_ul, pytest.approx(most, abs=0.001) if most is not None else None


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_closed_session_counts_its_messages_exactly(tmp_path: Path, count: int) -> None:
    closed(tmp_path, [Wheel(1, 0, 0.0), *valves(count, refused=2), ended(count + 2)])
    reserve(tmp_path, 99.0)
    assert bounds(tmp_path) == (count * REWARD_UL, count * REWARD_UL)
    assert is_closed(tmp_path)


def test_a_session_that_was_cut_off_is_bounded_by_its_reserve(tmp_path: Path) -> None:
    cut_off(tmp_path, valves(4))
    reserve(tmp_path, 15.0, 21.0)
    assert bounds(tmp_path) == (12.0, 21.0)
    assert not is_closed(tmp_path)


def test_a_message_in_log_and_journal_counts_once(tmp_path: Path) -> None:
    cut_off(tmp_path, valves(4))
    write(tmp_path / LOG_FILE, valves(3), closed=True)
    reserve(tmp_path, 15.0)
    assert bounds(tmp_path) == (12.0, 15.0)


def test_the_drivers_end_makes_it_exact(tmp_path: Path) -> None:
    cut_off(tmp_path, [*valves(4), ended(4)])
    reserve(tmp_path, 21.0)
    assert bounds(tmp_path) == (12.0, 12.0)


def test_an_end_that_counts_more_messages_does_not_make_it_exact(tmp_path: Path) -> None:
    cut_off(tmp_path, [*valves(4), ended(5)])
    reserve(tmp_path, 21.0)
    assert bounds(tmp_path) == (12.0, 21.0)


@settings(max_examples=60, deadline=None)
@examples(lost=st.integers(0, 2000), count=st.integers(0, 12))
def test_a_journal_cut_anywhere_never_counts_less_nor_a_block_more(
    tmp_path_factory: pytest.TempPathFactory, lost: int, count: int
) -> None:
    folder = tmp_path_factory.mktemp("session")
    journal = cut_off(folder, [Wheel(1, 0, 0.0), *valves(count)])
    # as a driver leaves it: a block was reserved when few rewards were left
    reserve(folder, 15.0, (max(0, count - 1) + 5) * REWARD_UL)
    data = journal.read_bytes()
    journal.write_bytes(data[: max(0, len(data) - lost)])
    water = read_water(folder, "")
    assert water.unknown_ul is not None
    most_ul = water.at_least_ul + water.unknown_ul
    assert water.at_least_ul <= count * REWARD_UL <= most_ul <= (count + 5) * REWARD_UL + 0.001
    shutil.rmtree(folder)


@settings(max_examples=200, deadline=None)
@examples(
    kind=st.sampled_from(["journal", "reserve", "log"]),
    at=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_a_flipped_bit_never_lowers_the_upper_bound(
    tmp_path_factory: pytest.TempPathFactory, kind: str, at: float, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("session")
    path = folder / LOG_FILE
    if kind == "log":
        closed(folder, [*valves(9), ended(9)])
    else:
        path = cut_off(folder, valves(9))
    reserve(folder, 15.0, 30.0)
    path = folder / RESERVE_FILE if kind == "reserve" else path
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 1 << bit
    path.write_bytes(data)
    water = read_water(folder, "")
    assert water.at_least_ul <= 27.0
    assert water.unknown_ul is None or water.at_least_ul + water.unknown_ul >= 27.0
    shutil.rmtree(folder)


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_closed_log_never_counts_less(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    closed(tmp_path, [*valves(200), ended(200)])
    reserve(tmp_path, 15.0, 612.0)
    log = tmp_path / LOG_FILE
    data = bytearray(log.read_bytes())
    at = draw.randrange(8, len(data))
    data[at : at + 40] = os.urandom(len(data[at : at + 40]))
    log.write_bytes(data)
    water = read_water(tmp_path, "")
    assert water.unknown_ul is None or water.at_least_ul + water.unknown_ul >= 600.0


@pytest.mark.parametrize("content", ["", "nan 0\n", "15.000 00000000\n"])
def test_water_without_an_upper_bound_is_reported(tmp_path: Path, content: str) -> None:
    cut_off(tmp_path, valves(4))
    if content:
        (tmp_path / RESERVE_FILE).write_text(content)
    assert bounds(tmp_path) == (12.0, None)


def test_more_given_than_reserved_shows_a_damaged_reserve(tmp_path: Path) -> None:
    cut_off(tmp_path, valves(9))
    reserve(tmp_path, 15.0)
    assert bounds(tmp_path) == (27.0, None)


def test_settings_without_log_or_journal_are_not_bounded(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    assert bounds(tmp_path) == (0.0, None)


@pytest.mark.parametrize(
    ("messages", "most_ul"), [([], None), ([Heartbeat(1, True)], 0.0), ([Wheel(1, 0, 0.0)], None)]
)
def test_without_a_reserve_only_a_driver_that_never_began_gave_nothing(
    tmp_path: Path, messages: list[Message], most_ul: float | None
) -> None:
    cut_off(tmp_path, messages)
    assert bounds(tmp_path) == (0.0, most_ul)


def test_a_folder_in_which_nothing_was_started_gave_nothing(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    assert bounds(tmp_path) == (0.0, 0.0)
    assert is_closed(tmp_path)


def until_durable(reservation: Reservation, total_ul: float) -> None:
    """Wait until this volume is reserved, without a time limit of its own."""
    while reservation.durable_ul < total_ul:
        reservation.used(0.0)
        time.sleep(0)


def test_a_block_is_reserved_ahead_and_never_more_than_one(tmp_path: Path) -> None:
    reservation = Reservation(tmp_path, block_ul=15.0, low_ul=6.0)
    until_durable(reservation, 15.0)
    for rewards in range(1, 40):
        given_ul = rewards * REWARD_UL
        assert given_ul <= reservation.durable_ul
        reservation.used(given_ul)
        while reservation.durable_ul - given_ul < 6.0:
            time.sleep(0)
        on_disk = read_reserved(tmp_path)
        assert on_disk is not None
        assert given_ul <= reservation.durable_ul <= on_disk <= given_ul + 15.001
    reservation.close()


def test_a_torn_line_was_never_used_and_damage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / RESERVE_FILE
    reserve(tmp_path, 15.0)
    path.write_text(path.read_text() + "27.0")
    assert read_reserved(tmp_path) == pytest.approx(15.0, abs=0.001)
    for damaged in ("nan 0\n", "-1 0\n", "x\n", "27.000 00000000\n"):
        path.write_text(damaged)
        with pytest.raises(Unreadable):
            read_reserved(tmp_path)


def test_a_disk_that_refuses_ends_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    reservation = Reservation(tmp_path, block_ul=15.0, low_ul=6.0)
    reservation._thread.join()
    with pytest.raises(OSError, match="No space left"):
        reservation.used(0.0)
    assert reservation.durable_ul == 0.0
