"""The bench of exports writes a whole session, and measures its export."""

from pathlib import Path

import pytest

from analysis.session.session import Session
from rig.cli.bench.export import export_in_process, write_session

pytestmark = pytest.mark.slow


def test_a_session_of_the_bench_is_exported_and_measured(tmp_path: Path) -> None:
    pytest.importorskip("pynwb", reason="pynwb is not installed")
    folder = tmp_path / "sub-bench" / "ses-20260101_1"
    write_session(folder, cells=40, length_ms=24_000)
    session = Session(folder)
    assert session.completeness is not None
    assert session.completeness.whole
    assert session.traces.shape == (24_000 // 333, 40)
    assert list(session.trials.outcome) == ["done", "done"]
    seconds, peak_mb, file_mb = export_in_process(folder)
    assert seconds > 0
    assert 50 < peak_mb < 2000
    assert file_mb * 1e6 == pytest.approx(
        (folder / "nwb" / "sub-bench_ses-20260101-1_behavior+ophys.nwb").stat().st_size
    )
