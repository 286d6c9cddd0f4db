"""Why a session is refused: its animal, the weight, the water, an earlier open session."""

import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rig.errors import Refused
from rig.settings.device_factory import animal_devices
from rig.settings.lab import Lab
from rig.subjects.ledger import Ledger, Supplement
from rig.subjects.record import RECORD_FILE, Weighing, open_record
from tests.rig.animals import (
    REAL,
    SIMULATED,
    TODAY,
    VR2,
    begin,
    begun,
    closed,
    cut_off,
    ended,
    in_folder,
    known,
    refusal,
    reserve,
    session,
    valves,
)


def test_each_class_declares_whether_it_is_simulated() -> None:
    real, simulated = animal_devices(session(SIMULATED))
    assert not real
    assert simulated == [f"nodes.hardware.{n}" for n in ("boards.b", "wheel", "valve.centre")]
    assert not animal_devices(session(REAL))[1]


def test_a_device_that_does_not_declare_whether_it_is_simulated_is_refused() -> None:
    undeclared = session(REAL)
    undeclared.nodes["hardware"]["wheel"]["is"] = "behavior.devices.protocols:Wheel"
    with pytest.raises(Refused, match="is not a device"):
        animal_devices(undeclared)
    undeclared.nodes["hardware"]["wheel"]["is"] = "tests.rig.session.test_preflight:Undeclared"
    with pytest.raises(Refused, match=r"\[nodes.hardware.wheel\].* does not say whether"):
        animal_devices(undeclared)


class Undeclared:
    """A device class that does not follow the Protocol."""

    Settings = msgspec.Struct


def test_an_unknown_name_on_simulated_devices_is_a_simulated_animal(tmp_path: Path) -> None:
    admitted, output = begin(tmp_path, session(SIMULATED, "demo"))
    assert "SIMULATED ANIMAL demo" in output
    assert (admitted.given_today_ul, admitted.override) == (0.0, "")
    assert not (tmp_path / RECORD_FILE).exists()


def test_an_unknown_name_on_real_devices_needs_a_reason(tmp_path: Path) -> None:
    assert "rig subject add VR2" in refusal(tmp_path, session(REAL))
    admitted, output = begin(tmp_path, session(REAL), "a new animal")
    assert "OVERRIDDEN: a new animal (against: subject VR2 is not in" in output
    assert "a new animal" in admitted.override
    admitted, output = begin(tmp_path, session(REAL), "new\udce9\x1b[2J")  # it must be recorded
    assert "new\ufffd\ufffd[2J (against: " in admitted.override
    assert "SIMULATED" not in output


def test_a_real_animal_never_runs_on_simulated_devices(tmp_path: Path) -> None:
    known(tmp_path, (TODAY, 24.0))
    assert "is simulated" in refusal(tmp_path, session(SIMULATED), "I want it")
    mixed = session(REAL)
    mixed.nodes["hardware"]["wheel"]["is"] = f"{SIMULATED}:Wheel"
    assert "nodes.hardware.wheel is simulated" in refusal(tmp_path, mixed, "I want it")


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([], "not weighed today"),
        ([(TODAY - timedelta(days=1), 25.0)], "not weighed today"),
        ([(TODAY, 19.9)], "79.6% of its 25 g"),
        ([(TODAY, 24.0), (TODAY, 19.9)], "79.6%"),
        ([(TODAY, 20.0)], ""),
        ([(TODAY + timedelta(days=1), 20.0)], ""),  # dated in the future: it counts
        ([(TODAY, 24.0), (TODAY + timedelta(days=1), 19.9)], "79.6%"),
    ],
)
def test_a_restricted_animal_runs_weighed_and_over_80_percent(
    tmp_path: Path, weights: list[tuple[date, float]], expected: str
) -> None:
    known(tmp_path, *weights)
    if expected:
        assert expected in refusal(tmp_path, session(REAL))
        assert expected in begin(tmp_path, session(REAL), "the vet said so")[0].override
    else:
        assert begin(tmp_path, session(REAL))[0].override == ""


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([(23.8, True)], "not weighed before a session today (its 23.8 g were measured after one)"),
        ([(24.0, False), (24.6, True)], ""),
        ([(20.4, True), (20.1, False)], ""),
        ([(20.1, False), (19.9, True)], "79.6%"),
        ([(19.5, False), (20.6, True)], "78.0%"),
        ([(19.5, False), (20.6, False)], ""),
    ],
)
def test_a_weight_taken_after_a_session_does_not_count_before_the_next(
    tmp_path: Path, weights: list[tuple[float, bool]], expected: str
) -> None:
    known(tmp_path)
    with open_record(tmp_path) as record:
        for grams, after in weights:
            weighing = Weighing(TODAY.isoformat(), grams, "", "", after)
            record.weigh("VR2", weighing)
    if expected:
        assert expected in refusal(tmp_path, session(REAL))
    else:
        assert begin(tmp_path, session(REAL))[0].override == ""


def test_a_free_animal_needs_no_weight(tmp_path: Path) -> None:
    known(tmp_path, subject=msgspec.structs.replace(VR2, restricted=False))
    assert begin(tmp_path, session(REAL))[0].override == ""


