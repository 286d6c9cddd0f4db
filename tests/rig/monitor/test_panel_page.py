"""The panel in a real browser, before and after sessions."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from rig.subjects.booking import water_of_day
from rig.subjects.record import find, open_record
from tests.rig.animals import TODAY, VR2, known
from tests.rig.monitor.browsers import chromium, open_tab
from tests.rig.monitor.panels import Panel, lab

pytestmark = pytest.mark.slow

HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[Panel]:
    lab(tmp_path / "lab")
    yesterday = (TODAY - timedelta(days=1), 22.0)
    known(tmp_path / "data", yesterday, subject=msgspec.structs.replace(VR2, genotype=HOSTILE))
    known(tmp_path / "data", subject=msgspec.structs.replace(VR2, name="GT1", retired=True))
    with Panel(tmp_path) as panel:
        yield panel


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    yield from open_tab(browser)


def choose(tab: Page, address: str, name: str = "VR2") -> None:
    tab.goto(address)
    tab.locator("#animals b", has_text=name).click()
    expect(tab.locator("#name")).to_have_text(name)


def test_an_animal_is_shown_with_the_reasons_against_its_session(panel: Panel, tab: Page) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    choose(tab, panel.address)
    expect(tab.locator("#grams")).to_have_text("22.0 g")
    expect(tab.locator("#due")).to_have_text("1.00 ml")
    expect(tab.locator("#task")).to_have_value("quick")
    expect(tab.locator("#setup")).to_have_value("bench")
    expect(tab.locator("#task_text")).to_contain_text("leaf1 + circle1 · 3 µl, active")
    expect(tab.locator("#about_session")).to_contain_text(
        "is simulated; use a setup of real devices"
    )
    expect(tab.locator("#about_session small").first).to_have_text(
        "setup; no reason overrides this"
    )
    expect(tab.locator("#start")).to_be_disabled()
    expect(tab.locator("#override")).to_be_hidden()
    assert "token" not in tab.url
    assert all(url.startswith(panel.page) for url in asked)


def test_no_text_of_the_record_becomes_html(panel: Panel, tab: Page) -> None:
    choose(tab, panel.address)
    expect(tab.locator("#facts")).to_contain_text(HOSTILE)
    tab.locator("#weight").fill("22")
    tab.locator("#weight_note").fill(HOSTILE)
    tab.keyboard.press("Enter")
    expect(tab.locator("#answer")).to_have_text("VR2 weighs 22 g, 88.0% of its baseline")
    tab.locator("#weight").fill(HOSTILE[:12])
    tab.keyboard.press("Enter")
    expect(tab.locator("#answer")).to_contain_text('weight: "<img src=x o" is not a number')
    assert tab.locator("main img, footer img").count() == 0
    assert tab.title() == "rig panel"


def test_a_guest_only_watches(panel: Panel, tab: Page) -> None:
    choose(tab, panel.page)
    expect(tab.locator("#guest")).to_be_visible()
    for name in ("weight", "ml", "start", "add", "edit", "retire"):
        expect(tab.locator(f"#{name}")).to_be_disabled()
    expect(tab.locator("#start_note")).to_contain_text("operator's address")
    expect(tab.locator("#about_session li, #about_animal li")).to_have_count(1)
    expect(tab.locator("#about_session li")).to_have_text("Only the operator sees the checks.")


def test_a_weight_and_water_are_entered(panel: Panel, tab: Page, tmp_path: Path) -> None:
    choose(tab, panel.address)
    tab.locator("#weight").fill("9.1")
    tab.keyboard.press("Enter")
    expect(tab.locator("#answer")).to_have_text(
        "9.1 g is 36% of its baseline; enter it again to confirm"
    )
    tab.locator("#weight").fill("21.4")
    tab.keyboard.press("Enter")
    expect(tab.locator("#grams")).to_have_text("21.4 g")
    expect(tab.locator("#grams_of")).to_have_text("85.6 % of 25 g, today")
    expect(tab.locator("#animals small.when")).to_have_text("weighed today")
    tab.locator("#ml").fill("0.3")
    tab.keyboard.press("Enter")
    expect(tab.locator("#due")).to_have_text("0.70 ml")
    with open_record(tmp_path / "data") as record:
        assert [one.grams for one in record.weights("VR2")] == [22.0, 21.4]


@pytest.mark.parametrize("width", [1920, 1366, 1024])
def test_a_long_name_covers_nothing(panel: Panel, tab: Page, tmp_path: Path, width: int) -> None:
    name = "VR2_" + "x" * 60
    known(tmp_path / "data", subject=msgspec.structs.replace(VR2, name=name))
    tab.set_viewport_size({"width": width, "height": 1080})
    choose(tab, panel.address, name)
    expect(tab.locator("#checklist")).to_contain_text(name)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_a_double_click_enters_water_once(panel: Panel, tab: Page, tmp_path: Path) -> None:
    choose(tab, panel.address)
    tab.locator("#ml").fill("0.3")
    tab.locator("#give button").dblclick()
    expect(tab.locator("#due")).to_have_text("0.70 ml")
    expect(tab.locator("#ml")).to_have_value("")
    assert water_of_day(tmp_path / "data", "VR2").at_most_ul == 300.0


def test_a_double_click_does_not_confirm_a_doubtful_weight(
    panel: Panel, tab: Page, tmp_path: Path
) -> None:
    choose(tab, panel.address)
    tab.locator("#weight").fill("9.1")
    tab.evaluate("""async () => {  // faster than a person can read
      const form = document.getElementById("weigh"), answer = document.getElementById("answer");
      form.requestSubmit();
      while (!answer.textContent) await new Promise((done) => setTimeout(done, 1));
      form.requestSubmit();
    }""")
    expect(tab.locator("#answer")).to_contain_text("enter it again to confirm")
    tab.wait_for_load_state("networkidle")
    with open_record(tmp_path / "data") as record:
        assert [one.grams for one in record.weights("VR2")] == [22.0]


def test_the_animal_that_was_pressed_last_is_shown(panel: Panel, tab: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    tab.goto(panel.address)
    tab.locator("#retired").check()
    tab.route("**/panel/animal?name=VR2", hold)
    with tab.expect_request("**/panel/animal?name=VR2"):
        tab.locator("#animals b", has_text="VR2").click()
    tab.locator("#animals b", has_text="GT1").click()
    expect(tab.locator("#name")).to_have_text("GT1")
    with tab.expect_response("**/panel/animal?name=VR2"):
        held[0].continue_()
    tab.locator("#ml").fill("0.3")
    expect(tab.locator("#name")).to_have_text("GT1")
    expect(tab.locator("#animals .chosen b")).to_have_text("GT1")


def test_a_panel_that_does_not_answer_is_reported(panel: Panel, tab: Page) -> None:
    tab.goto(panel.address)
    expect(tab.locator("#animals b")).to_have_text(["VR2"])
    panel.kill()
    tab.locator("#animals b").click()
    expect(tab.locator("#answer")).to_have_text("no answer; is rig panel running?")


def test_an_animal_is_added_edited_and_retired(panel: Panel, tab: Page, tmp_path: Path) -> None:
    tab.goto(panel.address)
    tab.locator("#add").click()
    tab.locator("#f_name").fill("VR3")
    tab.locator("#f_cohort").select_option("task")
    tab.locator("#f_stage").select_option("train2")
    tab.locator("#f_baseline_g").fill("24.5")
    tab.locator("#f_birth_date").fill("31.3.2026")
    tab.keyboard.press("Enter")
    expect(tab.locator("#record_wrong")).to_have_text(
        'birth date: "31.3.2026" is not a date; write year, month and day, as in 2026-03-31'
    )
    tab.locator("#f_birth_date").fill("2026-03-31")
    tab.keyboard.press("Enter")
    expect(tab.locator("#name")).to_have_text("VR3")
    tab.locator("#edit").click()
    expect(tab.locator("#f_name")).to_be_disabled()
    tab.locator("#f_sex").select_option("F")
    tab.get_by_role("button", name="Save").click()
    expect(tab.locator("#facts")).to_contain_text("task · train2 · female")
    tab.locator("#retire").click()
    tab.keyboard.press("Enter")
    expect(tab.locator("#answer")).to_have_text("VR3 is retired")
    expect(
        tab.locator("#about_session, #about_animal").filter(has_text="is retired")
    ).to_be_visible()
    added = find(tmp_path / "data", "VR3")
    assert added is not None
    assert (added.stage, added.sex, added.birth_date, added.retired) == (
        "train2",
        "F",
        "2026-03-31",
        True,
    )


def test_retired_animals_are_out_of_the_way(panel: Panel, tab: Page) -> None:
    tab.goto(panel.address)
    expect(tab.locator("#animals b")).to_have_text(["VR2"])
    tab.locator("#retired").check()
    expect(tab.locator("#animals b")).to_have_text(["VR2", "GT1"])


def test_red_light_is_red_and_stays(panel: Panel, tab: Page) -> None:
    tab.goto(panel.address)
    expect(tab.locator("#link")).to_have_text("live")
    tab.keyboard.press("r")
    expect(tab.locator("html")).to_have_class("red")
    red, green, blue = tab.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)"
    )
    assert red > 4 * green and red > 4 * blue
    tab.reload()
    expect(tab.locator("html")).to_have_class("red")


def test_a_panel_without_its_server_is_grey_until_it_reconnects(
    panel: Panel, tab: Page, tmp_path: Path
) -> None:
    choose(tab, panel.address)
    panel.kill()
    expect(tab.locator("body")).to_have_class("stale")
    expect(tab.locator("#link")).to_contain_text("NO PANEL FOR")
    with Panel(tmp_path, port=panel.port):
        expect(tab.locator("#link")).to_have_text("live")
        expect(tab.locator("body")).not_to_have_class("stale")
