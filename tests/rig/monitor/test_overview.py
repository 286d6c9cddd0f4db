"""Several rigs on one page."""

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Route, expect
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


def test_each_rig_is_a_line_and_one_that_does_not_answer_is_grey(tmp_path: Path) -> None:
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


STRANGE = (
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 4000,
    b'HTTP/1.1 200 OK\r\n\r\n{"today_ul": "much"}',
    b'HTTP/1.1 200 OK\r\n\r\n{"name": "x", "address": "javascript:alert(1)", "subject": "VR9"}',
    b"HTTP/1.1 200 OK\r\n\r\n" + b'{"subject": "' + b"x" * 100_000,
    b"",
)
"""What a rig may answer that is no live page, or has another version."""


@contextmanager
def answering(data: bytes) -> Iterator[str]:
    """Answer each request with the same bytes; yield the address."""

    def answer(listening: socket.socket) -> None:
        with suppress(OSError):  # until the socket is closed
            while True:
                one, _ = listening.accept()
                with one, suppress(OSError):
                    one.recv(4096)
                    one.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def test_a_rig_with_a_strange_answer_does_not_disturb_the_others(tmp_path: Path) -> None:
    left = Handed()
    with ExitStack() as stack:
        one = stack.enter_context(served(tmp_path, left))
        rigs = {f"strange{n}": stack.enter_context(answering(d)) for n, d in enumerate(STRANGE)}
        address = stack.enter_context(overview({**rigs, "left": one.address}))

        def rows() -> dict[str, Any]:
            with urllib.request.urlopen(f"{address}/rigs") as response:
                return {row["name"]: row for row in json.load(response)}

        while not all(row["wrong"] or row["age_s"] is not None for row in rows().values()):
            pass
        left.hand(enveloped(one_trial()))
        while rows()["left"]["subject"] != "VR2":  # it is still asked
            pass
        found = rows()
    assert {found[name]["address"] for name in rigs} == set(rigs.values())
    assert found["strange3"]["subject"] == "VR9"
    assert all(found[f"strange{n}"]["wrong"] for n in (0, 1, 2, 4, 5))


def test_an_overview_that_does_not_answer_is_grey(tmp_path: Path) -> None:
    left = Handed()
    left.hand(enveloped(one_trial()))
    held: list[Route] = []  # requests that are never answered, as by a process that was stopped

    def hold(route: Route) -> None:
        held.append(route)

    with (
        served(tmp_path, left) as one,
        overview({"left": one.address}) as address,
        chromium() as browser,
    ):
        tab = browser.new_page()
        tab.goto(address)
        expect(tab.locator(".rig")).to_have_class("rig runs")
        tab.route("**/rigs", hold)
        expect(tab.locator("#link")).to_contain_text("NO DATA FOR")
        expect(tab.locator("body")).to_have_class("stale")


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
