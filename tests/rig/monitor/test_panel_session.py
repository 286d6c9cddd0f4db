"""Days begun and ended from the panel, with real sessions."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from rig.messages import OperatorRequest, TrialStart
from rig.subjects.booking import water_of_day
from rig.subjects.record import open_record
from rig.transport.log import LOG_FILE, read, read_completeness
from tests.rig.animals import known
from tests.rig.monitor.browsers import chromium
from tests.rig.monitor.panels import Panel, lab

pytestmark = pytest.mark.session
CHOSEN = {"name": "VR2", "setup": "bench", "task": "quick", "minutes": "", "override": ""}
WITHIN_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def rehearsed(tmp_path: Path) -> Path:
    """Return the data folder of the rehearsal of an animal in `tmp_path`/data."""
    lab(tmp_path / "lab")
    known(tmp_path / "data")
    return tmp_path / "data" / "rehearsal"


def session_folder(data: Path) -> Path:
    (folder,) = (data / "sub-VR2").glob("ses-*")
    return folder


def until(panel: Panel, has_come: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Wait until the panel's state is as asked; fail if the session was refused."""
    while True:
        state: dict[str, Any] = panel.get("/panel/state")
        if has_come(state):
            return state
        assert state["phase"] != "refused", state
        time.sleep(0.1)


def in_trial(state: dict[str, Any]) -> bool:
    return bool(state["head"]) and state["head"]["trial"] >= 0


def start(panel: Panel, **values: Any) -> tuple[int, dict[str, Any]]:
    ticked = panel.get("/panel/animals")["checklist"]
    return panel.act("start", **{**CHOSEN, "ticked": ticked, **values})


def ask(panel: Panel, verb: str, text: str = "", number: str = "request-of-test") -> str:
    status, body = panel.post("/request", {"id": number, "verb": verb, "text": text})
    assert status == 200, body
    answer: str = body["answer"]
    return answer


def is_whole(folder: Path) -> bool:
    found = read_completeness(folder / LOG_FILE)
    return found is not None and found.whole


def test_a_whole_day_is_begun_and_ended_from_the_panel(
    rehearsed: Path, tmp_path: Path, browser: Browser
) -> None:
    tab = browser.new_page(viewport={"width": 1920, "height": 1080})
    with Panel(tmp_path, "--rehearse") as panel:
        tab.goto(panel.address)
        tab.locator("#animals b", has_text="VR2").click()
        expect(tab.locator("#about_animal li")).to_contain_text("VR2 was not weighed today")
        expect(tab.locator("#start")).to_be_disabled()
        tab.locator("#weight").fill("21.4")
        tab.keyboard.press("Enter")
        expect(tab.locator("#about_session li")).to_have_text("Ready to start.")
        for box in tab.locator("#checklist input").all():
            expect(tab.locator("#start")).to_be_disabled()
            box.check()
        tab.locator("#start").click()
        expect(tab.locator("#question")).to_have_text("Start quick with VR2 on bench?")
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/session", timeout=WITHIN_MS)
        expect(tab.locator("#subject")).to_have_text("VR2")
        expect(tab.locator('[data-verb="note"]')).to_be_enabled()
        tab.keyboard.press("n")
        tab.keyboard.type("calm")
        tab.keyboard.press("Enter")
        expect(tab.locator("#notes li")).to_contain_text("calm")
        tab.keyboard.press("q")
        tab.keyboard.press("Enter")
        expect(tab.locator("#panel")).to_have_text("Weight and water", timeout=WITHIN_MS)
        tab.locator("#panel").click()
        expect(tab.locator("#ended_text")).to_have_text(
            "stopped by the operator", timeout=WITHIN_MS
        )
        expect(tab.locator("#table")).to_contain_text("VR2, quick, task")
        tab.locator("#end_weight").fill("21.9")
        tab.locator("#end_ml").fill("0.8")
        tab.locator("#end_note").fill("drinks well")
        tab.keyboard.press("Enter")
        expect(tab.locator("#entered li")).to_contain_text("21.9 g, 87.6% of its baseline; VR2 was")
        tab.locator("#write_report").click()
        expect(tab.locator("#report")).to_be_visible(timeout=WITHIN_MS)
        with tab.context.expect_page() as opened:
            tab.locator("#report").click()
        expect(opened.value.locator("h1")).to_have_text("VR2, quick")
        tab.locator("#done").click()
        expect(tab.locator("#ready")).to_be_visible()
    folder = session_folder(rehearsed)
    said = [w for _, w in read(folder / LOG_FILE) if isinstance(w, OperatorRequest)]
    assert [(w.verb, w.text) for w in said] == [("note", "calm")]
    assert is_whole(folder)
    with open_record(rehearsed) as record:
        weights = [(w.grams, w.after, w.note) for w in record.weights("VR2")]
    assert weights == [(21.4, False, ""), (21.9, True, "drinks well")]
    assert water_of_day(rehearsed, "VR2").at_least_ul >= 800.0
    with open_record(tmp_path / "data") as record:
        assert record.weights("VR2") == []
    tab.close()


