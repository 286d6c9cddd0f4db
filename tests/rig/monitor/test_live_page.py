"""The live page of a real session: it shows the session, sends requests, and never disturbs it."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from rig.cli.chaos.session_process import behavior_alone
from rig.messages import (
    Arm,
    OperatorRequest,
    Position,
    SettingChange,
    TrialEnd,
    TrialStart,
    Valve,
)
from rig.transport.log import LOG_FILE, read, read_completeness
from tests.live import Live
from tests.rig.monitor.pages import post

PROCESS = "rig.cli.sessions.live_page_process"
SETS = ("task.grey_before_s=0.3", "task.texture_m=2.0", "task.cue_from_m=0.3", "task.cue_to_m=0.6")


def session(tmp_path: Path) -> Live:
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    setup = behavior_alone(tmp_path)
    return Live(tmp_path / "data", *SETS, setup=setup, env=env, page=True)


def ask(address: str, verb: str, text: str = "", number: str = "request-1") -> str:
    page, token = address.split("/#token=")
    body = json.dumps({"id": number, "verb": verb, "text": text}).encode()
    request = urllib.request.Request(f"{page}/request", body, {"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as response:
        answer: str = json.load(response)["answer"]
    return answer


def updates(address: str) -> Any:
    """Yield the updates that a browser gets."""
    with connect(address.split("/#", maxsplit=1)[0].replace("http", "ws") + "/live") as socket:
        while True:
            yield json.loads(socket.recv())
            socket.send("drawn")


def shown(received: Iterable[Any]) -> tuple[str, set[int]]:
    """Return the animal and the trials that a browser shows, once it shows a running session.

    The processes and the session are computed once a second, the trials at every update.
    """
    subject, trials, processes = "", set[int](), set[str]()
    for update in received:
        subject = update.get("session", {}).get("subject", subject)
        trials |= {row["trial"] for row in update["trials"]}
        processes |= {row["name"] for row in update.get("processes", ())}
        running = update["head"]["trial"] >= 0 and {"task", "hardware", "referee"} <= processes
        if subject and trials and running:
            break
    return subject, trials


def _reconnected(live: Live, address: str) -> Any:
    """Return the updates of a page that is being started again at the same address."""
    while live.process.poll() is None:
        try:
            yield from updates(address)
        except (OSError, WebSocketException):
            time.sleep(0.1)
    raise AssertionError("the session ended without a page")


def test_it_shows_the_session_and_its_requests_are_in_the_log(tmp_path: Path) -> None:
    with session(tmp_path) as live:
        address = live.page_address()
        live.until(TrialStart)
        subject, _ = shown(updates(address))
        assert subject == "test"
        assert ask(address, "note", "drinks [/b] <i>well</i>") == "note was sent"
        live.until(OperatorRequest, verb="note")
        for _ in range(2):  # sent again under one id: one reward
            ask(address, "water", number="request-water")
        live.until(Valve, manual=True)
        ask(address, "quit", number="request-quit")
        code, output = live.end()
        assert code == 0, output
        logged = [w for _, w in read(live.folder / LOG_FILE) if isinstance(w, OperatorRequest)]
        assert [(w.verb, w.text) for w in logged] == [
            ("note", "drinks [/b] <i>well</i>"),
            ("water", ""),
        ]


def test_a_setting_changed_on_the_page_is_logged_applied_and_replayed(tmp_path: Path) -> None:
    with session(tmp_path) as live:
        address = live.page_address()
        live.until(TrialStart)
        ask(address, "set", "reward_ul=2", "request-set")
        ask(address, "set", "reward_ul=20", "request-large")
        # the next trial, and with it the change, may begin before the second request
        changes = [live.until(SettingChange)[1] for _ in range(2)]
        change, refused = sorted(changes, key=lambda change: change.refused)
        assert "up to 3 ul" in refused.refused
        assert (change.trial > 0, change.new) == (True, "2.0")
        assert (change.old, change.by) == ("3.0", "page at 127.0.0.1")
        live.until(TrialEnd, trial=change.trial)
        ask(address, "quit", number="request-quit")
        code, output = live.end()
        assert code == 0, output
        text = f"reward_ul changes from 3.0 to 2.0 in trial {change.trial}, by page at 127.0.0.1"
        assert text in output
        arms = [w for _, w in read(live.folder / LOG_FILE) if isinstance(w, Arm)]
        assert all(arm.volume_ul == 2.0 for arm in arms if arm.t >= change.t)
        program = "from rig.cli.main import main; main()"
        command = [sys.executable, "-c", program, "replay", str(live.folder), "--verify"]
        verified = subprocess.run(command, capture_output=True, text=True, check=False)
        assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_killed_page_is_restarted_and_the_session_continues(tmp_path: Path) -> None:
    with session(tmp_path) as live:
        address = live.page_address()
        live.until(TrialStart)
        live.signal(PROCESS, signal.SIGKILL)
        subject, trials = shown(_reconnected(live, address))
        assert (subject, min(trials)) == ("test", 0)
        ask(address, "quit")
        assert live.end()[0] == 0


def test_a_stopped_page_changes_nothing_and_gives_no_late_water(tmp_path: Path) -> None:
    with session(tmp_path) as live, ThreadPoolExecutor() as pool:
        page, token = live.page_address().split("/#token=")
        live.until(TrialStart)
        live.signal(PROCESS, signal.SIGSTOP)
        _, stopped = live.until(Position)
        water = {"id": "request-water", "verb": "water", "t_s": stopped.t / 1e9}
        asked = pool.submit(post, f"{page}/request", water, token, None)
        while live.until(Position)[1].t < stopped.t + 5_000_000_000:
            pass
        live.signal(PROCESS, signal.SIGCONT)
        status, answer = asked.result()
        assert status == 409
        assert answer.endswith("s ago, so nothing was done; ask again")
        live.signal("launch", signal.SIGINT)
        code, output = live.end()
        assert code == 0, output
        logged = [message for _, message in read(live.folder / LOG_FILE)]
        assert not [message for message in logged if isinstance(message, OperatorRequest)]
        completeness = read_completeness(live.folder / LOG_FILE)
        assert completeness is not None and completeness.whole
