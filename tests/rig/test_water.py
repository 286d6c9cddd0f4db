"""The day's water: exact where it can be, never less than was given, a full cap where unknown."""

import random
import shutil
import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from rig.clock import SetClock
from rig.messages import Ended, Message, Valve, Wheel, kind
from rig.session import water_reserve
from rig.session.water_reserve import RESERVE_FILE, Reservation, Unreadable, boot, read_reserved
from rig.session.water_totals import given, is_open, session_folders, settle_water
from rig.settings.config import Rig, SessionSettings
from rig.transport.envelope import Sender, pack
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE, Completeness, LogWriter

REWARD_UL = 3.0


def valves(count: int, refused: int = 0) -> list[Message]:
    messages: list[Message] = [Valve(n, n, "centre", 60.0, REWARD_UL, None) for n in range(count)]
    return messages + [
        Valve(n, n, "centre", 0.0, 0.0, None, "no") for n in range(count, count + refused)
    ]


def ended(count: int) -> Ended:
    return Ended(9, "done", False, {"Valve": (count, 0), "Wheel": (5, 0)})


def write(path: Path, messages: list[Message], verdict: Completeness | None = None) -> None:
    """Write a log (with a verdict) or a journal that was cut off (without)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = LogWriter(path, chunked=verdict is not None)
    sender = Sender("hardware", SetClock())
    for message in messages:
        envelope = sender.wrap(message)
        writer.append(kind(message), envelope, pack(envelope))
    if verdict is not None:
        writer.close(verdict)
    else:
        writer._file.close()


def closed(folder: Path, messages: list[Message]) -> None:
    write(folder / LOG_FILE, messages, Completeness(True, len(messages)))


def cut_off(folder: Path, messages: list[Message]) -> Path:
    journal = folder / JOURNAL_FOLDER / "hardware.mcap"
    write(journal, messages)
    return journal


def session(*blocks: dict[str, float]) -> SessionSettings:
    task = {"blocks": list(blocks)}
    rig = Rig(name="r", hub_port=1, disk_mb_s=0.1)
    return SessionSettings(subject="m", seed=1, task_name="t", rig=rig, task=task, nodes={})


def set_aside(folder: Path, total_ul: float, on: str = "another boot") -> None:
    (folder / RESERVE_FILE).write_text(f"{on}\n15.000\n{total_ul:.3f}\n")


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_closed_session_counts_its_words_exactly(tmp_path: Path, count: int) -> None:
    closed(tmp_path, [Wheel(1, 0, 0.0), *valves(count, refused=2), ended(count + 2)])
    set_aside(tmp_path, 99.0)
    assert given(tmp_path).water_ul == count * REWARD_UL
    assert not is_open(tmp_path)


def test_a_session_that_was_cut_off_counts_what_it_had_set_aside(tmp_path: Path) -> None:
    cut_off(tmp_path, valves(4))
    assert given(tmp_path).water_ul == 4 * REWARD_UL
    set_aside(tmp_path, 21.0)
    assert given(tmp_path).water_ul == 21.0
    assert is_open(tmp_path)


def test_what_the_words_say_counts_if_it_is_more(tmp_path: Path) -> None:
    cut_off(tmp_path, valves(9))
    set_aside(tmp_path, 21.0)
    assert given(tmp_path).water_ul == 9 * REWARD_UL


def test_a_word_in_log_and_journal_counts_once(tmp_path: Path) -> None:
    cut_off(tmp_path, valves(4))
    write(tmp_path / "other", valves(3))
    (tmp_path / "other").rename(tmp_path / LOG_FILE)
    assert given(tmp_path).water_ul == 4 * REWARD_UL


def test_the_drivers_last_word_makes_it_exact(tmp_path: Path) -> None:
    cut_off(tmp_path, [*valves(4), ended(4)])
    set_aside(tmp_path, 21.0)
    assert given(tmp_path).water_ul == 4 * REWARD_UL


def test_a_last_word_that_counts_more_does_not(tmp_path: Path) -> None:
    cut_off(tmp_path, [*valves(4), ended(5)])
    set_aside(tmp_path, 21.0)
    assert given(tmp_path).water_ul == 21.0


@settings(max_examples=60, deadline=None)
@examples(lost=st.integers(0, 2000), count=st.integers(0, 12))
def test_after_power_loss_never_less_than_given_nor_a_block_more(
    tmp_path_factory: pytest.TempPathFactory, lost: int, count: int
) -> None:
    folder = tmp_path_factory.mktemp("session")
    journal = cut_off(folder, [Wheel(1, 0, 0.0), *valves(count)])
    # as a driver would have left it: a block beyond the last time that little was left
    set_aside(folder, (max(0, count - 1) + 5) * REWARD_UL)
    data = journal.read_bytes()
    journal.write_bytes(data[: max(8, len(data) - lost)])
    water_ul = given(folder).water_ul
    assert count * REWARD_UL <= water_ul <= (count + 5) * REWARD_UL
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("on", "messages", "aside_ul", "expected_ul"),
    [
        (boot(), [*valves(4), ended(4)], 21.0, 12.0),
        (boot(), valves(4), 21.0, 12.0 + 4.5),  # a device may have given one that nobody heard of
        (boot(), valves(4), 15.0, 15.0),
        (boot(), valves(0), 21.0, 4.5),
        ("another boot", valves(4), 21.0, 21.0),
    ],
)
def test_settling_leaves_a_reward_for_a_killed_driver_and_all_after_power_loss(
    tmp_path: Path, on: str, messages: list[Message], aside_ul: float, expected_ul: float
) -> None:
    closed(tmp_path, messages)
    set_aside(tmp_path, aside_ul, on)
    for _ in range(2):
        settle_water(tmp_path, session({"reward_ul": REWARD_UL}, {"reward_ul": 4.5}))
        assert given(tmp_path).water_ul == expected_ul


def test_settling_leaves_all_if_the_size_of_a_reward_is_not_known(tmp_path: Path) -> None:
    closed(tmp_path, valves(4))
    set_aside(tmp_path, 21.0, boot())
    settle_water(tmp_path, session({}))
    assert given(tmp_path).water_ul == 21.0


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_closed_log_never_counts_less(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    closed(tmp_path, [*valves(200), ended(200)])
    log = tmp_path / LOG_FILE
    data = bytearray(log.read_bytes())
    at = draw.randrange(8, len(data))
    data[at : at + 40] = bytes(len(data[at : at + 40]))
    log.write_bytes(data)
    one = given(tmp_path)
    assert one.unreadable or one.water_ul == 200 * REWARD_UL


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    assert "neither a closed log nor journals" in given(tmp_path).unreadable
    journal = cut_off(tmp_path, [])
    journal.write_bytes(b"nonsense, and much of it")
    assert "hardware.mcap is damaged" in given(tmp_path).unreadable
    journal.write_bytes(b"")
    assert given(tmp_path).water_ul == 0.0
    (tmp_path / RESERVE_FILE).write_text("a boot\nmuch\n")
    assert RESERVE_FILE in given(tmp_path).unreadable


def test_a_folder_in_which_nothing_was_started_gave_nothing(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    assert given(tmp_path).water_ul == 0.0
    assert not given(tmp_path).unreadable
    assert not is_open(tmp_path)


def test_the_sessions_of_a_day_are_those_of_its_date_in_order(tmp_path: Path) -> None:
    for name in ("ses-20260102_1", "ses-20260101_10", "ses-20260101_9", "ses-20251231_1"):
        (tmp_path / name).mkdir()
    found = [path.name for path in session_folders(tmp_path, date(2026, 1, 1))]
    assert found == ["ses-20260101_9", "ses-20260101_10"]
    assert len(session_folders(tmp_path)) == 4


def until_durable(reservation: Reservation, total_ul: float) -> None:
    """Wait until so much is set aside; the test's own time limit is the only one."""
    while reservation.durable_ul < total_ul:
        reservation.used(0.0)
        time.sleep(0)


