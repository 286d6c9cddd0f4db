"""Real logs of every version of the messages: each is read, or refused in one sentence."""

from pathlib import Path

import pytest

from analysis.session.session import Session
from analysis.session.summary import summarise
from rig.errors import Refused
from rig.replay.replay import replay
from rig.session.provenance import SCHEMA, about
from rig.transport.log import LOG_FILE, read_completeness
from tests.kept_sessions import SCHEMAS, kept_session


def test_this_version_of_the_messages_is_kept() -> None:
    """A change of the schema needs a new session: see tests/data/logs/README.md."""
    assert SCHEMAS[-1] == f"schema{SCHEMA}"


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_kept_log_is_whole_and_read_or_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    folder = kept_session(name, tmp_path)
    completeness = read_completeness(folder / LOG_FILE)
    assert completeness is not None
    session = Session(folder)
    try:
        settings = session.settings
    except Refused as refusal:
        assert str(folder) in str(refusal)
        assert "\n" not in str(refusal)
        return
    assert completeness.whole, completeness.missing
    assert settings["subject"] == "kept"
    assert list(session.trials.outcome) == ["done", "done"]
    assert len(session.traces) == len(session.frames) > 5
    summary = summarise(folder, frames_written=len(session.frames))
    assert (summary["trials_done"], summary["gaps"]) == (2, 0)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_kept_log_is_replayed_or_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    folder = kept_session(name, tmp_path)
    try:
        report = replay(folder, [], about())
    except Refused as refusal:
        assert f"with message schema {name.removeprefix('schema')}" in str(refusal)
        assert "\n" not in str(refusal)
        return
    # another version recorded it, so what its analysis publishes may differ; the trials may not
    assert report.first is None or report.first.sender == "online"
    assert report.compared["task"] > 1000
    assert set(report.compared) == {"task", "referee", "integrity", "online"}


@pytest.mark.parametrize("only", [[], ["online"], ["referee"]])
def test_a_replay_passes_over_what_no_decider_needs(
    only: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kept_session(SCHEMAS[-1], tmp_path)
    report = replay(folder, [], about(), only)
    monkeypatch.setattr(
        "rig.replay.replay.message_count", lambda _: None
    )  # this replay reads all messages
    assert replay(folder, [], about(), only) == report
