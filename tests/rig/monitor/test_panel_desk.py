"""What can be done on the panel, and the errors for everything else."""

import json
import re
import shutil
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.cli.panel.choices import Choices
from rig.cli.panel.desk import Desk
from rig.cli.panel.run_process import Run
from rig.cli.record_entries import SUPPLEMENT_ML
from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.errors import Refused
from rig.session.locks import SubjectLock
from rig.subjects.booking import water_of_day
from rig.subjects.record import find, open_record
from tests.rig.animals import TODAY, VR2, begun, closed, ended, in_folder, known, valves
from tests.rig.monitor.panels import lab

ANIMAL = {
    "name": "VR3",
    "cohort": "task",
    "stage": "train1",
    "baseline_g": "24.5 g",
    "need_ml": "1.2",
    "restricted": True,
    "birth_date": "2026-03-31",
    "sex": "F",
    "genotype": "tetO-GCaMP6s",
    "project": "learning",
    "experimenter": "Doe, Jane",
}
VR3 = msgspec.convert({**ANIMAL, "baseline_g": 24.5, "need_ml": 1.2}, type(VR2))
CHOSEN = {"name": "VR2", "setup": "bench", "task": "quick", "minutes": ""}


def desk(folder: Path, rehearse: bool = False) -> Desk:
    own = lab(folder / "lab")
    return Desk(folder / "data", Choices(own / "setups", own / "tasks"), rehearse)


def refused(at: Desk, verb: str, **values: Any) -> str:
    with pytest.raises(Refused) as refusal:
        at.act(verb, values)
    text = str(refusal.value)
    assert "\n" not in text
    return text


def against(at: Desk, **values: Any) -> list[tuple[str, str, bool]]:
    found = at.act("check", {**CHOSEN, **values})["objections"]
    return [(one.about, one.text, one.final) for one in found]


def test_an_animal_is_added_edited_retired_and_taken_back(tmp_path: Path) -> None:
    at, data = desk(tmp_path), tmp_path / "data"
    assert at.animals()["animals"] == []
    at.act("add", ANIMAL)
    assert find(data, "VR3") == VR3
    at.act("edit", {**ANIMAL, "need_ml": "0.8", "restricted": False, "project": ""})
    assert find(data, "VR3") == msgspec.structs.replace(
        VR3, need_ml=0.8, restricted=False, project=""
    )
    at.act("retire", {"name": "VR3"})
    assert [one["retired"] for one in at.animals()["animals"]] == [True]
    at.act("return", {"name": "VR3"})
    assert [one["retired"] for one in at.animals()["animals"]] == [False]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "../x"}, "use letters, digits, _ and -"),
        ({"name": "VR2"}, "already in the record"),
        ({"cohort": "others"}, '"others" is not one of'),
        ({"stage": "train9"}, 'no task has stage "train9"'),
        ({"baseline_g": "24,5"}, "use a decimal point"),
        ({"baseline_g": "2450"}, "is not from 5 to 100 g"),
        ({"need_ml": ""}, "is not a number"),
        ({"birth_date": "31.3.26"}, "is not a date"),
        ({"sex": "<b>"}, "is not one of M, F, U, O"),
        ({"experimenter": "Jane Doe"}, "family name, comma, given name"),
        ({"genotype": ["x"]}, "this is not a text"),
    ],
)
def test_a_wrong_animal_is_refused_in_a_sentence(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    known(tmp_path / "data")
    at = desk(tmp_path)
    assert sentence in refused(at, "add", **{**ANIMAL, **changes})
    assert find(tmp_path / "data", "VR3") is None


def test_a_weight_and_water_are_in_the_record_and_shown(tmp_path: Path) -> None:
    known(tmp_path / "data", (TODAY - timedelta(days=1), 24.0))
    at = desk(tmp_path)
    assert not at.animal("VR2")["weighed"]
    said = at.act("weigh", {"name": "VR2", "grams": "21.4 g", "condition": "bright"})["answer"]
    assert said == "VR2 weighs 21.4 g, 85.6% of its baseline"
    at.act("give", {"name": "VR2", "ml": "0.3", "note": "<b>"})
    shown = at.animal("VR2")
    assert shown["weighed"] and shown["last_weight"]["grams"] == 21.4
    assert (shown["water_ul"], shown["due_ml"]) == (300.0, 0.7)
    assert [one["grams"] for one in shown["weights"]] == [24.0, 21.4]


def test_an_unlikely_weight_is_entered_only_if_it_is_typed_again(tmp_path: Path) -> None:
    known(tmp_path / "data")
    at = desk(tmp_path)
    assert "36% of its baseline; enter it again" in refused(at, "weigh", name="VR2", grams="9.1")
    assert at.animal("VR2")["weights"] == []
    at.act("weigh", {"name": "VR2", "grams": "9.1", "confirmed": "9.1"})
    assert at.animal("VR2")["last_weight"]["grams"] == 9.1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "type a weight or a supplement"),
        ({"note": "calm"}, "condition and note are saved with it"),
        ({"grams": "heavy"}, "is not a number"),
        ({"grams": "21.4", "ml": "80"}, "80 is not from 0.001 to 5 ml"),
        ({"ml": "0.8", "condition": "bright"}, "a condition is saved with a weight"),
        ({"ml": "nan"}, "is not a finite number"),
    ],
)
def test_after_a_session_all_values_are_entered_or_none(
    tmp_path: Path, values: dict[str, str], sentence: str
) -> None:
    known(tmp_path / "data")
    at = desk(tmp_path)
    assert sentence in refused(at, "evening", name="VR2", **values)
    shown = at.animal("VR2")
    assert (shown["weights"], shown["water_ul"]) == ([], 0.0)


