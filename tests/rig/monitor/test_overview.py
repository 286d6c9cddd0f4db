"""Several rigs on one page."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import expect
from typer.testing import CliRunner

from rig.cli.main import app
from rig.messages import Fault
from rig.monitor.overview import Overview, overview_application
from rig.monitor.serve import bind, serve
from tests.analysis.logs import MS, enveloped
from tests.rig.monitor.browsers import chromium
from tests.rig.monitor.pages import TOKEN, Handed, served
from tests.rig.monitor.test_state import one_trial

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=document.title=1>"


@contextmanager
def overview(rigs: dict[str, str]) -> Iterator[str]:
    listening = bind("127.0.0.1", 0)
    servers: list[uvicorn.Server] = []
    ready = threading.Event()

    def started(server: uvicorn.Server) -> None:
        servers.append(server)
        ready.set()

    application = overview_application(Overview(rigs))
    thread = threading.Thread(target=serve, args=(application, listening, None, None, started))
    thread.start()
    ready.wait()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        servers[0].should_exit = True
        thread.join()


def test_each_rig_is_a_line_and_one_that_is_gone_is_grey(tmp_path: Path) -> None:
    left, right = Handed(), Handed()
    left.hand(enveloped(one_trial()))
    right.hand(enveloped([*one_trial(), ("stream", Fault(2000 * MS, HOSTILE))]))
    with served(tmp_path, left) as one, served(tmp_path, right) as other:
        rigs = {"left": f"{one.address}/#token={TOKEN}", "right": other.address}
        rigs["none"] = "http://127.0.0.1:9"
        with overview(rigs) as address, chromium() as browser:
            tab = browser.new_page()
            tab.goto(address)
            line = tab.locator(".rig")
            expect(line.nth(0)).to_have_class("rig runs")
            expect(line.nth(0)).to_contain_text("VR2task · train1")
            expect(line.nth(0)).to_contain_text("18µl today of 1000")
            assert line.nth(0).get_attribute("href") == one.address  # without the token
            expect(line.nth(1)).to_have_class("rig fault")
            expect(line.nth(1)).to_contain_text(f"1 fault: {HOSTILE}")
            expect(line.nth(2)).to_have_class("rig away")
            expect(line.nth(2)).to_contain_text("nothing runs there")
            expect(tab.locator("#count")).to_have_text("2 of 3 run a session")
            with tab.expect_popup() as entered:
                line.nth(0).click()
            expect(entered.value.locator("#subject")).to_have_text("VR2")
            one.stop()
            expect(line.nth(0)).to_have_class("rig away", timeout=15_000)
            expect(line.nth(1)).to_have_class("rig fault")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["left"], "write NAME=ADDRESS"),
        (["left=rig1.lab:8571"], "not the address of a live page"),
        (["left=file:///etc/passwd"], "not the address of a live page"),
        ([], "name the rigs"),
        (["a=http://x", "--trust", "/none"], "is not a certificate"),
        (["a=http://x", "--host", "0.0.0.0"], "needs TLS"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(
    arguments: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["overview", "--no-browser", *arguments])
    assert why in str(result.exception)
