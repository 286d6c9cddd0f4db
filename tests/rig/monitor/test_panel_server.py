"""The server of the panel: permissions, and answers to requests."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from rig.errors import Refused
from rig.monitor.imaging import ImagingView
from rig.monitor.panel import Row, panel_application
from rig.monitor.serve import bind, serve
from rig.monitor.server import Monitor
from rig.monitor.usage import Usage
from tests.analysis.logs import enveloped
from tests.rig.monitor.pages import TOKEN, Handed, post, served
from tests.rig.monitor.test_state import STARTED

WEIGH = {"id": "0123456789", "verb": "weigh", "name": "VR2", "grams": "21.4"}
STOP = {"id": "9876543210", "verb": "stop"}


class FakeDesk:
    """A desk that records its requests."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.showing, self.done = folder, False, list[tuple[str, Row]]()

    def state(self) -> Row:
        return {"phase": "ready", "folder": str(self.folder)}

    def look(self) -> Path | None:
        return self.folder if self.showing else None

    def animals(self) -> Row:
        return {"animals": [{"name": "VR2"}]}

    def animal(self, name: str) -> Row:
        raise Refused(f"there is no subject {name}")

    def act(self, verb: str, values: Row) -> Row:
        if verb != "weigh":
            raise Refused("that cannot be done")
        self.done.append((verb, values))
        return {"answer": f"done {len(self.done)}"}

    def report(self) -> Path | None:
        path = self.folder / "report.html"
        return path if path.exists() else None


class Served:
    """The panel's server in a thread."""

    def __init__(self, folder: Path) -> None:
        self.desk, self.session_page = FakeDesk(folder), ""
        self._server: uvicorn.Server | None = None
        listening, ready = bind("127.0.0.1", 0), threading.Event()
        self.address = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def watched(shown: Path) -> Monitor:
            feed = Handed()
            feed.hand(enveloped([STARTED]))
            return Monitor(feed, ImagingView(shown), Usage(shown, False), TOKEN, lambda *_: None)

        def started(server: uvicorn.Server) -> None:
            self._server = server
            ready.set()

        app = panel_application(self.desk, watched, TOKEN, lambda _: self.session_page)
        self._thread = threading.Thread(
            target=serve, args=(app, listening), kwargs={"started": started}
        )
        self._thread.start()
        ready.wait(10)

    def post(
        self, body: Any, token: str = TOKEN, origin: str | None = None, path: str = "/panel/act"
    ) -> tuple[int, str]:
        return post(self.address + path, body, token, origin)

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        try:
            with urllib.request.urlopen(self.address + path) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                return response.status, headers, response.read()
        except urllib.error.HTTPError as error:
            return error.code, {}, error.read()

    def show_session(self) -> None:
        """Have the panel show a session."""
        self.desk.showing = True
        while json.loads(self.get("/panel/state")[2])["head"] is None:
            time.sleep(0.05)

    def stop(self) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    yield served
    served.stop()


def test_a_guest_and_a_page_of_another_origin_may_not_act(panel: Served) -> None:
    assert panel.post(WEIGH, token="")[0] == 401
    assert panel.post(WEIGH, token="guessed")[0] == 401
    assert panel.post(WEIGH, origin="http://evil.example")[0] == 403
    assert panel.desk.done == []
    assert panel.post(WEIGH, origin=panel.address) == (200, "done 1")


def test_a_repeated_request_is_done_once(panel: Served) -> None:
    answers = [panel.post(WEIGH) for _ in range(3)]
    assert answers == [(200, "done 1")] * 3
    assert panel.post({**WEIGH, "id": "another-id"}) == (200, "done 2")


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ({**WEIGH, "id": "1"}, 400, "no valid id"),
        (b"not json", 400, "cannot be read"),
        (b"[1]", 400, "cannot be read"),
        (json.dumps({**WEIGH, "note": "x" * 5000}).encode(), 400, "cannot be read"),
        ({**WEIGH, "verb": "open"}, 409, "that cannot be done"),
    ],
)
def test_a_bad_request_gets_one_sentence(
    panel: Served, body: Any, status: int, answer: str
) -> None:
    assert panel.post(body)[0] == status
    assert answer in panel.post(body)[1]
    assert panel.desk.done == []


