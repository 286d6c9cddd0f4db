"""The server of the live page: who may do what, and what it answers."""

import json
import urllib.request
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from websockets.sync.client import connect

from rig.errors import Refused
from rig.messages import Message
from rig.monitor.feeds import ReplayFeed
from rig.monitor.imaging import ImagingView
from rig.monitor.serve import bind, read_token, serve
from rig.monitor.server import Monitor, application
from rig.monitor.usage import Usage
from rig.transport.envelope import Envelope
from tests.analysis.logs import enveloped
from tests.rig.monitor.pages import TOKEN, Handed, Page, served
from tests.rig.monitor.test_state import STARTED

ID = "0123456789"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    feed = Handed()
    feed.hand(enveloped([STARTED]))
    with served(tmp_path, feed) as page:
        while not page.monitor.state.session:
            page.get("/")
        yield page


def test_the_page_may_load_nothing_from_elsewhere(page: Page) -> None:
    status, headers, body = page.get("/")
    assert status == 200
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert b"http" not in body.replace(b"http-equiv", b"")


def test_the_whole_page_is_small(page: Page) -> None:
    names = [path.name for path in (files("rig.monitor") / "page").iterdir() if path.is_file()]
    assert {"index.html", "image.js", "monitor.css"} < set(names)
    assert sum(len(page.get(f"/{name}")[2]) for name in names) < 300_000


@pytest.mark.parametrize("path", ["/nothing.js", "/..%2fserver.py", "/server.py", "/page/x.js"])
def test_nothing_but_the_page_is_served(page: Page, path: str) -> None:
    assert page.get(path)[0] == 404


def test_a_guest_may_not_act(page: Page) -> None:
    water = {"id": ID, "verb": "water"}
    assert page.ask(water, token="")[0] == 401
    assert page.ask(water, token="guessed")[0] == 401
    assert page.accepted == []


def test_a_page_of_another_origin_may_not_act_even_with_the_token(page: Page) -> None:
    assert page.ask({"id": ID, "verb": "water"}, origin="http://evil.example")[0] == 403
    assert page.accepted == []
    assert page.ask({"id": ID, "verb": "water"}, origin=page.address)[0] == 200


def test_a_request_that_is_sent_again_is_done_once(page: Page) -> None:
    for _ in range(3):
        assert page.ask({"id": ID, "verb": "water"}) == (200, "water was sent")
    page.ask({"id": f"{ID}-2", "verb": "note", "text": "drinks well"})
    assert page.accepted == [("water", ""), ("note", "drinks well")]


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"verb": "water"}, "no valid id"),
        ({"id": ID, "verb": "open"}, "is not a request"),
        ({"id": ID, "verb": "note", "text": ""}, "1 to 500 characters"),
        ({"id": ID, "verb": "note", "text": "x" * 501}, "1 to 500 characters"),
        ({"id": ID, "verb": "set", "text": "reward_ul"}, "a setting and its value"),
        ({"id": ID, "verb": "set", "text": "reward_ul=1\n2"}, "a setting and its value"),
        ({"id": ID, "verb": "acknowledge", "text": "7"}, "no such fault"),
        ({"id": ID, "verb": "acknowledge", "text": "first"}, "by its number"),
        (b"not json", "cannot be read"),
        (b"[1, 2]", "cannot be read"),
        (b'"' + b"x" * 5000 + b'"', "cannot be read"),
    ],
)
def test_a_bad_request_gets_one_sentence(page: Page, body: object, answer: str) -> None:
    status, reply = page.ask(body)
    assert status == 400
    assert answer in reply
    assert page.accepted == []


def test_a_flood_of_requests_is_held_off(page: Page) -> None:
    answers = [page.ask({"id": ID, "verb": "water"}, token="x")[0] for _ in range(70)]
    assert answers[0] == 401
    assert answers[-1] == 429
    assert page.ask({"id": ID, "verb": "water"})[0] == 200  # the operator is not held off


def test_a_page_that_only_watches_takes_no_request(tmp_path: Path) -> None:
    feed = Handed()
    feed.hand(enveloped([STARTED]))
    with served(tmp_path, feed, watches=True) as page:
        assert page.ask({"id": ID, "verb": "water"})[0] == 409


def test_a_replay_is_moved_only_where_there_is_one(page: Page) -> None:
    assert page.ask({"playing": False}, path="/replay")[0] == 409


def test_a_port_in_use_is_refused_in_one_sentence() -> None:
    taken = bind("127.0.0.1", 0)
    with taken, pytest.raises(Refused, match="choose another one: --port"):
        bind("127.0.0.1", taken.getsockname()[1])


def test_a_folder_that_is_no_session_is_not_replayed(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"contains no .*; name a session folder"):
        ReplayFeed(tmp_path)


def test_a_token_is_made_once_and_refused_if_others_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "rig" / "monitor_token"
    token = read_token(path)
    assert len(token) >= 18
    assert read_token(path) == token
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(Refused, match="chmod 600"):
        read_token(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(Refused, match="too short"):
        read_token(path)


def test_the_token_is_compared_whole(page: Page) -> None:
    assert page.monitor.access.may(f"Bearer {TOKEN}")
    assert not page.monitor.access.may(f"Bearer {TOKEN[:-1]}")
    assert not page.monitor.access.may("")


def test_a_browser_that_does_not_draw_is_sent_one_update(page: Page) -> None:
    with connect(page.address.replace("http", "ws") + "/live") as socket:
        assert json.loads(socket.recv())["snapshot"]
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.5)
        socket.send("drawn")
        assert not json.loads(socket.recv())["snapshot"]


class Failing(Handed):
    """A feed that cannot go on."""

    def take(self) -> list[tuple[Envelope, Message]]:
        raise OSError("the ring is gone")


def test_a_page_that_cannot_follow_its_session_ends(tmp_path: Path) -> None:
    """A page that stands still would mislead; rig run starts it again."""
    monitor = Monitor(Failing(), ImagingView(tmp_path), Usage(tmp_path, False), TOKEN, None)
    with pytest.raises(OSError, match="the ring is gone"):
        serve(application(monitor), bind("127.0.0.1", 0))


@pytest.mark.parametrize(
    ("named", "logged"),
    [
        ("192.168.0.7", "page at 192.168.0.7"),
        ("", "page at 127.0.0.1"),
        ("<b>me</b>", "page at 127.0.0.1"),
        ("1" * 99, "page at 127.0.0.1"),
    ],
)
def test_a_request_that_a_panel_passes_on_is_logged_with_its_browser(
    page: Page, named: str, logged: str
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": named}
    body = json.dumps({"id": ID, "verb": "water"}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{page.address}/request", body, headers)).close()
    assert page.asked_by == [logged]
