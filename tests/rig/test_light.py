"""rig info reads a session's pictures off their light, by its own line and by another's trace."""

import csv
from pathlib import Path

import numpy as np
import pytest

from rig.cli.sessions import photodiode_report
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
    said = run(NO_SCREEN, without=("referee", "online", "mesoscope", "stream"), end_s=12)
    flips = [message for message in of(said, Flip) if isinstance(message, Flip)]
    edges = [w.t for w in of(said, Edge) if isinstance(w, Edge) and w.line == "photodiode"]
    Path(SETTINGS_FILE).touch()
    monkeypatch.setattr(photodiode_report, "read_settings", lambda _: (60.0, "photodiode"))
    monkeypatch.setattr(photodiode_report, "logged", lambda *_: (flips, edges))
    levels = 5.0 - 2.0 * (np.searchsorted(edges, np.arange(2e9, edges[-1], 5e5)) % 2)
    np.save("scope.npy", levels)
    np.savetxt("scope.csv", levels)
    return flips


def test_its_own_line_is_read(session: list[Flip]) -> None:
    ((sentence, sound),) = photodiode_report.seen(FOLDER, None, 1.0)
    assert sound
    assert "8.0 ms after their flip" in sentence
    assert int(sentence.split()[1]) > 0.8 * len(session)


@pytest.mark.parametrize("name", ["scope.npy", "scope.csv"])
def test_a_trace_is_laid_on_the_session_and_kept_picture_by_picture(
    session: list[Flip], name: str
) -> None:
    _, (sentence, sound), (where, _) = photodiode_report.seen(FOLDER, Path(name), 2000.0)
    assert sound
    assert "its 0 s is 1.99" in sentence
    assert where.endswith("scope.pictures.csv")
    with Path("scope.pictures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 0.8 * sum(flip.t > 2e9 for flip in session)
    for row in rows:
        flip = session[int(row["picture"])]
        assert float(row["flip_s"]) == pytest.approx(flip.t / 1e9, abs=1e-6)
        assert float(row["trace_s"]) + 2.0 - flip.t / 1e9 == pytest.approx(0.008, abs=0.018)
    Path("scope.pictures.csv").write_text("old")
    assert len(list(photodiode_report.seen(FOLDER, Path(name), 2000.0))) == 3
    assert Path("scope.pictures.csv").read_text() != "old"


def test_a_wrong_rate_and_what_is_no_trace_are_refused(session: list[Flip]) -> None:
    with pytest.raises(Refused, match="check the trace, its samples a second"):
        list(photodiode_report.seen(FOLDER, Path("scope.npy"), 3000.0))
    Path("none.csv").write_text("light\n")
    with pytest.raises(Refused, match=r"none\.csv is no trace"):
        list(photodiode_report.seen(FOLDER, Path("none.csv"), 2000.0))
