"""A page that was scanned but not saved, and an analysis slower than the ring, are reported."""

import signal
from pathlib import Path

from rig.messages import Fault, Frame, Integrity
from rig.replay.replay import Report, replay
from rig.session.provenance import about
from rig.settings.config import read_session
from tests.live import NO_SCREEN, Live

ONLINE = "analysis.online"
LOST = 20
SLOTS = 2
SETS = (
    NO_SCREEN,
    "task.grey_before_s=0.2",
    "task.minutes=2",
    "nodes.mesoscope.frame_rate_hz=10",
    f"nodes.mesoscope.injected_faults.pages_lost=[{LOST}]",
    f"rig.ring_slots={SLOTS}",
)


def overrun(live: Live) -> str:
    """Delay the analysis until the ring is overrun by two frames; return its Fault."""
    struck_s = live.signal(ONLINE, signal.SIGSTOP)
    stopped_t = struck_s * 1e9 - read_session(live.folder).t0_ns
    later = 0
    while later < SLOTS + 2:
        later += live.until(Frame)[1].t > stopped_t
    live.signal(ONLINE, signal.SIGCONT)
    while True:
        envelope, fault = live.until(Fault)
        if envelope.sender == "online":
            return fault.text


def check_replay(report: Report, frames: int) -> None:
    assert report.first is None
    assert report.compared["online"] == frames + 1  # the signals at the end of the session
    assert report.compared["integrity"] > frames


def test_a_lost_page_and_an_overrun_are_reported_and_change_nothing_else(tmp_path: Path) -> None:
    with Live(tmp_path, *SETS) as live:
        _, found = live.until(Integrity, number=LOST)
        # On a busy machine its edge may be found early or late, too.
        assert "page lost" in found.findings
        assert (found.frame, found.sound) == (None, False)
        assert "was overwritten in the ring before it was read" in overrun(live)
        live.signal("launch", signal.SIGINT)
        code, output = live.end()
        assert code == 0, output
        summary = live.summary()
        assert "NOT SOUND: counts differ 1, " in output
        assert "page lost 1 (" in output
        assert summary["integrity"]["findings"]["page lost"] == 1
        assert summary["integrity"]["edges"] == summary["integrity"]["pages"] + 1
        assert summary["overruns"]["online"] >= 2
        frames = {summary[f"frames_{how}"] for how in ("written", "streamed", "analysed")}
        assert frames == {summary["integrity"]["pages"]}
        check_replay(replay(live.folder, [], about()), frames.pop())
