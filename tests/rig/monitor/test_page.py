"""The live page in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, expect
from playwright.sync_api import Page as Tab
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from rig.messages import Fault, Lick, Message, OperatorRequest
from rig.monitor.feeds import ReplayFeed
from tests.analysis.logs import MS, corridor, enveloped, standing, write_log
from tests.rig.monitor.browsers import chromium
from tests.rig.monitor.pages import TOKEN, Handed, Page, served
from tests.rig.monitor.test_state import STARTED, one_trial

SEVERAL = re.compile(r"1[5-9]|[2-9]\d|\d{3,}")
HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def feed() -> Handed:
    return Handed()


@pytest.fixture
def page(tmp_path: Path, feed: Handed) -> Iterator[Page]:
    with served(tmp_path, feed) as page:
        feed.hand(enveloped(one_trial()))
        yield page


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    tab = context.new_page()
    wrong: list[str] = []

    def note(error: Error) -> None:
        wrong.append(str(error))

    tab.on("pageerror", note)
    yield tab
    assert wrong == []
    context.close()


def test_it_shows_who_runs_and_what_happens(page: Page, tab: Tab) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.address)
    expect(tab.locator("#subject")).to_have_text("VR2")
    expect(tab.locator("#what")).to_have_text("task · train1 · left")
    expect(tab.locator("#water")).to_have_text("18")
    expect(tab.locator("#water_of")).to_have_text("µl today of 1000, 2 rewards, 3 µl manual")
    expect(tab.locator("#corridor_note")).to_have_text("leaf1, rewarded, 2.00 m")
    expect(tab.locator("#link")).to_have_text("live")
    assert all(url.startswith(page.address) for url in asked)


def test_canvases_are_drawn(page: Page, tab: Tab) -> None:
    tab.goto(page.address)
    expect(tab.locator("#rewarded_note")).to_contain_text("1 trials")
    lit = """(id) => { const c = document.getElementById(id);
      return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0); }"""
    for name in ("corridor", "speeds", "raster_rewarded", "dprime", "areas", "motion"):
        assert tab.evaluate(lit, name), name


def test_a_fault_stays_until_the_operator_acknowledges_it(
    page: Page, feed: Handed, tab: Tab
) -> None:
    tab.goto(f"{page.address}/#token={TOKEN}")
    expect(tab.locator("#alarm")).to_be_hidden()
    feed.hand(enveloped([("stream", Fault(2000 * MS, "frame 5 is missing"))]))
    expect(tab.locator("#faults li")).to_have_text("00:02 streamframe 5 is missing")
    tab.locator("#acknowledge").click()
    expect(tab.locator("#alarm")).to_be_hidden()
    assert page.monitor.state.faults[0]["acknowledged"]


def test_no_text_from_a_session_becomes_html(page: Page, feed: Handed, tab: Tab) -> None:
    note = OperatorRequest(1500 * MS, 1, 2000 * MS, "note", HOSTILE)
    messages: list[Message | tuple[str, Message]] = [
        ("launch", note),
        ("stream", Fault(2000 * MS, HOSTILE)),
        corridor(7, HOSTILE, 2100 * MS),
        standing(2200 * MS, 7, 1.0),
    ]
    feed.hand(enveloped(messages))
    tab.goto(page.address)
    expect(tab.locator("#notes li")).to_contain_text(HOSTILE)
    expect(tab.locator("#faults li")).to_contain_text(HOSTILE)
    expect(tab.locator("#corridor_note")).to_contain_text(HOSTILE)
    assert tab.locator("#notes img, #faults img").count() == 0
    assert tab.title() != "1"


def test_a_guest_only_watches(page: Page, tab: Tab) -> None:
    tab.goto(page.address)
    expect(tab.locator("#subject")).to_have_text("VR2")
    expect(tab.locator('[data-verb="water"]')).to_be_disabled()
    tab.keyboard.press("w")
    expect(tab.locator("#ask")).to_be_hidden()
    assert page.accepted == []


def test_water_by_key_needs_a_second_one(page: Page, tab: Tab) -> None:
    tab.goto(f"{page.address}/#token={TOKEN}")
    expect(tab.locator('[data-verb="water"]')).to_be_enabled()
    assert "token" not in tab.url
    tab.keyboard.press("w")
    expect(tab.locator("#question")).to_have_text("Give one reward now, by hand?")
    tab.keyboard.press("Escape")
    expect(tab.locator("#ask")).to_be_hidden()
    tab.keyboard.press("w")
    tab.keyboard.press("Enter")
    expect(tab.locator("#answer")).to_have_text("water was sent")
    tab.keyboard.press("n")
    tab.keyboard.type("drinks w, s and q")
    tab.keyboard.press("Enter")
    expect(tab.locator("#answer")).to_have_text("note was sent")
    assert page.accepted == [("water", ""), ("note", "drinks w, s and q")]


def test_a_page_without_its_server_is_grey_and_comes_back_whole(
    tmp_path: Path, feed: Handed, tab: Tab
) -> None:
    with served(tmp_path, feed) as page:
        feed.hand(enveloped(one_trial()))
        port = int(page.address.rpartition(":")[2])
        tab.goto(page.address)
        expect(tab.locator("#link")).to_have_text("live")
    expect(tab.locator("body")).to_have_class("stale")
    expect(tab.locator("#link")).to_contain_text("NO DATA FOR")
    again = Handed()
    again.hand(enveloped([*one_trial(), Lick(1250 * MS, "centre")]))
    with served(tmp_path, again, port=port):
        expect(tab.locator("#link")).to_have_text("live")
        expect(tab.locator("body")).not_to_have_class("stale")
        expect(tab.locator("#rewarded_note")).to_contain_text("1 trials")


def test_four_browsers_and_one_that_does_not_read_are_served(page: Page, browser: Browser) -> None:
    with connect(page.address.replace("http", "ws") + "/live"):  # never reads
        tabs = [browser.new_page() for _ in range(4)]
        for tab in tabs:
            tab.goto(page.address)
        for tab in tabs:
            expect(tab.locator("body")).to_have_attribute("data-updates", SEVERAL)
            tab.close()


def test_a_page_of_another_origin_is_not_served(page: Page) -> None:
    address = page.address.replace("http", "ws") + "/live"
    with pytest.raises(InvalidStatus), connect(address, origin=Origin("http://evil.example")):
        pass
    with connect(address, origin=Origin(page.address)) as socket:
        assert '"snapshot":true' in str(socket.recv())


def test_red_light_is_red(page: Page, tab: Tab) -> None:
    tab.goto(page.address)
    tab.keyboard.press("r")
    expect(tab.locator("html")).to_have_class("red")


def test_a_recorded_session_is_played_paused_and_sought(tmp_path: Path, tab: Tab) -> None:
    messages: list[Message] = [STARTED]
    for n in range(20):
        t = n * 1000 * MS
        messages += [corridor(n, "leaf1", t + 1), standing(t + 2, n, 1.0)]
    write_log(tmp_path, enveloped(messages))
    with served(tmp_path, ReplayFeed(tmp_path), watches=True) as page:
        tab.goto(page.address)
        expect(tab.locator("#replay")).to_be_visible()
        expect(tab.locator("#actions")).to_be_hidden()
        tab.locator("#play").click()
        expect(tab.locator("#play")).to_have_text("play")
        tab.locator("#seek").fill("500")
        tab.locator("#seek").dispatch_event("change")
        expect(tab.locator("#trial")).to_have_text("10")
        tab.locator("#seek").fill("100")
        tab.locator("#seek").dispatch_event("change")
        expect(tab.locator("#trial")).to_have_text("2")