def test_after_a_session_a_weight_is_marked_as_such(tmp_path: Path) -> None:
    known(tmp_path / "data", (TODAY, 21.4))
    at = desk(tmp_path)
    at.act("evening", {"name": "VR2", "grams": "21.9", "ml": "0.8", "note": "calm"})
    with open_record(tmp_path / "data") as record:
        last = record.weights("VR2")[-1]
    assert (last.grams, last.after, last.note) == (21.9, True, "calm")
    assert water_of_day(tmp_path / "data", "VR2").at_most_ul == 800.0


@given(st.floats(*SUPPLEMENT_ML), st.floats(*SUPPLEMENT_ML))
def test_water_given_by_hand_is_summed(
    tmp_path_factory: pytest.TempPathFactory, a: float, b: float
) -> None:
    data = tmp_path_factory.mktemp("given")
    known(data)
    at = Desk(data, Choices(None, None), rehearse=False)
    for ml in (a, b):
        at.act("give", {"name": "VR2", "ml": repr(ml)})
    assert at.animal("VR2")["water_ul"] == pytest.approx(1000 * (a + b))


def test_the_reasons_against_a_session_are_those_of_rig_run(tmp_path: Path) -> None:
    known(tmp_path / "data")
    at = desk(tmp_path, rehearse=True)
    ((about, text, final),) = against(at)
    assert (about, final) == ("weight", False)
    assert text == "VR2 was not weighed today; weigh it: rig subject weigh VR2 GRAMS"
    at.act("weigh", {"name": "VR2", "grams": "21.4"})
    assert against(at) == []
    at.act("weigh", {"name": "VR2", "grams": "19.5"})
    assert "78.0% of its 25 g" in against(at)[0][1]


def test_a_real_animal_on_simulated_devices_is_final(tmp_path: Path) -> None:
    known(tmp_path / "data", (TODAY, 24.0))
    ((about, text, final), *_) = against(desk(tmp_path))
    assert (about, final) == ("setup", True)
    assert "is simulated" in text


def test_a_day_whose_water_is_drunk_is_final(tmp_path: Path) -> None:
    known(tmp_path / "data")
    at = desk(tmp_path, rehearse=True)
    at.act("weigh", {"name": "VR2", "grams": "24"})
    at.act("give", {"name": "VR2", "ml": "0.999"})
    ((about, text, final),) = against(at)
    assert (about, final) == ("water", True)
    assert "the day's limit is 1000 ul" in text


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"minutes": "many"}, '"many" is not a number'),
        ({"minutes": "-1"}, "minutes"),
        ({"minutes": "5e8"}, "minutes = 5e+08 is not possible (0.01 to 600 min)"),
        ({"task": "broken"}, "broken.toml"),
        ({"setup": "half"}, "is not a setup"),
    ],
)
def test_a_wrong_setting_is_a_reason_against_a_session(
    tmp_path: Path, values: dict[str, str], sentence: str
) -> None:
    known(tmp_path / "data", (TODAY, 24.0))
    at = desk(tmp_path, rehearse=True)
    (tmp_path / "lab" / "tasks" / "broken.toml").write_text("stage = [")
    (tmp_path / "lab" / "setups" / "half.toml").write_text("[rig]\n")
    found = against(at, **values)
    assert [final for _, text, final in found if sentence in text] == [True], found


