"""Real animals' recorded runs drive the rig through the same path, and their sessions replay."""

from pathlib import Path

import pytest

from analysis.session import Session
from rig.replay import replay
from rig.session.about import about
from tests.live import NO_SCREEN, Live

MICE = Path(__file__).parents[1].parent / "shared" / "data" / "mouse_vr"
NAMES = ("mouse1_day1", "mouse1_day5", "mouse3_day5")


@pytest.mark.parametrize("name", NAMES)
def test_a_session_of_a_recorded_mouse_replays(name: str, tmp_path: Path) -> None:
    file = MICE / f"{name}.csv.gz"
    if not file.exists():
        pytest.skip(f"the recordings are not here: {file} is missing")
    args = ("--mouse", str(file), "--minutes", "0.25")
    with Live(tmp_path, NO_SCREEN, "task.grey_before_s=1", args=args) as live:
        code, output = live.end()
        assert code == 0, output
        session = Session(live.folder)
        assert session.end_reason == "time is up"
        assert session.wheel.counts.iloc[-1] > 0
        assert len(session.trials) > 0
        assert (live.folder / "files" / file.name).read_bytes() == file.read_bytes()
        report = replay(live.folder, [], about())
        assert report.first is None
        assert report.exact
        assert report.compared["task"] > len(session.position)
