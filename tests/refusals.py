"""Runs of the command that must be refused: one sentence, exit code 2, no files left."""

import sys
from pathlib import Path

import pytest

from rig.cli.main import main
from rig.session import launch
from tests.live import NO_SCREEN, SETUP, TASK


def refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> str:
    """Run the command; return the sentence it refused with."""
    monkeypatch.setattr(sys, "argv", ["rig", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "1000")
    # this process runs other tests afterwards, in parallel with another process
    monkeypatch.setattr(launch, "prioritise", lambda _: None)
    with pytest.raises(SystemExit) as exit_:
        main()
    sentence = capsys.readouterr().err.strip()
    assert exit_.value.code == 2, sentence
    assert len(sentence.splitlines()) == 1, sentence
    return sentence


class Try:
    """One `rig run` that must be refused, and must leave nothing behind."""

    def __init__(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, data: Path
    ) -> None:
        self._capsys, self._monkeypatch, self.data = capsys, monkeypatch, data

    def __call__(self, *arguments: object, setup: Path = SETUP, task: Path = TASK) -> str:
        given = ["run", setup, task, "--subject", "test", "--data", self.data, "--set", NO_SCREEN]
        sentence = refused(self._capsys, self._monkeypatch, *given, *arguments)
        assert not self.data.exists()
        return sentence
