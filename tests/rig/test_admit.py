"""What a session is refused for: its animal, its weight, its water, what was left open."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rig.errors import Refused
from rig.session.subjects import (
    RECORD_FILE,
    Weighing,
    record,
)
from rig.settings.device_factory import animal_devices
from tests.rig.animals import REAL, SIMULATED, TODAY, VR2, begin, known, refusal, session, today
from tests.rig.test_water import closed, cut_off, ended, set_aside, valves


def test_each_class_declares_whether_it_is_simulated() -> None:
    real, simulated = animal_devices(session(SIMULATED))
    assert not real
    assert simulated == [f"nodes.hardware.{n}" for n in ("boards.b", "wheel", "valve.centre")]
    assert not animal_devices(session(REAL))[1]


def test_a_device_that_does_not_say_whether_it_is_simulated_is_refused() -> None:
    undeclared = session(REAL)
    undeclared.nodes["hardware"]["wheel"]["is"] = "behavior.devices.protocols:Wheel"
    with pytest.raises(Refused, match="is no device"):
        animal_devices(undeclared)
    undeclared.nodes["hardware"]["wheel"]["is"] = "tests.rig.test_admit:Undeclared"
    with pytest.raises(Refused, match=r"\[nodes.hardware.wheel\].* does not say whether"):
        animal_devices(undeclared)


class Undeclared:
    """A device as somebody might write it who has not read the Protocol."""

    Settings = msgspec.Struct


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
    ("weights", "expected"),
    [
        ([], "not weighed today"),
        ([(TODAY - timedelta(days=1), 25.0)], "not weighed today"),
        ([(TODAY, 19.9)], "79.6% of its 25 g"),
        ([(TODAY, 24.0), (TODAY, 19.9)], "79.6%"),
        ([(TODAY, 20.0)], ""),
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
        ([(23.8, True)], "not weighed today before a session (its 23.8 g were taken after one)"),
        ([(24.0, False), (24.6, True)], ""),
        ([(20.4, True), (20.1, False)], ""),
        ([(20.1, False), (19.9, True)], "79.6%"),
        ([(19.5, False), (20.6, True)], "78.0%"),
        ([(19.5, False), (20.6, False)], ""),
    ],
)
def test_a_weight_taken_after_a_session_is_none_before_the_next(
    tmp_path: Path, weights: list[tuple[float, bool]], expected: str
) -> None:
    known(tmp_path)
    with record(tmp_path) as open_record:
        for grams, after in weights:
            weighing = Weighing(TODAY.isoformat(), grams, "", "", after)
            open_record.weigh("VR2", weighing)
    if expected:
        assert expected in refusal(tmp_path, session(REAL))
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


@pytest.mark.parametrize(
    ("changes", "runs"),
    [
        ({}, False),
        ({"display": {"sound": {"is": "stimuli.sound:SimulatedSpeaker"}}}, False),
        ({"display": {"sound": {"is": "stimuli.sound:PortaudioSpeaker"}}}, True),
        ({"outputs": {"tone": {"is": "behavior.devices.harp:Output", "on": "cue"}}}, True),
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
