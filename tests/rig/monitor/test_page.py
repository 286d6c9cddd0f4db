"""The live page in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, WebSocketRoute, expect
from playwright.sync_api import Page as Tab
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from rig.messages import (
    CellSignals,
    Fault,
    Flip,
    Frame,
    LearningSignals,
    Lick,
    Message,
    OperatorRequest,
    Position,
    SettingChange,
    Start,
    TrialEnd,
    Valve,
)
from rig.monitor.feeds import ReplayFeed
from rig.monitor.signal_state import Row
from rig.transport.frame_ring import Ring, RingPlan
from tests.analysis.logs import MS, corridor, enveloped, standing, write_log
from tests.rig.monitor.browsers import chromium, open_tab
from tests.rig.monitor.pages import TOKEN, Handed, Page, served
from tests.rig.monitor.test_state import STARTED, one_trial

pytestmark = pytest.mark.slow

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
    yield from open_tab(browser)


def until_pixel(tab: Tab, canvas: str, x: int, y: int, value: int) -> None:
    """Wait until a pixel of a canvas is as red as that."""
    get = "([id, x, y]) => document.getElementById(id).getContext('2d').getImageData(x, y, 1, 1)"
    for _ in range(1200):
        if (found := tab.evaluate(f"{get}.data[0]", [canvas, x, y])) == value:
            return
        tab.wait_for_timeout(50)
    raise AssertionError(f"pixel {x}, {y} of {canvas} is {found}, not {value}")


def test_the_page_shows_the_animal_and_its_trials(page: Page, tab: Tab) -> None:
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


@pytest.mark.parametrize("height", [1080, 940])
def test_all_panels_are_on_the_screen_also_with_a_fault(
    page: Page, feed: Handed, tab: Tab, height: int
) -> None:
    """The second height is that of a browser that is not in full screen."""
    tab.set_viewport_size({"width": 1920, "height": height})
    tab.goto(page.address)
    expect(tab.locator("#processes tr", has_text="hardware")).to_be_visible()
    outside = """() => {
      const end = document.querySelector("footer").getBoundingClientRect().top;
      const below = (part) => part.getBoundingClientRect().bottom > end;
      return [...document.querySelectorAll("main > section, main canvas")].filter(below).length;
    }"""
    assert tab.evaluate(outside) == 0
    feed.hand(enveloped([("stream", Fault(2000 * MS, "frame 5 is missing; check the disk"))]))
    expect(tab.locator("#alarm")).to_be_visible()
    expect(tab.locator("body")).to_have_attribute("data-updates", SEVERAL)
    assert tab.evaluate(outside) == 0
    assert tab.evaluate("document.documentElement.scrollHeight") == height


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


def test_a_hint_says_that_sound_needs_a_click(page: Page, tab: Tab) -> None:
    tab.goto(page.address)
    expect(tab.locator("#sound_hint")).to_have_text("click once to allow sound")
    tab.locator("#subject").click()
    expect(tab.locator("#sound_hint")).to_be_hidden()


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


def test_water_by_key_needs_a_second_key(page: Page, tab: Tab) -> None:
    tab.goto(f"{page.address}/#token={TOKEN}")
    expect(tab.locator('[data-verb="water"]')).to_be_enabled()
    assert "token" not in tab.url
    tab.keyboard.press("w")
    expect(tab.locator("#question")).to_have_text("VR2: give one reward now, by hand?")
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


def test_a_question_that_was_cancelled_and_asked_again_is_answered_once(
    page: Page, tab: Tab
) -> None:
    tab.goto(f"{page.address}/#token={TOKEN}")
    expect(tab.locator('[data-verb="water"]')).to_be_enabled()
    tab.evaluate("""() => {  // faster than the page is told that the first question was closed
      const button = document.querySelector('[data-verb="water"]');
      button.click();
      document.getElementById("no").click();
      button.click();
      document.getElementById("yes").click();
    }""")
    expect(tab.locator("#answer")).to_have_text("water was sent")
    tab.keyboard.press("n")
    tab.keyboard.type("later")
    tab.keyboard.press("Enter")
    expect(tab.locator("#answer")).to_have_text("note was sent")
    assert page.accepted == [("water", ""), ("note", "later")]


def test_a_key_that_is_held_down_gives_no_water(page: Page, tab: Tab) -> None:
    tab.goto(f"{page.address}/#token={TOKEN}")
    expect(tab.locator('[data-verb="water"]')).to_be_enabled()
    tab.locator('[data-verb="water"]').focus()
    for _ in range(6):  # a key that is down is pressed again and again
        tab.keyboard.down("Enter")
    tab.keyboard.up("Enter")
    expect(tab.locator("#ask")).to_be_visible()
    assert page.accepted == []
    tab.keyboard.press("Enter")
    expect(tab.locator("#answer")).to_have_text("water was sent")
    assert page.accepted == [("water", "")]


def test_a_request_of_a_page_that_is_out_of_date_is_refused(page: Page, tab: Tab) -> None:
    tab.goto(f"{page.address}/#token={TOKEN}")
    expect(tab.locator('[data-verb="water"]')).to_be_enabled()
    tab.keyboard.press("w")
    with tab.expect_request("**/request") as request:
        tab.keyboard.press("Enter")
    expect(tab.locator("#answer")).to_have_text("water was sent")
    asked = request.value.post_data_json
    assert asked is not None
    assert abs(asked["t_s"] - page.monitor.state.t / 1e9) < 30
    page.monitor.state.t += 3600 * 1000 * MS  # as if the server had stood still for an hour
    assert page.ask({**asked, "id": "another-id"})[0] == 409
    assert page.accepted == [("water", "")]


def test_a_question_about_a_session_is_closed_with_it(page: Page, feed: Handed, tab: Tab) -> None:
    tab.goto(f"{page.address}/#token={TOKEN}")
    expect(tab.locator("#subject")).to_have_text("VR2")
    expect(tab.locator('[data-verb="water"]')).to_be_enabled()
    tab.keyboard.press("w")
    expect(tab.locator("#ask")).to_be_visible()
    feed.hand(enveloped([Start(0, {**STARTED.session, "id": "another", "subject": "VR9"})]))
    expect(tab.locator("#subject")).to_have_text("VR9")
    expect(tab.locator("#ask")).to_be_hidden()
    assert page.accepted == []


def test_a_refused_manual_reward_is_shown(page: Page, feed: Handed, tab: Tab) -> None:
    tab.goto(page.address)
    expect(tab.locator("#subject")).to_have_text("VR2")
    why = "1 ml was given today; no more"
    feed.hand(enveloped([Valve(2000 * MS, 9, "centre", 0.0, 0.0, refused=why, manual=True)]))
    expect(tab.locator("#answer")).to_have_text(f"manual reward refused: {why}")
    expect(tab.locator("#notes li").first).to_contain_text(f"manual reward refused: {why}")


def test_a_storm_of_faults_is_acknowledged_with_one_request(
    page: Page, feed: Handed, tab: Tab
) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{page.address}/#token={TOKEN}")
    feed.hand(enveloped([("stream", Fault(2000 * MS, f"frame {n} is missing")) for n in range(90)]))
    expect(tab.locator("#faults li").last).to_have_text("and 86 before these")
    tab.locator("#acknowledge").click()
    expect(tab.locator("#alarm")).to_be_hidden()
    assert len([url for url in asked if url.endswith("/request")]) == 1


def test_a_connection_that_says_nothing_is_replaced(page: Page, tab: Tab) -> None:
    lines: list[WebSocketRoute] = []

    def cut(line: WebSocketRoute) -> None:
        """Connect the second time only; a cut cable says nothing."""
        lines.append(line)
        if len(lines) > 1:
            line.connect_to_server()

    tab.route_web_socket("**/live", cut)
    tab.goto(page.address)
    expect(tab.locator("#subject")).to_have_text("VR2")
    assert len(lines) == 2


def test_a_part_that_cannot_be_drawn_does_not_stop_the_others(
    page: Page, feed: Handed, browser: Browser
) -> None:
    tab = browser.new_page()
    tab.goto(page.address)
    feed.hand(enveloped([Position(2000 * MS, 0, 2.0, float("nan"), True, "corridor")]))
    expect(tab.locator("#answer")).to_have_text("header cannot be drawn; reload the page")
    feed.hand(enveloped([("stream", Fault(2000 * MS, "frame 5 is missing"))]))
    expect(tab.locator("#faults li")).to_contain_text("frame 5 is missing")
    expect(tab.locator("#link")).to_have_text("live")
    tab.close()


def test_a_page_without_its_server_is_grey_until_it_reconnects(
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


def test_a_page_of_another_version_reloads_once_and_then_says_so(
    page: Page, tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rig.monitor.server.SCHEMA", "another")
    loads: list[str] = []
    tab.on("request", lambda request: loads.append(request.resource_type))
    tab.goto(page.address)
    expect(tab.locator("#what")).to_contain_text("of another version than the server")
    assert loads.count("document") == 2


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


def test_a_live_setting_is_changed_and_shown(tmp_path: Path, feed: Handed, tab: Tab) -> None:
    task = {**STARTED.session["task"], "live": ["reward_ul"], "reward_ul": 3.0}
    with served(tmp_path, feed) as page:
        feed.hand(enveloped([Start(0, {**STARTED.session, "task": task})]))
        tab.goto(f"{page.address}/#token={TOKEN}")
        expect(tab.locator("#settings")).to_contain_text("reward_ul 3")
        tab.locator("#settings button").click()
        tab.keyboard.type("2.5")
        tab.keyboard.press("Enter")
        expect(tab.locator("#answer")).to_have_text("set was sent")
        assert page.accepted == [("set", "reward_ul=2.5")]
        change = SettingChange(9 * MS, 1, "reward_ul", "3.0", "2.5", "page at 127.0.0.1", 4)
        feed.hand(enveloped([("task", change)]))
        expect(tab.locator("#settings")).to_contain_text("reward_ul 2.5")
        expect(tab.locator("#notes li").first).to_contain_text("reward_ul: 3.0 to 2.5 from trial 5")


def test_performance_is_shown_beside_the_last_days(tmp_path: Path, feed: Handed, tab: Tab) -> None:
    past = {"day": "20261129_2", "task": "train0", "trials": 40, "water_ul": 95.0}
    with served(tmp_path, feed) as page:
        page.monitor.past = [{**past, "responses": {"leaf1": [9, 10], "circle1": [1, 4]}}]
        feed.hand(enveloped([*one_trial(), TrialEnd(4000 * MS, 0, "done")]))
        tab.goto(page.address)
        table = tab.locator("#performance tr")
        expect(table.nth(0)).to_have_text("now29 Nov (2)")
        expect(table.nth(1)).to_have_text("leaf1100 %90 %")
        expect(table.nth(2)).to_have_text("circle1-25 %")
        expect(tab.locator("#performance")).to_contain_text("train0")


def test_the_imaging_panel_zooms(tmp_path: Path, feed: Handed, tab: Tab) -> None:
    plan = RingPlan(str(tmp_path / "ring"), 4, 2_000_000)
    rows = np.arange(1000, dtype=np.int16)  # the brightness of each row of the page
    Ring(plan, create=True).write(0, np.repeat(rows[:, None], 1000, axis=1))
    started = Start(0, {**STARTED.session, "ring": msgspec.to_builtins(plan)})
    frame = Frame(10 * MS, 0, "none.tif", 0, 1000, 1000, 0.0)
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    with served(tmp_path, feed) as page:
        feed.hand(enveloped([started, frame]))
        tab.goto(page.address)
        expect(tab.locator("#plane")).to_contain_text("depth 1")
        tab.locator("#image").hover()
        with tab.expect_request(re.compile(r"/image\?.*height=800&width=800")):
            tab.mouse.wheel(0, -100)
        expect(tab.locator("#unzoom")).to_be_visible()
        with tab.expect_request(re.compile(r"/image\?.*height=1000&width=1000")):
            tab.locator("#unzoom").click()
        tab.locator("#dark").fill("100")
        until_pixel(tab, "image", 180, 60, 0)


def test_the_screens_are_drawn_from_the_flips(tmp_path: Path, feed: Handed, tab: Tab) -> None:
    class Striped:
        """Draw columns whose darkness is the position."""

        def image(self, trial: Row | None, position_m: float) -> NDArray[np.uint8]:
            return np.full((4, 6), int(10 * position_m), np.uint8)

    with served(tmp_path, feed) as page:
        page.monitor.screens = Striped()
        feed.hand(enveloped([*one_trial(), Flip(1301 * MS, 0, 2.0, 0, 0, False)]))
        tab.goto(page.address)
        expect(tab.locator("#screens_note")).to_have_text("computed from the flips")
        until_pixel(tab, "screens", 0, 0, 20)


def test_reward_prediction_is_drawn_while_the_trial_runs(
    page: Page, feed: Handed, tab: Tab
) -> None:
    ramp = np.zeros(60, "<f4").tobytes()
    pair = (("leaf1", "circle1"),)
    done = LearningSignals(4000 * MS, 0, 1, False, pair, b"", b"", (), (), ramp_by_position=ramp)
    feed.hand(enveloped([TrialEnd(4000 * MS, 0, "done"), done]))
    tab.goto(page.address)
    expect(tab.locator("#ramp_note")).to_have_text("a.u.; bold: last trial")
    frame = CellSignals(5000 * MS, 7, 1, "leaf1", 1.0, True, b"", None, ramp=1.0)
    later = msgspec.structs.replace(frame, t=5300 * MS, frame=8, position_m=1.2, ramp=4.0)
    feed.hand(enveloped([frame, later]))
    expect(tab.locator("#ramp_note")).to_have_text("a.u.; bold: this trial")
