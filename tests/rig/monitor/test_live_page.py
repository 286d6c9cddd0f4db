"""The live page beside a real session: it shows it, acts on it, and never harms it."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
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
from rig.transport.log import LOG_FILE, read
from tests.live import Live

PROCESS = "rig.cli.sessions.live_page_process"
SETS = ("task.grey_before_s=0.3", "task.texture_m=2.0", "task.cue_from_m=0.3", "task.cue_to_m=0.6")


def session(tmp_path: Path, minutes: str = "1") -> Live:
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    args = ("--minutes", minutes)
    setup = behavior_alone(tmp_path)
    return Live(tmp_path / "data", *SETS, setup=setup, args=args, env=env, page=True)


def ask(address: str, verb: str, text: str = "", number: str = "request-1") -> str:
    page, token = address.split("/#token=")
    body = json.dumps({"id": number, "verb": verb, "text": text}).encode()
    request = urllib.request.Request(f"{page}/request", body, {"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as response:
        answer: str = json.load(response)["answer"]
    return answer


def updates(address: str) -> Any:
    """Yield what a browser is sent."""
    with connect(address.split("/#", maxsplit=1)[0].replace("http", "ws") + "/live") as socket:
        while True:
            yield json.loads(socket.recv())
            socket.send("drawn")


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
        shown = next(u for u in updates(address) if u["head"]["trial"] >= 0)
        assert shown["session"]["subject"] == "test"
        assert {"task", "hardware", "referee"} <= {p["name"] for p in shown["processes"]}
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
        _, refused = live.until(SettingChange, trial=-1)
        assert "up to 3 ul" in refused.refused
        _, change = live.until(SettingChange, new="2.0")
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


def test_killed_it_comes_back_whole_and_the_session_goes_on(tmp_path: Path) -> None:
    with session(tmp_path) as live:
        address = live.page_address()
        live.until(TrialStart)
        live.signal(PROCESS, signal.SIGKILL)
        shown = next(_reconnected(live, address))
        assert shown["session"]["subject"] == "test"
        assert shown["trials"][0]["trial"] == 0
        ask(address, "quit")
        assert live.end()[0] == 0


def test_stopped_it_changes_nothing_in_the_session(tmp_path: Path) -> None:
    with session(tmp_path, "0.3") as live:
        live.page_address()
        live.until(TrialStart)
        live.signal(PROCESS, signal.SIGSTOP)
        code, output = live.end()
        assert code == 0, output
        assert "time is up" in output
        positions = [w.t for _, w in read(live.folder / LOG_FILE) if isinstance(w, Position)]
        assert len(positions) > 10_000