def test_a_block_is_set_aside_ahead_and_never_more_than_one(tmp_path: Path) -> None:
    reservation = Reservation(tmp_path, block_ul=15.0, low_ul=6.0)
    until_durable(reservation, 15.0)
    on_disk = read_reserved(tmp_path)
    assert on_disk is not None
    assert on_disk.boot == boot()
    for rewards in range(1, 40):
        given_ul = rewards * REWARD_UL
        assert given_ul <= reservation.durable_ul
        reservation.used(given_ul)
        while reservation.durable_ul - given_ul < 6.0:
            time.sleep(0)
        on_disk = read_reserved(tmp_path)
        assert on_disk is not None
        assert given_ul <= reservation.durable_ul <= on_disk.total_ul <= given_ul + 15.001
    reservation.close()


def test_a_torn_line_was_never_used_and_nonsense_is_refused(tmp_path: Path) -> None:
    path = tmp_path / RESERVE_FILE
    path.write_text("boot\n15.000\n2")
    torn = read_reserved(tmp_path)
    assert torn is not None
    assert torn.total_ul == 15.0
    for nonsense in ("boot\nnan\n", "boot\n-1\n", "boot\nx\n"):
        path.write_text(nonsense)
        with pytest.raises(Unreadable):
            read_reserved(tmp_path)


def test_a_disk_that_refuses_ends_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(water_reserve.os, "fsync", full)
    reservation = Reservation(tmp_path, block_ul=15.0, low_ul=6.0)
    reservation._thread.join()
    with pytest.raises(OSError, match="No space left"):
        reservation.used(0.0)
    assert reservation.durable_ul == 0.0