def test_a_flood_of_requests_is_held_off(panel: Served) -> None:
    statuses = [panel.post(WEIGH, token="x")[0] for _ in range(70)]
    assert (statuses[0], statuses[-1]) == (401, 429)


def test_the_panel_may_load_nothing_from_elsewhere(panel: Served) -> None:
    status, headers, body = panel.get("/")
    assert status == 200
    assert "default-src 'self'" in headers["content-security-policy"]
    assert b"http://" not in body and b"https://" not in body and b" style=" not in body
    names = ("panel.js", "panel.css", "monitor.css", "charts.js")
    assert len(body) + sum(len(panel.get(f"/{name}")[2]) for name in names) < 100_000


def test_a_request_for_an_unknown_animal_gets_one_sentence(panel: Served) -> None:
    status, _, body = panel.get("/panel/animal?name=VR9")
    assert (status, json.loads(body)["answer"]) == (409, "there is no subject VR9")
    assert json.loads(panel.get("/panel/animals")[2])["animals"] == [{"name": "VR2"}]


def test_a_report_runs_without_the_panels_origin(panel: Served) -> None:
    assert panel.get("/report")[0] == 404
    (panel.desk.folder / "report.html").write_text("<script>1</script>")
    policy = panel.get("/report")[1]["content-security-policy"]
    assert "sandbox allow-scripts;" in policy and "allow-same-origin" not in policy
    assert "default-src 'none'" in policy


def test_without_a_session_there_is_no_live_page(panel: Served) -> None:
    assert b"rig panel" in panel.get("/session")[2]  # back at the panel
    assert panel.get("/image")[0] == 409
    assert panel.post(STOP, path="/request") == (
        409,
        "no session is running; start one from the panel",
    )
    with pytest.raises(InvalidStatus), connect(panel.address.replace("http", "ws") + "/live"):
        pass


def test_an_overview_gets_whether_a_session_runs(panel: Served) -> None:
    assert json.loads(panel.get("/status")[2]) == {"phase": "ready"}
    panel.show_session()
    assert json.loads(panel.get("/status")[2])["subject"] == "VR2"


def test_a_session_is_shown_to_this_page_only(panel: Served) -> None:
    panel.show_session()
    assert b"Corridor" in panel.get("/session")[2]
    live = panel.address.replace("http", "ws") + "/live"
    with connect(live) as socket:
        assert '"subject":"VR2"' in str(socket.recv())
    with pytest.raises(InvalidStatus), connect(live, origin=Origin("http://evil.example")):
        pass


def test_a_browser_that_watched_a_session_is_sent_the_next_one(
    panel: Served, tmp_path: Path
) -> None:
    panel.show_session()
    with connect(panel.address.replace("http", "ws") + "/live") as socket:
        socket.recv()
        panel.desk.folder = tmp_path / "next"
        for _ in socket:  # until the connection is closed and the page connects again
            pass
    panel.show_session()


def test_requests_to_a_session_are_forwarded_to_its_own_page(panel: Served, tmp_path: Path) -> None:
    panel.show_session()
    gone = (503, "the session does not answer; use its terminal, or try again")
    assert panel.post(STOP, path="/request") == gone
    panel.session_page = "http://127.0.0.1:9/#token=x"
    assert panel.post({**STOP, "id": "another-id"}, path="/request") == gone
    feed = Handed()
    feed.hand(enveloped([STARTED]))
    with served(tmp_path, feed) as session:
        while not session.monitor.state.session:
            session.get("/")
        panel.session_page = f"{session.address}/#token={TOKEN}"
        water = {"id": "request-water", "verb": "water"}
        for _ in range(2):  # sent again under one id: one reward
            assert panel.post(water, path="/request") == (200, "water was sent")
        assert panel.post({**STOP, "verb": "open"}, path="/request")[0] == 400
        assert panel.post(STOP, token="x", path="/request")[0] == 401
        assert session.accepted == [("water", "")]
        assert session.asked_by == ["page at 127.0.0.1"]
