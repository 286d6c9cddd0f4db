"""The animals' record, and what a session is refused for."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from rig.config import Rig, Session, read_session
from rig.device import animal_devices
from rig.refused import Refused
from rig.session.admit import admit, book, water_of_day
from rig.session.subjects import (
    RECORD_FILE,
    Row,
    Subject,
    Weighing,
    find,
    record,
    supplement_ml,
    underweight,
)
from tests.live import Live
from tests.rig.test_water import closed, cut_off, ended, set_aside, valves

TODAY = date.today()
VR2 = Subject("VR2", "task", "train1", 25.0, restricted=True, need_ml=1.0)
SIMULATED = "behavior.devices.simulated"
REAL = "tests.behavior.scripted"

BENCH = f"""
[rig]
name = "bench"
disk_mb_s = 0.1
[nodes.hardware]
run = "behavior.devices.hardware"
boards.b = {{ is = "{REAL}:Board" }}
wheel = {{ is = "{REAL}:Wheel", board = "b" }}
lick.centre = {{ is = "{REAL}:Lick", board = "b" }}
valve.centre = {{ is = "{REAL}:Valve", board = "b" }}
[nodes.task]
run = "behavior.task"
"""


def session(module: str, name: str = "VR2") -> Session:
    table: dict[str, Any] = {
        "boards": {"b": {"is": f"{module}:Board", "mouse": {"is": "behavior.mouse:X"}}},
        "wheel": {"is": f"{module}:Wheel", "board": "b"},
        "valve": {"centre": {"is": f"{module}:Valve", "board": "b"}},
        "guard": {"max_day_ul": 1000.0},
    }
    return Session(
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


def begin(data: Path, asked: Session, override: str = "") -> tuple[Session, str]:
    console = Console(record=True, width=400)
    admitted = admit(asked, data, override, console)
    return admitted, console.export_text()


def refusal(data: Path, asked: Session, override: str = "") -> str:
    with pytest.raises(Refused) as refused:
        begin(data, asked, override)
    return str(refused.value)


def test_a_device_is_simulated_by_its_module() -> None:
    real, simulated = animal_devices(session(SIMULATED))
    assert not real
    assert simulated == [f"nodes.hardware.{n}" for n in ("boards.b", "wheel", "valve.centre")]
    assert not animal_devices(session(REAL))[1]


def test_an_unknown_name_on_simulated_devices_is_a_simulated_animal(tmp_path: Path) -> None:
    admitted, said = begin(tmp_path, session(SIMULATED, "demo"))
    assert "SIMULATED ANIMAL demo" in said
    assert (admitted.given_today_ul, admitted.override) == (0.0, "")
    assert not (tmp_path / RECORD_FILE).exists()


def test_an_unknown_name_on_real_devices_needs_a_reason(tmp_path: Path) -> None:
    assert "rig subject add VR2" in refusal(tmp_path, session(REAL))
    admitted, said = begin(tmp_path, session(REAL), "a new animal")
    assert "OVERRIDDEN: a new animal (against: subject VR2 is not in" in said
    assert "a new animal" in admitted.override
    assert "SIMULATED" not in said


def test_a_real_animal_never_runs_on_simulated_devices(tmp_path: Path) -> None:
    known(tmp_path, (TODAY, 24.0))
    assert "is simulated" in refusal(tmp_path, session(SIMULATED), "I want it")
    mixed = session(REAL)
    mixed.nodes["hardware"]["wheel"]["is"] = f"{SIMULATED}:Wheel"
    assert "nodes.hardware.wheel is simulated" in refusal(tmp_path, mixed, "I want it")


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ([], "not weighed today"),
        ([(TODAY - timedelta(days=1), 25.0)], "not weighed today"),
        ([(TODAY, 19.9)], "79.6% of its 25 g"),
        ([(TODAY, 24.0), (TODAY, 19.9)], "79.6%"),
        ([(TODAY, 20.0)], ""),
    ],
)
def test_a_restricted_animal_runs_weighed_and_over_80_percent(
    tmp_path: Path, weights: list[tuple[date, float]], says: str
) -> None:
    known(tmp_path, *weights)
    if says:
        assert says in refusal(tmp_path, session(REAL))
        assert says in begin(tmp_path, session(REAL), "the vet said so")[0].override
    else:
        assert begin(tmp_path, session(REAL))[0].override == ""


def test_a_free_animal_needs_no_weight(tmp_path: Path) -> None:
    known(tmp_path, subject=msgspec.structs.replace(VR2, restricted=False))
    assert begin(tmp_path, session(REAL))[0].override == ""


def test_a_session_left_open_is_named(tmp_path: Path) -> None:
    folder = today(tmp_path, name="demo")
    cut_off(folder, valves(2))
    set_aside(folder, 15.0)
    asked = session(SIMULATED, "demo")
    assert f"rig recover {folder}" in refusal(tmp_path, asked)
    assert begin(tmp_path, asked, "later")[0].given_today_ul == 15.0


def test_the_water_of_the_day_goes_with_the_session(tmp_path: Path) -> None:
    closed(today(tmp_path, 1, "demo"), [*valves(4), ended(4)])
    closed(today(tmp_path, 2, "demo"), [*valves(6), ended(6)])
    yesterday = tmp_path / "sub-demo" / "ses-20200101_1"
    closed(yesterday, [*valves(9), ended(9)])
    assert begin(tmp_path, session(SIMULATED, "demo"))[0].given_today_ul == 30.0


def test_a_day_whose_water_is_drunk_ends_even_with_a_reason(tmp_path: Path) -> None:
    closed(today(tmp_path, 1, "demo"), [*valves(333), ended(333)])
    said = refusal(tmp_path, session(SIMULATED, "demo"), "one more")
    assert "was given 999 ul today and the day's limit is 1000 ul" in said


def test_what_cannot_be_read_counts_as_the_whole_day(tmp_path: Path) -> None:
    folder = today(tmp_path, 1, "demo")
    cut_off(folder, []).write_bytes(b"nonsense, and much of it")
    said = refusal(tmp_path, session(SIMULATED, "demo"), "one more")
    assert f"{folder} gave cannot be known" in said
    assert f"rig recover {folder}" in said


def test_logs_win_over_the_record_and_the_record_knows_what_was_moved(tmp_path: Path) -> None:
    known(tmp_path, (TODAY, 24.0))
    folder = today(tmp_path)
    closed(folder, [*valves(4), ended(4)])
    day = TODAY.isoformat()
    with record(tmp_path) as open_record:
        open_record.book("VR2", Row(folder.name, day, "train1", 600.0, "done"))
        open_record.book("VR2", Row(f"{folder.name}0", day, "train1", 100.0, "done"))
    assert [one.water_ul for one in water_of_day(tmp_path, "VR2", TODAY)] == [12.0, 100.0]
    assert begin(tmp_path, session(REAL))[0].given_today_ul == 112.0


def test_an_ended_session_is_booked_once(tmp_path: Path) -> None:
    known(tmp_path)
    folder = today(tmp_path)
    closed(folder, [*valves(4), ended(4)])
    (folder / "settings.json").write_bytes(msgspec.json.encode(session(REAL)))
    book(folder, "crashed")
    assert "supplement due 0.988 ml" in book(folder, "all trials done")
    with record(tmp_path) as open_record:
        rows = open_record.sessions("VR2")
    expected = Row(folder.name, TODAY.isoformat(), "train1", 12.0, "all trials done")
    assert rows == [expected]


def test_the_record_gives_back_what_was_written(tmp_path: Path) -> None:
    known(tmp_path, (TODAY, 24.0), (TODAY, 23.5))
    assert find(tmp_path, "VR2") == VR2
    assert find(tmp_path, "VR3") is None
    with record(tmp_path) as open_record:
        assert [one.grams for one in open_record.weights("VR2")] == [24.0, 23.5]
        with pytest.raises(Refused, match="already in the record"):
            open_record.add(VR2)
        assert open_record.sessions("VR2") == []


def test_a_record_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / RECORD_FILE).write_text("not a database, but long enough to look like one" * 9)
    with pytest.raises(Refused, match="no water is lost"):
        find(tmp_path, "VR2")


def test_the_supplement_is_the_need_less_what_was_drunk() -> None:
    assert supplement_ml(VR2, 250.0) == 0.75
    assert supplement_ml(VR2, 1200.0) == 0.0
    free = msgspec.structs.replace(VR2, restricted=False)
    assert supplement_ml(free, 0.0) == 0.0
    assert not underweight(free, [], TODAY)


def test_a_session_of_a_real_animal_is_in_the_record_at_its_end(tmp_path: Path) -> None:
    setup = tmp_path / "bench.toml"
    setup.write_text(BENCH)
    mine = msgspec.structs.replace(VR2, cohort="unrewarded", stage="habituation")
    known(tmp_path, (TODAY, 24.0), subject=mine)
    args = ("--minutes", "0.03")
    silent = ("task.grey_before_s=0.2", "task.cue=false")
    with Live(tmp_path, *silent, setup=setup, args=args, subject="VR2") as live:
        code, output = live.end()
    assert code == 0, output
    assert "supplement due 1.000 ml" in output
    assert "VR2 is of cohort unrewarded, by its record" in output
    assert read_session(live.folder).task["cohort"] == "unrewarded"
    with record(tmp_path) as open_record:
        (row,) = open_record.sessions("VR2")
        assert open_record.get("VR2").stage == "train1"
    assert (row.folder, row.water_ul, row.reason) == (live.folder.name, 0.0, "time is up")


@pytest.mark.parametrize(
    ("changes", "runs"),
    [
        ({}, False),
        ({"display": {"sound": {"is": "stimuli.simulated:Silence"}}}, False),
        ({"display": {"sound": {"is": "stimuli.portaudio_speaker:Speaker"}}}, True),
        ({"outputs": {"tone": {"is": f"{REAL}:Output", "on": "cue"}}}, True),
        ({"outputs": {"sync": {"is": f"{REAL}:Output", "on": "trial"}}}, False),
    ],
)
def test_a_real_animal_does_not_run_without_its_cue_device(
    tmp_path: Path, changes: dict[str, Any], runs: bool
) -> None:
    known(tmp_path, (TODAY, 24.0))
    asked = session(REAL)
    nodes = {**asked.nodes, "display": changes.get("display", {})}
    nodes["hardware"] = {**nodes["hardware"], "outputs": changes.get("outputs", {})}
    task = {**asked.task, "cue": True, "picture": "corridor"}
    asked = msgspec.structs.replace(asked, nodes=nodes, task=task)
    if runs:
        begin(tmp_path, asked)
    else:
        assert "nothing in the setup sounds it for VR2" in refusal(tmp_path, asked, "one more")


def test_an_animal_does_not_run_a_stage_that_is_not_for_its_cohort(tmp_path: Path) -> None:
    setup = tmp_path / "bench.toml"
    setup.write_text(BENCH)
    known(tmp_path, (TODAY, 24.0), subject=msgspec.structs.replace(VR2, cohort="grating"))
    with Live(tmp_path, setup=setup, subject="VR2") as live:
        code, output = live.end()
    assert code == 2
    assert "stage train1 is not for cohort grating" in output
    assert not list(tmp_path.glob("sub-*"))
