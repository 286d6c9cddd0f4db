"""A session is identified by its log: damaged or swapped files do not change water or animal."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Message, Start, kind
from rig.session.recover import complete_log
from rig.settings.config import SETTINGS_FILE, SessionSettings
from rig.subjects.booking import close_booking, open_booking, water_of_day
from rig.subjects.session_identity import changed_files, has_settings, session_of
from rig.subjects.session_water import read_water
from rig.transport.envelope import Sender, pack
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE, Completeness, LogWriter
from tests.rig.animals import begun, ended, in_folder, reserve, valves


def write(path: Path, made: SessionSettings, messages: list[Message], sender: str) -> None:
    """Write a log (with a verdict) or a journal of a session, whose id is in every envelope."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_log = path.name == LOG_FILE
    writer = LogWriter(path, chunked=is_log)
    of = Sender(sender, SetClock(), session=made.id)
    for message in messages:
        envelope = of.wrap(message)
        writer.append(kind(message), envelope, pack(envelope))
    writer.close(Completeness(True, len(messages)) if is_log else None)


def killed(data: Path, rewards: int, number: int = 1) -> tuple[SessionSettings, Path]:
    """Have a session of VR2 killed before it is closed; return it and its folder."""
    made = begun()
    folder = in_folder(data, made, number)
    open_booking(data, made, folder)
    launch = folder / JOURNAL_FOLDER / "launch.mcap"
    launch.unlink()
    write(launch, made, [Start(0, msgspec.to_builtins(made))], "launch")
    hardware = folder / JOURNAL_FOLDER / "hardware.mcap"
    write(hardware, made, [*valves(rewards), ended(rewards)], "hardware")
    reserve(folder, 15.0)
    return made, folder


def in_log(folder: Path, made: SessionSettings, rewards: int) -> None:
    """Close the log of a session."""
    start = Start(0, msgspec.to_builtins(made))
    write(folder / LOG_FILE, made, [start, *valves(rewards), ended(rewards)], "hardware")


def another_day(text: str) -> str:
    return text.replace('"began":"20', '"began":"19')


def another_animal(text: str) -> str:
    return text.replace('"subject":"VR2"', '"subject":"VR3"')


@pytest.mark.parametrize("change", [another_day, another_animal, str.upper])
def test_changed_settings_change_no_water_and_are_named(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    made, folder = killed(tmp_path, 4)
    path = folder / SETTINGS_FILE
    changed = change(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    assert session_of(folder) == made
    assert [text.split()[0] for text in changed_files(folder)] == [SETTINGS_FILE]
    assert not has_settings(folder, made)
    close_booking(tmp_path, session_of(folder), folder, "recovered")
    assert water_of_day(tmp_path, "VR2").at_least_ul == 12.0


@pytest.mark.parametrize("name", [SETTINGS_FILE, LOG_FILE, f"{JOURNAL_FOLDER}/hardware.mcap"])
def test_a_file_of_another_session_is_refused_and_lowers_no_water(
    tmp_path: Path, name: str
) -> None:
    given, folder = killed(tmp_path, 5)
    other, other_folder = killed(tmp_path, 1, number=2)
    in_log(other_folder, other, 1)
    in_log(folder, given, 5)
    (folder / name).write_bytes((other_folder / name).read_bytes())
    with pytest.raises(Refused, match=r"is of another session than log\.mcap; put the right file"):
        session_of(folder)
    shutil.rmtree(other_folder)
    assert water_of_day(tmp_path, "VR2").at_most_ul >= 18.0


def test_messages_of_another_session_are_not_counted_as_water(tmp_path: Path) -> None:
    given, folder = killed(tmp_path, 5)
    other, other_folder = killed(tmp_path, 1, number=2)
    name = f"{JOURNAL_FOLDER}/hardware.mcap"
    (folder / name).write_bytes((other_folder / name).read_bytes())
    water = read_water(folder, given.id)
    assert water.pulses == ()
    assert water.unknown_ul == pytest.approx(15.0, abs=0.01)
    assert read_water(other_folder, other.id).at_least_ul == 3.0


def test_changed_files_of_a_session_are_named(tmp_path: Path) -> None:
    made = msgspec.structs.replace(begun(), files={"files/masks.csv": "00", "files/lost.csv": "0"})
    folder = in_folder(tmp_path, made)
    (folder / "files").mkdir()
    (folder / "files" / "masks.csv").write_text("1,2")
    assert list(changed_files(folder)) == [
        "files/masks.csv was changed since the session began",
        "files/lost.csv cannot be read (No such file or directory)",
    ]


def test_journals_that_are_not_of_the_log_are_not_removed(tmp_path: Path) -> None:
    given, folder = killed(tmp_path, 5)
    other, _ = killed(tmp_path, 1, number=2)
    in_log(folder, other, 1)
    with pytest.raises(Refused, match=r"is of another session than log\.mcap"):
        complete_log(folder)
    assert (folder / JOURNAL_FOLDER / "hardware.mcap").exists()
    assert read_water(folder, given.id).at_least_ul == 15.0
