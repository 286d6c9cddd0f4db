"""Sessions of recorded real animals replay, and their mice run the recorded path."""

from pathlib import Path

import pytest

from analysis.session import Session
from rig.cli.chaos.session_process import behavior_alone
from rig.replay.replay import replay
from rig.session.provenance import about
from tests.live import Live

MICE = Path(__file__).parents[1].parent / "shared" / "data" / "mouse_vr"
BRIEF = ("task.grey_before_s=0.2", "task.grey_after_s=0.2")
RUNS_FROM_S = {"mouse1_day1": 3.0, "mouse1_day5": 88.0, "mouse3_day5": 5.0}
"""When each recorded animal begins to run."""


@pytest.mark.parametrize("name", RUNS_FROM_S)
def test_a_session_of_a_recorded_mouse_replays(name: str, tmp_path: Path) -> None:
    file = MICE / f"{name}.csv.gz"
    if not file.exists():
        pytest.skip(f"the recordings are not here: {file} is missing")
    args = ("--mouse", str(file), "--minutes", "0.08")
    start = f"nodes.hardware.boards.bench.mouse.start_s={RUNS_FROM_S[name]}"
    setup = behavior_alone(tmp_path)
    with Live(tmp_path / "data", *BRIEF, start, setup=setup, args=args) as live:
        code, output = live.end()
        assert code == 0, output
        session = Session(live.folder)
        assert session.end_reason == "time is up"
        assert session.wheel.counts.iloc[-1] > 1000
        assert len(session.trials) > 0
        assert (live.folder / "files" / file.name).read_bytes() == file.read_bytes()
        report = replay(live.folder, [], about())
        assert report.first is None
        assert report.exact
        assert report.compared["task"] > len(session.position)
