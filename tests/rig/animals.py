"""Animals and sessions for the tests of what a session is admitted for."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rig.errors import Refused
from rig.session.preflight import admit
from rig.session.subjects import Subject, Weighing, record
from rig.settings.config import Rig, SessionSettings

TODAY = date.today()
VR2 = Subject("VR2", "task", "train1", 25.0, restricted=True, need_ml=1.0)
SIMULATED = "behavior.devices.simulated.devices"
REAL = "tests.behavior.scripted"


def session(module: str, name: str = "VR2") -> SessionSettings:
    table: dict[str, Any] = {
        "boards": {"b": {"is": f"{module}:Board", "mouse": {"is": "behavior.animals:X"}}},
        "wheel": {"is": f"{module}:Wheel", "board": "b"},
        "valve": {"centre": {"is": f"{module}:Valve", "board": "b"}},
        "guard": {"max_day_ul": 1000.0},
    }
    return SessionSettings(
        subject=name,
        seed=1,
        task_name="train1",
        rig=Rig(name="test", disk_mb_s=0.0),
        task={"reward_ul": 3.0, "cohort": "task", "water_for": ["task"], "stage": "train1"},
        nodes={"hardware": table},
    )


def known(data: Path, *weights: tuple[date, float], subject: Subject = VR2) -> None:
    with record(data) as open_record:
        open_record.add(subject)
        for day, grams in weights:
            open_record.weigh(subject.name, Weighing(day.isoformat(), grams, "", ""))


def today(data: Path, number: int = 1, name: str = "VR2") -> Path:
    folder = data / f"sub-{name}" / f"ses-{TODAY:%Y%m%d}_{number}"
    folder.mkdir(parents=True)
    return folder


def begin(data: Path, asked: SessionSettings, override: str = "") -> tuple[SessionSettings, str]:
    console = Console(record=True, width=400)
    admitted = admit(asked, data, override, console)
    return admitted, console.export_text()


def refusal(data: Path, asked: SessionSettings, override: str = "") -> str:
    with pytest.raises(Refused) as refused:
        begin(data, asked, override)
    return str(refused.value)
