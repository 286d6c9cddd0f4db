"""The requests that the live page's process sends to the session, valid or not."""

import sys
from pathlib import Path

import pytest

from rig.clock import SetClock
from rig.messages import OperatorRequest
from rig.session.live_page import LivePage, Page
from rig.transport.envelope import Sender, pack

LINES = (
    r"""{"address": "http://127.0.0.1:1/#token=x"}""",
    r"""{"verb": "note", "text": "half of a face \ud83d", "by": "page \ud800"}""",
    r"""{"verb": "note", "text": "\u001b[2J", "by": "page"}""",
    "not json",
    "[1]",
    "null",
    "[" * 5000,
    r"""{"verb": ["stop"], "text": {}, "by": null}""",
)


def page_that_prints(folder: Path, monkeypatch: pytest.MonkeyPatch, then: str) -> LivePage:
    """Return a live page whose process prints LINES, and then runs a command."""
    (folder / "lines").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    program = folder / "program"
    program.write_text(f"#!/bin/sh\ncat {folder}/lines\n{then}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return LivePage(folder, SetClock(), Page.SERVED)


def test_no_request_of_a_page_can_end_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = page_that_prints(tmp_path, monkeypatch, "cat >/dev/null")
    asked: list[tuple[str, str, str]] = []
    while len(asked) < 3:
        asked += page.poll()
    page.end()
    assert page.address == "http://127.0.0.1:1/#token=x"
    assert asked[0] == ("note", "half of a face \ufffd", "page \ufffd")
    assert asked[1] == ("note", "\ufffd[2J", "page")
    sender = Sender("launch", SetClock())
    for verb, text, by in asked[:2]:  # they can be published
        assert verb == "note"
        pack(sender.wrap(OperatorRequest(0, 1, 0, "note", text, by)))


def test_a_page_that_ends_repeatedly_is_not_an_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a fault would pause the session until someone answers on a page that is gone."""
    clock = SetClock()
    page_that_prints(tmp_path, monkeypatch, "exit 1")
    page = LivePage(tmp_path, clock, Page.SERVED)
    page.poll()
    while not page.address:
        page.poll()
    for _ in range(10_000):
        clock.set(clock.now() + 11_000_000_000)
        page.poll()
        if not page.address:
            break
    page.end()
    assert not page.address
