"""Screenshots of the rarer states of the live page, from a recorded session: `make screenshots`.

The states: a fault, a tablet, no data, and the overview of several rigs.
"""

from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect

from rig.cli.sessions.monitor import _imaging
from rig.cli.sessions.page.last_sessions import last_sessions
from rig.cli.sessions.page.screens_view import ScreensView
from rig.messages import Fault
from rig.monitor.feeds import ReplayFeed
from rig.monitor.server import Monitor
from rig.settings.config import read_session
from tests.analysis.logs import enveloped
from tests.rig.monitor.pages import Handed, served
from tests.rig.monitor.test_overview import overview
from tests.rig.monitor.test_state import one_trial

_SCREEN = ViewportSize(width=1920, height=1080)
_TABLET = ViewportSize(width=1024, height=1366)
_SHOWN_SHARE = 0.8
"""Which part of the session has passed in the pictures."""
_FAULT = "frame 212 is missing in its file; check the free space on the microscope's computer"


def take_states(browser: Browser, folder: Path, images: Path) -> None:
    """Write the pictures of a recorded session into a folder."""
    _of_a_session(browser, folder, images)
    _of_several_rigs(browser, folder, images)


def _of_a_session(browser: Browser, folder: Path, images: Path) -> None:
    feed = ReplayFeed(folder)
    feed.play(False, 1.0)
    feed.seek(0.0)
    with served(folder, feed, watches=True) as page:
        _complete(page.monitor, folder)
        feed.seek(_SHOWN_SHARE)
        feed.play(True, 0.5)
        tab = browser.new_page(viewport=_SCREEN)
        tab.goto(page.address)
        _settle(tab)
        tab.set_viewport_size(_TABLET)
        _settle(tab)
        _shoot(tab, images / "live_page_tablet.png")
        tab.set_viewport_size(_SCREEN)
        for envelope, message in enveloped([("stream", Fault(page.monitor.state.t, _FAULT))]):
            page.monitor.state.handle(envelope, message)
        expect(tab.locator("#alarm")).to_be_visible()
        _settle(tab)
        _shoot(tab, images / "live_page_fault.png")
    expect(tab.locator("body")).to_have_class("stale")
    _shoot(tab, images / "live_page_no_data.png")
    tab.close()


def _of_several_rigs(browser: Browser, folder: Path, images: Path) -> None:
    left, right = Handed(), Handed()
    left.hand(enveloped(one_trial()))
    right.hand(enveloped([*one_trial(), ("stream", Fault(2_000_000_000, _FAULT))]))
    with served(folder, left) as one, served(folder, right) as other:
        rigs = {"left": one.address, "right": other.address, "upstairs": "http://127.0.0.1:9"}
        with overview(rigs) as address:
            tab = browser.new_page(viewport={"width": 1920, "height": 480})
            tab.goto(address)
            expect(tab.locator(".rig.fault")).to_be_visible()
            _shoot(tab, images / "overview.png")
            tab.close()


def _complete(monitor: Monitor, folder: Path) -> None:
    monitor.imaging = _imaging(folder)
    monitor.screens = ScreensView(folder, read_session(folder))
    monitor.past = last_sessions(folder)


def _settle(tab: Page) -> None:
    tab.wait_for_timeout(4000)  # slow panels are drawn once a second, images twice


def _shoot(tab: Page, path: Path) -> None:
    tab.screenshot(path=path)
