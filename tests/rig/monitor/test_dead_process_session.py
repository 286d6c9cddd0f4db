"""A process that is killed in a session is dead everywhere on its live page, within a second."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from rig.cli.chaos.session_process import behavior_alone
from rig.messages import TrialStart
from tests.live import Live
from tests.rig.monitor.browsers import chromium, open_tab
from tests.rig.monitor.pages import watched
from tests.rig.monitor.test_dead_process import OF_HARDWARE, OF_ONLINE, PARTS

NOTE = """() => {
  const count = () => Number(document.body.dataset.updates), first = count();
  window.updates = null;
  document.addEventListener("drawn", () => {
    const dead = document.querySelector("[data-down]") && document.querySelector("tr.dead");
    if (dead) window.updates ??= count() - first;
  });
}"""
"""Counts the updates until a process is shown as dead. They come every 0.1 s, or later under load,
which delays all else as well."""
MOST_UPDATES = 10
WITHIN_MS = 30_000
ONE_DEAD = re.compile(r"^online dead, \d+ s$")
BOTH_DEAD = re.compile(r"^(hardware|online) dead, \d+ s; (online|hardware) dead, \d+ s$")
ONLINE = '[nodes.online]\nrun = "analysis.online"\nfind = { after_s = 600.0 }\n'
SETS = ("task.grey_before_s=0.3", "task.texture_m=2.0", "task.cue_from_m=0.3", "task.cue_to_m=0.6")


@pytest.fixture
def tab() -> Iterator[Tab]:
    with chromium() as browser:
        yield from open_tab(browser)


def test_a_process_killed_in_a_session_is_dead_on_the_page_within_a_second(
    tmp_path: Path, tab: Tab
) -> None:
    """The session continues without its analysis, and ends at once without its hardware."""
    setup = behavior_alone(tmp_path, ONLINE)
    with Live(tmp_path / "data", *SETS, setup=setup) as live:
        live.until(TrialStart)
        with watched(live.folder) as page:
            tab.goto(page.address)
            row = tab.locator("#processes tr", has_text="online")
            expect(row).to_contain_text(re.compile(r"onlinerunning.* MB"), timeout=WITHIN_MS)
            expect(tab.locator("#link")).to_have_text("live", timeout=WITHIN_MS)
            tab.evaluate(NOTE)
            live.signal("analysis.online", signal.SIGKILL)
            expect(row).to_contain_text(re.compile(r"onlineDEAD\d"), timeout=WITHIN_MS)
            assert tab.evaluate("window.updates") <= MOST_UPDATES
            assert set(OF_ONLINE) <= set(tab.evaluate(PARTS))
            expect(tab.locator("#link")).to_have_text(ONE_DEAD, timeout=WITHIN_MS)
            expect(tab.locator("#faults li")).to_contain_text("continues without online")
            live.until(TrialStart)
            live.signal("behavior.hardware", signal.SIGKILL)
            expect(tab.locator("#phase")).to_have_text("ENDED", timeout=WITHIN_MS)
            code, output = live.end()
            expect(tab.locator("#link")).to_have_text(BOTH_DEAD, timeout=WITHIN_MS)
            assert set(tab.evaluate(PARTS)) == {*OF_ONLINE, *OF_HARDWARE}
    assert code == 1, output