def test_a_session_outlives_its_panel_and_is_found_by_others(
    rehearsed: Path, tmp_path: Path
) -> None:
    with Panel(tmp_path, "--rehearse") as panel, Panel(tmp_path, "--rehearse") as watching:
        panel.act("weigh", name="VR2", grams="21.4")
        assert watching.get("/panel/state")["phase"] == "ready"
        assert start(panel)[0] == 200
        assert "a session is running" in start(panel)[1]["answer"]
        until(panel, in_trial)
        assert "end it first" in panel.act("done")[1]["answer"]
        panel.kill()
        state = until(watching, in_trial)
        assert (state["phase"], state["subject"]) == ("running", "VR2")
        _check_the_next_panel(rehearsed, tmp_path, state["folder"])
        state = until(watching, lambda state: state["phase"] == "ended")
        assert (state["text"], state["failed"]) == ("stopped by the operator", False)
        assert "VR2, quick, task" in [text for _, text in state["rows"]]


def _check_the_next_panel(rehearsed: Path, tmp_path: Path, shown: str) -> None:
    """Assert that a panel started now shows the session, and ends it."""
    folder = session_folder(rehearsed)
    assert str(folder) == shown
    with Panel(tmp_path, "--rehearse") as panel:
        state = until(panel, in_trial)
        assert (state["phase"], state["folder"]) == ("running", str(folder))
        trial = state["head"]["trial"]
        until(panel, lambda state: state["head"]["trial"] > trial)
        for _ in range(2):  # sent again under one id: one note
            assert ask(panel, "note", "found") == "note was sent"
        ask(panel, "quit", number="request-to-quit")
        state = until(panel, lambda state: state["phase"] == "ended")
        assert (state["text"], state["failed"]) == ("stopped by the operator", False)
    log = folder / LOG_FILE
    assert is_whole(folder)
    said = [w.text for _, w in read(log) if isinstance(w, OperatorRequest)]
    assert said == ["found"]
    assert len([w for _, w in read(log) if isinstance(w, TrialStart)]) > trial
    faults = json.loads((folder / "summary.json").read_text())["faults"]
    assert faults == []


def test_a_refused_session_is_reported_and_leaves_nothing(rehearsed: Path, tmp_path: Path) -> None:
    with Panel(tmp_path, "--rehearse") as panel:
        assert start(panel)[0] == 200  # it was not weighed, and no reason is given
        while (state := panel.get("/panel/state"))["phase"] == "starting":
            time.sleep(0.1)
        assert state["phase"] == "refused"
        assert state["said"].startswith("VR2 was not weighed today; weigh it")
        assert not list(rehearsed.glob("sub-*/ses-*"))
        panel.act("done")
        assert panel.get("/panel/state")["phase"] == "ready"


def test_a_killed_session_shows_that_it_must_be_recovered(rehearsed: Path, tmp_path: Path) -> None:
    with Panel(tmp_path, "--rehearse") as panel:
        panel.act("weigh", name="VR2", grams="21.4")
        start(panel)
        until(panel, in_trial)
        os.kill(panel.child("run"), signal.SIGKILL)
        state = until(panel, lambda state: state["phase"] == "ended")
        assert state["failed"]
        assert state["text"].endswith(f"run: rig recover {session_folder(rehearsed)}")
        panel.act("done")
        found = panel.act("check", **CHOSEN)[1]["objections"]
        assert [one["about"] for one in found] == ["session"]
