"""Take the pictures of the panel and the live page for README and docs: `make screenshots`.

A day of an invented animal is rehearsed on the simulated rig, in a headless Chromium. It takes
about four minutes; nothing else should run on the machine meanwhile.
"""

import json
import re
import shutil
import sys
import tempfile
from datetime import datetime, time, timedelta
from pathlib import Path

import msgspec
from playwright.sync_api import Page, ViewportSize, expect

import rig
from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.settings.config import SessionSettings
from rig.subjects.booking import close_booking
from rig.subjects.record import Weighing, open_record, rehearsal
from tests.rig.animals import REWARD_UL, TODAY, VR2, begun, closed, ended, in_folder, known, valves
from tests.rig.monitor.browsers import chromium
from tests.rig.monitor.panels import Panel
from tests.rig.monitor.state_screenshots import take_states

MINUTES = 2.5
SHOWN_AT = re.compile("02:[1-2]")
"""When the live page is taken: late, and before the end."""
DAYS = 20
PAST = 4
WITHIN_MS = 240_000
SIZE = ViewportSize(width=1920, height=1080)
FEMALE = {"birth_date": "2026-04-13", "sex": "F", "genotype": "tetO-GCaMP6s", "project": "learning"}


def main(images: Path) -> None:
    """Write the pictures into a folder."""
    # a short path, which is in the pictures
    folder = Path(tempfile.gettempdir()) / "rig-data"
    folder.mkdir()
    try:
        _weeks_before(folder / "data")
        (folder / "lab" / "tasks").mkdir(parents=True)
        _setups(folder / "lab" / "setups")
        with Panel(folder, "--rehearse") as panel, chromium() as browser:
            _day(browser.new_page(viewport=SIZE), panel, images)
            recorded = rehearsal(folder / "data", "VR2") / "sub-VR2"
            newest = max(recorded.glob("ses-*"), key=lambda path: path.stat().st_mtime)
            take_states(browser, newest, images)
    finally:
        shutil.rmtree(folder)


def _weeks_before(data: Path) -> None:
    """Enter three animals, and the weights and sessions of the first until yesterday."""
    known(data, subject=msgspec.structs.replace(VR2, **FEMALE))
    for name, cohort in (("VR5", "unrewarded"), ("VR7", "naive")):
        known(data, subject=msgspec.structs.replace(VR2, name=name, cohort=cohort))
    practice = rehearsal(data, "VR2")
    with open_record(practice) as record:
        for n in range(DAYS):
            day = TODAY - timedelta(days=DAYS - n)
            grams = round(25.0 - 3.4 * (1 - 0.85**n) + 0.2 * (n % 3), 1)
            record.weigh("VR2", Weighing(day.isoformat(), grams, "bright", ""))
    for n in range(PAST):
        at = datetime.combine(TODAY - timedelta(days=4 - n), time(10, 30 + n))
        past = msgspec.structs.replace(begun(at=at.timestamp()), rehearsal=True)
        rewards = 70 + 9 * n
        folder = in_folder(practice, past)
        closed(folder, [*valves(rewards), ended(rewards)])
        _close(practice, past, folder, rewards, PAST - n)


def _close(data: Path, past: SessionSettings, folder: Path, rewards: int, days_ago: int) -> None:
    """End a session: its row in the ledger, and what the live page shows of it."""
    close_booking(data, past, folder, "time is up")
    licked = 12 * (days_ago - 1)
    summary = {
        "task": past.task_name,
        "trials_done": 2 * rewards,
        "responses": {"leaf1": [rewards - days_ago, rewards], "circle1": [licked, rewards]},
        "water_ul": REWARD_UL * rewards,
    }
    (folder / SUMMARY_FILE).write_text(json.dumps(summary))


def _setups(folder: Path) -> None:
    """Write the shipped simulated setup, with a screen that is not late on a busy machine."""
    folder.mkdir()
    shipped = Path(rig.__file__).parent / "setups"
    shutil.copy(shipped / "simulated_cells.csv", folder)
    text = (shipped / "simulated.toml").read_text()
    text = text.replace('"stimuli.window:PsychopyScreen"', '"stimuli.window:SimulatedScreen"')
    (folder / "simulated.toml").write_text(text)


def _day(tab: Page, panel: Panel, images: Path) -> None:
    def take(name: str) -> None:
        tab.screenshot(path=images / f"{name}.png")

    tab.goto(panel.address)
    tab.locator("#animals b", has_text="VR2").click()
    tab.locator("#task").select_option("train1")
    tab.locator("#setup").select_option("simulated")
    tab.locator("#minutes").fill(str(MINUTES))
    tab.locator("#minutes").blur()
    expect(tab.locator("#task_text")).to_contain_text("2.5 min")
    expect(tab.locator("#about_animal li")).to_contain_text("was not weighed today")
    take("panel_refusal")
    tab.locator("#weight").fill("22.1")
    tab.keyboard.press("Enter")
    expect(tab.locator("#about_session li")).to_have_text("Ready to start.")
    for box in tab.locator("#checklist input").all():
        box.check()
    tab.locator("#start").focus()
    take("panel")
    tab.keyboard.press("r")
    take("panel_red")
    tab.keyboard.press("r")
    tab.locator("#start").click()
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/session", timeout=WITHIN_MS)
    expect(tab.locator('[data-verb="note"]')).to_be_enabled()
    tab.keyboard.press("n")
    tab.keyboard.type("licks early in circle1")
    tab.keyboard.press("Enter")
    expect(tab.locator("#clock")).to_have_text(SHOWN_AT, timeout=WITHIN_MS)
    take("live_page")
    tab.keyboard.press("r")
    tab.wait_for_timeout(2500)
    take("live_page_red")
    tab.keyboard.press("r")
    expect(tab.locator("#panel")).to_have_text("Weight and water", timeout=WITHIN_MS)
    tab.locator("#panel").click()
    expect(tab.locator("#table tr").first).to_be_visible(timeout=WITHIN_MS)
    tab.locator("#end_weight").fill("22.4")
    tab.locator("#end_condition").fill("bright")
    tab.locator("#end_ml").fill("0.95")
    tab.locator("#end_ml").focus()
    take("panel_end")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