def test_a_warning_is_not_a_reason_against_a_session(tmp_path: Path) -> None:
    known(tmp_path / "data")
    at = desk(tmp_path, rehearse=True)
    at.act("weigh", {"name": "VR2", "grams": "24"})
    tasks = tmp_path / "lab" / "tasks"
    odd = (tasks / "quick.toml").read_text().replace("reward_ul = 3.0", "reward_ul = 0.3")
    (tasks / "odd.toml").write_text(odd)
    (one,) = at.act("check", {**CHOSEN, "task": "odd"})["objections"]
    assert one.warning and not one.final
    assert "reward_ul = 0.3 is unusual" in one.text


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "", "train1.toml"])
def test_only_offered_files_can_be_chosen(tmp_path: Path, name: str) -> None:
    known(tmp_path / "data")
    at = desk(tmp_path)
    assert "there is no setup" in refused(at, "check", **{**CHOSEN, "setup": name})
    assert "there is no task" in refused(at, "check", **{**CHOSEN, "task": name})


def test_a_missing_record_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    """Else an animal that is added again would get its water of the day twice."""
    at, data = desk(tmp_path), tmp_path / "data"
    known(data)
    assert [one["name"] for one in at.animals()["animals"]] == ["VR2"]
    shutil.rmtree(data)  # its disk was unmounted
    with pytest.raises(Refused, match="is gone; check that the disk is mounted"):
        at.animals()
    for verb in ("add", "weigh", "give", "check", "start"):
        assert "is gone" in refused(at, verb, **ANIMAL)
    assert not data.exists()


def test_a_missing_folder_of_setups_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"folder .* does not exist"):
        Choices(tmp_path / "nowhere", None)


def test_files_that_are_written_beside_a_setup_are_not_offered(tmp_path: Path) -> None:
    own = lab(tmp_path / "lab")
    for name in ("bench.checked.toml", "bench.measured.toml"):
        (own / "setups" / name).write_text("")
    offered = list(Choices(own / "setups", None).setups())
    assert offered[0] == "bench"
    assert not [name for name in offered if re.search("checked|measured", name)]


def test_task_and_setup_of_the_last_session_are_suggested(tmp_path: Path) -> None:
    data = tmp_path / "data"
    known(data)
    at = desk(tmp_path)
    assert at.animal("VR2")["suggested"] == {"task": "quick", "setup": "bench"}
    last = begun(at=time.time() - 86400)
    last = msgspec.structs.replace(
        last, task_name="train2", rig=msgspec.structs.replace(last.rig, name="simulated")
    )
    folder = in_folder(data, last)
    closed(folder, [*valves(2), ended(2)])
    assert at.animal("VR2")["suggested"] == {"task": "train2", "setup": "simulated"}
    (shown,) = at.animal("VR2")["sessions"]
    assert (shown["folder"], shown["water"], shown["trials"]) == (folder.name, "6 ul", None)


def test_no_session_starts_before_the_checklist_is_ticked(tmp_path: Path) -> None:
    known(tmp_path / "data", (TODAY, 24.0))
    at = desk(tmp_path, rehearse=True)
    (tmp_path / "data" / "lab.toml").write_text('checklist = ["armed", "dark"]')
    assert "not complete" in refused(at, "start", **CHOSEN, ticked=["armed"])
    assert "not complete" in refused(at, "start", **CHOSEN)
    assert at.state()["phase"] == "ready"


def test_a_rehearsal_leaves_the_record_unchanged(tmp_path: Path) -> None:
    known(tmp_path / "data")
    at = desk(tmp_path, rehearse=True)
    for verb in ("add", "edit", "retire", "return"):
        assert "does not change the record" in refused(at, verb, **ANIMAL)
    at.act("weigh", {"name": "VR2", "grams": "24"})
    with open_record(tmp_path / "data") as record:
        assert record.weights("VR2") == []


