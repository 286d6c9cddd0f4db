"""The server of the live page: permissions, and answers to requests."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from rig.errors import Refused
from rig.messages import Fault, Message
from rig.monitor.feeds import ReplayFeed
from rig.monitor.imaging import ImagingView
from rig.monitor.serve import bind, read_token, serve
from rig.monitor.server import Monitor, application
from rig.monitor.usage import Usage
from rig.transport.envelope import Envelope
from tests.analysis.logs import enveloped, write_log
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
        (b"[" * 4000, "cannot be read"),
        ({"id": ID, "verb": "note", "text": "half of a face: \ud83d"}, "cannot be printed"),
        ({"id": ID, "verb": "note", "text": "\x1b[2J"}, "cannot be printed"),
        ({"id": ID, "verb": "pause", "text": "\ud800"}, "cannot be printed"),
    ],
)
def test_a_bad_request_gets_one_sentence(page: Page, body: object, answer: str) -> None:
    status, reply = page.ask(body)
    assert status == 400
    assert answer in reply
    assert page.accepted == []


@pytest.mark.parametrize("verb", ["water", "pause", "resume", "stop", "quit"])
def test_a_request_that_comes_late_or_from_another_session_does_nothing(
    page: Page, verb: str
) -> None:
    page.monitor.state.t = 60_000_000_000
    late = page.ask({"id": ID, "verb": verb, "t_s": 52.5})
    assert late == (409, "this was asked 8 s ago, so nothing was done; ask again")
    other = page.ask({"id": ID, "verb": verb, "t_s": 4000})
    assert other == (409, "this was asked of another session; nothing was done")
    for t_s in ("now", float("nan"), [1]):
        assert page.ask({"id": ID, "verb": verb, "t_s": t_s})[1].startswith("the request has no")
    assert page.accepted == []
    assert page.ask({"id": ID, "verb": verb, "t_s": 59.2})[0] == 200
    assert page.ask({"id": ID, "verb": verb, "t_s": 52.5})[0] == 200  # sent again: its answer
    assert page.accepted == [(verb, "")]


def test_a_note_that_comes_late_is_kept(page: Page) -> None:
    page.monitor.state.t = 60_000_000_000
    note = {"id": ID, "verb": "note", "text": "drinks well", "t_s": 0}
    assert page.ask(note) == (200, "note was sent")


def test_all_faults_are_acknowledged_at_once_up_to_the_last_that_was_seen(page: Page) -> None:
    faults = [("stream", Fault(n, f"fault {n}")) for n in range(200)]
    for envelope, message in enveloped(faults):
        page.monitor.state.handle(envelope, message)
    assert page.ask({"id": ID, "verb": "acknowledge", "text": "197"}) == (200, "seen")
    open_ = [row["number"] for row in page.monitor.state.faults if not row["acknowledged"]]
    assert open_ == [198, 199]


def test_an_error_in_the_program_is_answered_with_a_sentence(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(body: object, by: str) -> tuple[int, str]:
        raise ZeroDivisionError

    monkeypatch.setattr(page.monitor, "take_request", fail)
    status, answer = page.ask({"id": ID, "verb": "water"})
    assert status == 500
    assert answer == "this failed (ZeroDivisionError); details are in the terminal of the page"


def test_a_flood_of_requests_is_held_off(page: Page) -> None:
    answers = [page.ask({"id": ID, "verb": "water"}, token="x")[0] for _ in range(70)]
    assert answers[0] == 401
    assert answers[-1] == 429
    assert page.ask({"id": ID, "verb": "water"})[0] == 200  # the operator is not affected


def test_a_page_that_only_watches_takes_no_request(tmp_path: Path) -> None:
    feed = Handed()
    feed.hand(enveloped([STARTED]))
    with served(tmp_path, feed, watches=True) as page:
        assert page.ask({"id": ID, "verb": "water"})[0] == 409


def test_seeking_is_refused_without_a_replay(page: Page) -> None:
    assert page.ask({"playing": False}, path="/replay")[0] == 409


@pytest.mark.parametrize(
    "body", [b'{"speed": NaN}', b'{"share": "nan"}', b'{"share": 1' + b"0" * 400 + b"}", b"[" * 99]
)
def test_a_replay_continues_after_an_invalid_request(tmp_path: Path, body: bytes) -> None:
    write_log(tmp_path, enveloped([STARTED]))
    with served(tmp_path, ReplayFeed(tmp_path), watches=True) as page:
        assert page.ask(body, path="/replay")[0] == 400
        with connect(page.address.replace("http", "ws") + "/live") as socket:
            for _ in range(3):
                socket.recv()
                socket.send("drawn")


def test_a_port_in_use_is_refused_in_one_sentence() -> None:
    taken = bind("127.0.0.1", 0)
    with taken, pytest.raises(Refused, match="choose another one: --port"):
        bind("127.0.0.1", taken.getsockname()[1])


def test_a_folder_that_is_not_a_session_is_not_replayed(tmp_path: Path) -> None:
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


def test_the_whole_token_is_compared(page: Page) -> None:
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


@pytest.mark.parametrize("sent", ["drawn", "", "x" * 4000, b"\xff\x00", b""])
def test_anything_that_a_browser_sends_counts_as_drawn(page: Page, sent: str | bytes) -> None:
    with connect(page.address.replace("http", "ws") + "/live") as socket:
        socket.recv()
        socket.send(sent)
        assert not json.loads(socket.recv())["snapshot"]


def test_readers_do_not_keep_the_operator_out(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rig.monitor.server._MOST_READERS", 3)
    address = page.address.replace("http", "ws") + "/live"
    with connect(address) as first, connect(address) as second, connect(address) as third:
        for socket in (first, second, third):
            socket.recv()
        with connect(address) as fourth, pytest.raises(ConnectionClosed) as closed:
            fourth.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason[:10]) == (4429, "3 browsers")
        assert page.ask({"id": ID, "verb": "water"})[0] == 200
        third.close()
        while page.monitor.readers == 3:
            page.get("/")
        with connect(address) as again:
            assert json.loads(again.recv())["snapshot"]


def test_a_hundred_readers_are_sent_what_one_is_sent(page: Page) -> None:
    address = page.address.replace("http", "ws") + "/live"
    with ExitStack() as stack:
        sockets = [stack.enter_context(connect(address)) for _ in range(100)]
        assert all(json.loads(socket.recv())["snapshot"] for socket in sockets)
        assert page.ask({"id": ID, "verb": "water"})[0] == 200


class Broken(ImagingView):
    """An imaging panel that fails."""

    def read_pages(self) -> None:
        raise ValueError("half a page")


def test_a_part_that_fails_is_reported_and_the_rest_is_shown(tmp_path: Path) -> None:
    feed = Handed()
    with served(tmp_path, feed) as page:
        page.monitor.imaging = Broken(tmp_path)
        with connect(page.address.replace("http", "ws") + "/live") as socket:
            faults = json.loads(socket.recv())["faults"]
            while not faults:
                socket.send("drawn")
                faults = json.loads(socket.recv())["faults"]
            feed.hand(enveloped([STARTED]))
            subject = ""
            while not subject:
                socket.send("drawn")
                subject = json.loads(socket.recv()).get("session", {}).get("subject", "")
    assert faults[0]["text"].startswith(
        "the imaging page cannot be shown (ValueError('half a page')"
    )


class Failing(Handed):
    """A feed that fails."""

    def take(self) -> list[tuple[Envelope, Message]]:
        raise OSError("the ring is gone")


def test_a_page_that_cannot_follow_its_session_ends(tmp_path: Path) -> None:
    """A page that is not updated would mislead; rig run starts it again."""
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
