"""Animals, sessions and their files, for the tests of the record and of the checks at the start."""

import time
import uuid
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Ended, Message, Start, Valve, kind
from rig.session.preflight import admit
from rig.settings.config import Rig, SessionSettings
from rig.subjects.record import Subject, Weighing, open_record
from rig.subjects.water_reserve import RESERVE_FILE, line_of
from rig.transport.envelope import Sender, pack
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE, Completeness, LogWriter

TODAY = date.today()
VR2 = Subject("VR2", "task", "train1", 25.0, restricted=True, need_ml=1.0)
SIMULATED = "behavior.devices.simulated.devices"
REAL = "tests.behavior.scripted"
REWARD_UL = 3.0


def session(module: str = SIMULATED, name: str = "VR2", **changes: Any) -> SessionSettings:
    table: dict[str, Any] = {
        "boards": {"b": {"is": f"{module}:Board", "mouse": {"is": "behavior.animals:X"}}},
        "wheel": {"is": f"{module}:Wheel", "board": "b"},
        "valve": {"centre": {"is": f"{module}:Valve", "board": "b"}},
        "guard": {"max_day_ul": 1000.0},
    }
    made = SessionSettings(
        subject=name,
        seed=1,
        task_name="train1",
        rig=Rig(name="test", disk_mb_s=0.0),
        task={
            "reward_ul": REWARD_UL,
            "cohort": "task",
            "water_for": ["task"],
            "stage": "train1",
            "minutes": 60.0,
        },
        nodes={"hardware": table},
    )
    return msgspec.structs.replace(made, **changes)


def begun(module: str = SIMULATED, name: str = "VR2", at: float | None = None) -> SessionSettings:
    """Return a session that began at this time (seconds since 1970; default: a minute ago)."""
    moment = datetime.fromtimestamp(time.time() - 60 if at is None else at).astimezone()
    began = moment.isoformat(timespec="milliseconds")
    return session(module, name, id=uuid.uuid4().hex, began=began)


def valves(count: int, refused: int = 0) -> list[Message]:
    messages: list[Message] = [Valve(n, n, "centre", 60.0, REWARD_UL, None) for n in range(count)]
    return messages + [
        Valve(n, n, "centre", 0.0, 0.0, None, "no") for n in range(count, count + refused)
    ]


def ended(count: int) -> Ended:
    return Ended(9, "done", False, {"Valve": (count, 0), "Wheel": (5, 0)})


def write(path: Path, messages: list[Message], closed: bool, sender: str = "hardware") -> None:
    """Write a closed log, or a journal that was cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = LogWriter(path, chunked=closed)
    wrapper = Sender(sender, SetClock())
    for message in messages:
        envelope = wrapper.wrap(message)
        writer.append(kind(message), envelope, pack(envelope))
    if closed:
        writer.close(Completeness(True, len(messages)))
    else:
        writer.flush()
        writer._file.close()


def in_folder(data: Path, made: SessionSettings, number: int = 1) -> Path:
    """Make the folder of a session, with its settings and the Start in launch's journal."""
    day = datetime.fromisoformat(made.began).date()
    folder = data / f"sub-{made.subject}" / f"ses-{day:%Y%m%d}_{number}"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_bytes(msgspec.json.encode(made))
    start = Start(0, msgspec.to_builtins(made))
    write(folder / JOURNAL_FOLDER / "launch.mcap", [start], closed=False, sender="launch")
    return folder


def closed(folder: Path, messages: list[Message]) -> None:
    write(folder / LOG_FILE, messages, closed=True)


def cut_off(folder: Path, messages: list[Message]) -> Path:
    journal = folder / JOURNAL_FOLDER / "hardware.mcap"
    write(journal, messages, closed=False)
    return journal


def reserve(folder: Path, *totals_ul: float) -> None:
    (folder / RESERVE_FILE).write_text("".join(f"{line_of(total)}\n" for total in totals_ul))


def known(data: Path, *weights: tuple[date, float], subject: Subject = VR2) -> None:
    with open_record(data) as record:
        record.add(subject)
        for day, grams in weights:
            record.weigh(subject.name, Weighing(day.isoformat(), grams, "", ""))


def begin(data: Path, asked: SessionSettings, override: str = "") -> tuple[SessionSettings, str]:
    console = Console(record=True, width=400)
    admitted = admit(asked, data, override, console)
    return admitted, console.export_text()


def refusal(data: Path, asked: SessionSettings, override: str = "") -> str:
    with pytest.raises(Refused) as refused:
        begin(data, asked, override)
    return str(refused.value)
