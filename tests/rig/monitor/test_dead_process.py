"""A dead or silent process is shown as such everywhere on the live page, within a second."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from rig.clock import monotonic_ns
from rig.messages import CellSignals, Ended, Heartbeat, LearningSignals, Message, Stop
from rig.monitor.state import MonitorState
from rig.monitor.usage import SILENT_S, Usage
from tests.analysis.logs import MS, enveloped
from tests.rig.monitor.browsers import chromium, open_tab
from tests.rig.monitor.pages import Handed, served
from tests.rig.monitor.test_state import STARTED, one_trial

Sent = list[Message | tuple[str, Message]]
NODES = ("hardware", "task", "online")
PARTS = """() => [...document.querySelectorAll("[data-from]")].filter((part) => part.dataset.down)
  .map((part) => part.id || (part.querySelector("[id]") || {}).id)"""
"""Returns the parts of the page that are grey, by their own or their first id."""
OF_ONLINE = ["dprime_note", "ramp_note", "motion_down", "projections_note"]
OF_BOTH = [
    *("phase", "trial", "speed", "corridor_note", "screens_note", "speeds"),
    *("rewarded_note", "unrewarded_note", "performance_note"),
]
OF_TASK, OF_HARDWARE = [*OF_BOTH, "settings_panel"], [*OF_BOTH, "water", "lick"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    yield from open_tab(browser)


def beats(*times_ms: int, names: tuple[str, ...] = NODES) -> Sent:
    return [(name, Heartbeat(ms * MS, True, 1.0)) for ms in times_ms for name in names]


def folded(messages: Sent) -> MonitorState:
    state = MonitorState()
    for envelope, message in enveloped(messages):
        state.handle(envelope, message)
    return state


def test_a_process_without_heartbeat_is_silent(tmp_path: Path) -> None:
    usage, silent_ms = Usage(tmp_path, live=False), int(1000 * SILENT_S)
    assert SILENT_S < 1.0
    first: Sent = [STARTED, *beats(100)]
    assert usage.down(folded([*first, *beats(100 + silent_ms, names=("task",))])) == {}
    late = [*first, *beats(110 + silent_ms, names=("task", "hardware"))]
    assert usage.down(folded(late)) == {"online": "silent"}


def test_a_process_that_failed_is_down_and_one_that_ended_is_not(tmp_path: Path) -> None:
    ends: Sent = [
        ("launch", Stop(10 * MS, "time is up", ("task",))),
        ("task", Ended(20 * MS, "time is up", False, {})),
        ("online", Ended(20 * MS, "KeyError", True, {})),
    ]
    state = folded([STARTED, *beats(0), ("launch", Heartbeat(0, True, 1.0)), *ends])
    state.handle(*enveloped([("hardware", Heartbeat(9000 * MS, True, 1.0))])[0])
    assert Usage(tmp_path, live=False).down(state) == {"online": "failed"}


def test_a_killed_process_is_dead_before_it_is_silent(tmp_path: Path) -> None:
    program = (sys.executable, "-c", "input()", "-m", "analysis.online", str(tmp_path), "1")
    process = subprocess.Popen(program, stdin=subprocess.PIPE)
    state, usage = folded([STARTED, *beats(0)]), Usage(tmp_path, True, monotonic_ns())
    while "memory_mb" not in usage.rows(state.processes)[-1]:
        pass
    assert usage.down(state) == {}
    process.kill()  # it is not waited for, so it stays a zombie
    while "dead" not in (down := usage.down(state)).values():
        assert down == {}
    assert down == {"online": "dead"}
    process.communicate()
    assert usage.down(state) == {"online": "dead"}


def test_values_of_a_silent_process_are_grey_until_it_publishes_again(
    tmp_path: Path, tab: Tab
) -> None:
    feed = Handed()
    pair = (("leaf1", "circle1"),)
    signals: Sent = [
        CellSignals(1000 * MS, 0, 0, "leaf1", 0.0, True, b"", None),
        LearningSignals(1000 * MS, 0, 0, False, pair, b"", b"", (), ()),
    ]
    with served(tmp_path, feed) as page:
        feed.hand(enveloped([*one_trial(), *signals, *beats(1400)]))
        tab.goto(page.address)
        expect(tab.locator("#link")).to_have_text("live")
        assert tab.evaluate(PARTS) == []
        feed.hand(enveloped(beats(2500, names=("hardware", "task"))))
        expect(tab.locator("#link")).to_have_text("online silent, 1 s")
        assert tab.evaluate(PARTS) == OF_ONLINE
        expect(tab.locator("#processes tr.dead")).to_have_text(
            re.compile(r"onlineSILENT1\.1 s ago")
        )
        expect(tab.locator("#latency tr.down")).to_contain_text("frame to final signals")
        expect(tab.locator("#checks tr.down")).to_contain_text("frames analysed")
        feed.hand(enveloped(beats(4000, names=("hardware", "online"))))
        expect(tab.locator("#link")).to_have_text("task silent, 2 s")
        assert tab.evaluate(PARTS) == OF_TASK
        feed.hand(enveloped(beats(4100, names=("referee", "display", *NODES))))
        expect(tab.locator("#link")).to_have_text("live")
        feed.hand(enveloped([("launch", Heartbeat(7100 * MS, True, 1.0))]))
        expect(tab.locator("#link")).to_have_text("5 processes down, 3 s")
        feed.hand(enveloped(beats(7200, names=("referee", "display", *NODES))))
        expect(tab.locator("#link")).to_have_text("live")
        assert tab.evaluate(PARTS) == []