def ran(data: Path, name: str, rewards: int, number: int = 1, at: float | None = None) -> Path:
    """Have a session of an animal in its folder, closed."""
    folder = in_folder(data, begun(name=name, at=at), number)
    closed(folder, [*valves(rewards), ended(rewards)])
    return folder


def test_a_session_left_open_is_named(tmp_path: Path) -> None:
    folder = in_folder(tmp_path, begun(name="demo"))
    cut_off(folder, valves(2))
    reserve(folder, 15.0)
    asked = session(SIMULATED, "demo")
    assert f"rig recover {folder}" in refusal(tmp_path, asked)
    assert begin(tmp_path, asked, "later")[0].given_today_ul == pytest.approx(15.0, abs=0.01)


def test_start_contains_the_water_already_given_that_day(tmp_path: Path) -> None:
    ran(tmp_path, "demo", 4)
    ran(tmp_path, "demo", 6, 2)
    ran(tmp_path, "demo", 9, at=0.0)
    with open_record(tmp_path) as record:
        Ledger(record).give("demo", Supplement(time.time(), 50.0))
    assert begin(tmp_path, session(SIMULATED, "demo"))[0].given_today_ul == 80.0


def test_a_day_whose_water_is_drunk_ends_even_with_a_reason(tmp_path: Path) -> None:
    ran(tmp_path, "demo", 333)
    output = refusal(tmp_path, session(SIMULATED, "demo"), "one more")
    assert "was given 999 ul today and the day's limit is 1000 ul" in output
    assert "no --override helps" in output
    assert "no --override helps" not in refusal(tmp_path, session(SIMULATED, "demo"))


def test_the_upper_bound_counts_for_the_limit(tmp_path: Path) -> None:
    folder = in_folder(tmp_path, begun(name="demo"))
    cut_off(folder, valves(4)).write_bytes(b"nonsense, and much of it")
    output = refusal(tmp_path, session(SIMULATED, "demo"), "one more")
    assert "was given at least 0 ul, at most 1000 ul today" in output


def test_a_folder_that_cannot_be_read_counts_as_the_whole_day(tmp_path: Path) -> None:
    folder = in_folder(tmp_path, begun(name="demo"))
    for path in folder.rglob("*.*"):
        path.write_bytes(b"nonsense, and much of it")
    output = refusal(tmp_path, session(SIMULATED, "demo"), "one more")
    assert f"{folder} gave cannot be known" in output
    assert f"rig recover {folder}" in output


def test_water_dated_in_the_future_is_reported_and_counts(tmp_path: Path) -> None:
    ran(tmp_path, "demo", 5, at=time.time() + 86400)
    admitted, output = begin(tmp_path, session(SIMULATED, "demo"))
    assert admitted.given_today_ul == 15.0
    assert "is dated in the future" in output


def test_a_day_that_begins_at_another_time_needs_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(tmp_path)
    monkeypatch.setattr(Lab, "wrong_zone", lambda _: "TZ = Asia/Tokyo is not right")
    assert "TZ = Asia/Tokyo is not right" in refusal(tmp_path, session(REAL))
    assert begin(tmp_path, session(REAL), "travelling")[0].given_today_ul == 0.0


def test_a_clock_that_was_set_back_needs_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_record(tmp_path) as record:
        Ledger(record).give("demo", Supplement(time.time(), 50.0))
    yesterday = time.time() - 86400
    monkeypatch.setattr(time, "time", lambda: yesterday)
    asked = session(SIMULATED, "demo")
    assert "was set back: it is 24.0 h behind" in refusal(tmp_path, asked)
    assert begin(tmp_path, asked, "the clock was a day ahead")[0].given_today_ul == 50.0


def test_a_retired_animal_does_not_run(tmp_path: Path) -> None:
    known(tmp_path, (TODAY, 24.0), subject=msgspec.structs.replace(VR2, retired=True))
    assert "rig subject edit VR2 --active" in refusal(tmp_path, session(REAL), "one more")


def test_a_day_is_rehearsed_with_a_real_animal_on_simulated_devices_alone(tmp_path: Path) -> None:
    known(tmp_path, (TODAY, 24.0))
    practice = msgspec.structs.replace(session(SIMULATED), rehearsal=True)
    assert " REHEARSAL with VR2" in begin(tmp_path, practice)[1]
    real = msgspec.structs.replace(session(REAL), rehearsal=True)
    assert "--rehearse is for simulated ones" in refusal(tmp_path, real, "one more")


HARP_OUTPUT = {"is": "behavior.devices.harp:Output"}


@pytest.mark.parametrize(
    ("changes", "runs"),
    [
        ({}, False),
        ({"display": {"sound": {"is": "stimuli.sound:SimulatedSpeaker"}}}, False),
        ({"display": {"sound": {"is": "stimuli.sound:PortaudioSpeaker"}}}, True),
        ({"outputs": {"tone": {**HARP_OUTPUT, "on": "cue", "sounds_cue": True}}}, True),
        ({"outputs": {"free": {**HARP_OUTPUT, "on": "cue"}}}, False),
        ({"outputs": {"sync": {"is": "behavior.devices.harp:Output", "on": "trial"}}}, False),
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