def test_a_session_of_another_process_is_shown_until_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, data = desk(tmp_path), tmp_path / "data"
    runs: list[Run] = []
    monkeypatch.setattr("rig.cli.panel.desk.running", lambda _: runs.pop() if runs else None)
    first, second = (data / "sub-VR2" / f"ses-20261130_{n}" for n in (1, 2))
    for folder in (first, second):
        folder.mkdir(parents=True)
    assert (at.look(), at.state()["phase"]) == (None, "ready")
    lock = SubjectLock(data, "VR2")
    runs.append(Run(data, "VR2", None, first))
    assert (at.look(), at.state()["phase"]) == (first, "running")
    lock.release()
    (first / SUMMARY_FILE).write_text("{}")
    assert (at.look(), at.state()["phase"]) == (None, "ended")
    lock = SubjectLock(data, "VR2")
    runs.append(Run(data, "VR2", None, second))
    assert (at.look(), at.state()["phase"]) == (second, "running")
    second.rmdir()  # it was refused before it began
    assert (at.look(), at.state()["phase"]) == (None, "ready")
    lock.release()


def test_after_a_session_of_its_own_the_panel_names_one_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, data = desk(tmp_path), tmp_path / "data"
    runs: list[Run] = []
    monkeypatch.setattr("rig.cli.panel.desk.running", lambda _: runs[0] if runs else None)
    first, second = (data / f"sub-VR{n}" / "ses-20261130_1" for n in (2, 3))
    second.mkdir(parents=True)
    ended = subprocess.Popen(["true"])
    ended.wait()
    own = Run(data, "VR2", ended, None)
    first.mkdir(parents=True)
    (first / SUMMARY_FILE).write_text("{}")
    monkeypatch.setattr(Run, "start", lambda *_: own)
    known(data)
    (data / "lab.toml").write_text("checklist = []")
    at.act("start", {**CHOSEN, "ticked": []})
    assert (at.look(), at.state()["phase"], at.state()["other"]) == (None, "ended", "")
    lock = SubjectLock(data, "VR3")
    runs.append(Run(data, "VR3", None, second))
    assert at.look() == second  # its live page is served
    assert (at.state()["phase"], at.state()["subject"], at.state()["other"]) == (
        "ended",
        "VR2",
        "VR3",
    )
    at.act("done", {})
    assert (at.look(), at.state()["phase"], at.state()["subject"]) == (second, "running", "VR3")
    lock.release()


@pytest.mark.parametrize("text", ["\ud83d", "\x1b[2J", "two\nlines", "\u202etxt"])
def test_a_text_that_cannot_be_printed_is_refused(tmp_path: Path, text: str) -> None:
    known(tmp_path / "data")
    at = desk(tmp_path, rehearse=True)
    (tmp_path / "data" / "lab.toml").write_text("checklist = []")
    why = "contains a character that cannot be printed"
    assert why in refused(at, "weigh", name="VR2", grams="21", note=f"a{text}b")
    assert why in refused(at, "give", name="VR2", ml="0.5", note=f"a{text}b")
    assert why in refused(at, "evening", name="VR2", grams="21", condition=f"a{text}b")
    assert why in refused(at, "start", **CHOSEN, ticked=[], override=f"a{text}b")
    assert at.animal("VR2")["weights"] == []


def test_an_unknown_animal_or_request_is_refused(tmp_path: Path) -> None:
    known(tmp_path / "data")
    at = desk(tmp_path)
    assert "is not a request" in refused(at, "open")
    for verb in ("weigh", "give", "retire", "edit"):
        assert "there is no subject VR9" in refused(at, verb, **{**ANIMAL, "name": "VR9"})
    assert "no session" in refused(at, "report")


def test_the_state_of_the_panel_is_json(tmp_path: Path) -> None:
    known(tmp_path / "data", (TODAY, 24.0))
    at = desk(tmp_path)
    for shown in (at.state(), at.animals(), at.animal("VR2"), at.act("check", CHOSEN)):
        json.loads(msgspec.json.encode(shown))
