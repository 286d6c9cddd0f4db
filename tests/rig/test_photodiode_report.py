"""rig info matches flips with the light seen by the session's photodiode and by a trace."""

import csv
from pathlib import Path

import numpy as np
import pytest

from rig.cli.sessions import photodiode_report
from rig.cli.sessions.photodiode_report import photodiode_checks
from rig.errors import Refused
from rig.messages import Edge, Flip
from rig.settings.config import SETTINGS_FILE
from tests.acquisition.sessions import of, run
from tests.live import NO_SCREEN

FOLDER = Path()


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Flip]:
    """Run a session in virtual time; return its flips."""
    monkeypatch.chdir(tmp_path)
    messages = run(NO_SCREEN, without=("referee", "online", "mesoscope", "stream"), end_s=12)
    flips = [message for message in of(messages, Flip) if isinstance(message, Flip)]
    edges = [w.t for w in of(messages, Edge) if isinstance(w, Edge) and w.line == "photodiode"]
    Path(SETTINGS_FILE).touch()
    monkeypatch.setattr(photodiode_report, "read_settings", lambda _: (60.0, "photodiode"))
    monkeypatch.setattr(photodiode_report, "read_flips_and_edges", lambda *_: (flips, edges))
    levels = 5.0 - 2.0 * (np.searchsorted(edges, np.arange(2e9, edges[-1], 5e5)) % 2)
    np.save("scope.npy", levels)
    np.savetxt("scope.csv", levels)
    return flips


def test_the_line_of_the_session_is_read(session: list[Flip]) -> None:
    ((sentence, sound),) = photodiode_checks(FOLDER, None, 1.0)
    assert sound
    assert "a median of 8.0 ms after the flip" in sentence
    assert int(sentence.split()[1]) > 0.8 * len(session)


@pytest.mark.parametrize("name", ["scope.npy", "scope.csv"])
def test_a_trace_is_matched_and_the_time_of_each_flip_written(
    session: list[Flip], name: str
) -> None:
    _, (sentence, sound), (where, _) = photodiode_checks(FOLDER, Path(name), 2000.0)
    assert sound
    assert "the trace begins at 1.99" in sentence
    assert where.endswith("scope.flips.csv")
    with Path("scope.flips.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 0.8 * sum(flip.t > 2e9 for flip in session)
    for row in rows:
        flip = session[int(row["flip"])]
        assert float(row["flip_s"]) == pytest.approx(flip.t / 1e9, abs=1e-6)
        assert float(row["trace_s"]) + 2.0 - flip.t / 1e9 == pytest.approx(0.008, abs=0.018)
    Path("scope.flips.csv").write_text("old")
    assert len(list(photodiode_checks(FOLDER, Path(name), 2000.0))) == 3
    assert Path("scope.flips.csv").read_text() != "old"


def test_a_wrong_rate_and_a_file_that_is_not_a_trace_are_refused(session: list[Flip]) -> None:
    with pytest.raises(Refused, match="check the trace, its sampling rate"):
        list(photodiode_checks(FOLDER, Path("scope.npy"), 3000.0))
    Path("none.csv").write_text("light\n")
    with pytest.raises(Refused, match=r"none\.csv is not a trace"):
        list(photodiode_checks(FOLDER, Path("none.csv"), 2000.0))
