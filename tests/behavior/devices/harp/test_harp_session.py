"""A whole imaging session on the shipped setup and a simulated Harp Behavior board."""

from pathlib import Path
from typing import ClassVar

import pytest

from rig.messages import Valve
from rig.replay.replay import replay
from rig.session.provenance import about
from tests.behavior.devices.harp.pty_board import PtyBoard
from tests.behavior.devices.imaging import (
    check_whole_imaging_session,
    messages,
    run_imaging_session,
)
from tests.behavior.sessions import of

TRIALS = 8


class _HarpWires:
    """The wires of the board, as in rig/setups/harp.toml."""

    LINES: ClassVar[dict[str, int]] = {"lick": 0, "frame_clock": 1, "photodiode": 3}

    def __init__(self, board: PtyBoard) -> None:
        self._board = board

    def turn(self, counts: int) -> None:
        self._board.turn(counts)

    def put(self, line: str, up: bool) -> None:
        self._board.touch(self.LINES[line], up)


def test_a_whole_imaging_session(tmp_path: Path) -> None:
    board = PtyBoard()
    name = "nodes.hardware.boards.behavior"
    found = (f"{name}.port={board.port}", f"{name}.usb_serial=")
    try:
        folder = run_imaging_session(tmp_path, "harp", _HarpWires(board), found, TRIALS)
    finally:
        board.close()
    check_whole_imaging_session(folder, TRIALS)
    drops = [valve for valve in of(Valve, messages(folder)) if not valve.refused]
    assert [ms for _, _, ms in board.openings] == pytest.approx([60.0] * len(drops), abs=0.01)
    report = replay(folder, [], about())
    assert report.first is None
    assert report.exact
