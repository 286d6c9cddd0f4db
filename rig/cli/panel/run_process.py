"""Run `rig run` in a separate process, which continues if the panel ends."""

import os
import subprocess
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Any

from rig.cli.sessions.end_summary import SUMMARY_FILE, readable_summary, table_rows
from rig.errors import Refused
from rig.monitor.serve import announced
from rig.session.locks import SubjectLock
from rig.settings.config import read_session
from rig.subjects.booking import session_folders, subject_folder
from rig.transport.hub_access import any_hub, hub_folder

RIG = (sys.executable, "-P", "-c", "from rig.cli.main import main; main()")
"""The `rig` command of this installation."""
_COLUMNS = "1000"
_REFUSED = 2
_PAGE_WITHIN_S = 15.0
"""Longest time from the start of a session's hub to the first answer of its page, seconds."""
_SUMMARY_WITHIN_S = 15.0
"""Longest time from the release of a session's animal to its end table, seconds."""


class Phase(StrEnum):
    """The phase of a session."""

    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"
    REFUSED = "refused"
    """The session was refused before any device was used."""


class Run:
    """A session, started by `start` or found by `running`."""

    def __init__(
        self, data: Path, subject: str, process: subprocess.Popen[bytes] | None, folder: Path | None
    ) -> None:
        self.subject, self.folder = subject, folder
        self._data, self._process = data, process
        self._before = set(session_folders(subject_folder(data, subject)))
        self._over_since: float | None = None
        self._hub_since: float | None = None
        self.phase = Phase.STARTING

    @classmethod
    def start(cls, data: Path, subject: str, arguments: list[str]) -> "Run":
        """Start `rig run` with arguments; `data` is the data folder of its session."""
        made = cls(data, subject, None, None)
        with _output(subject).open("wb") as output:
            made._process = subprocess.Popen(
                [*RIG, "run", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "COLUMNS": _COLUMNS},
            )
        return made

    def look(self) -> Phase:
        """Check the process and its session, and return the phase."""
        if self.phase in (Phase.ENDED, Phase.REFUSED):
            return self.phase
        if self._process is None:
            self.phase = Phase.ENDED if self._is_over() else Phase.RUNNING
            if self.folder is not None and not self.folder.is_dir():
                self.phase = Phase.REFUSED  # it ended before it began
            return self.phase
        new = [
            path
            for path in session_folders(subject_folder(self._data, self.subject))
            if path not in self._before
        ]
        self.folder = new[-1] if new else None
        code = self._process.poll()
        if code is not None:
            refused = code == _REFUSED or self.folder is None
            self.phase = Phase.REFUSED if refused else Phase.ENDED
        elif self.folder is not None and _has_hub(self.folder) and self._can_be_asked(self.folder):
            self.phase = Phase.RUNNING
        return self.phase

    @property
    def is_found(self) -> bool:
        """True if `running` found the session, which was started by another process."""
        return self._process is None

    def _can_be_asked(self, folder: Path) -> bool:
        """Return True if the session's page accepts requests, or is not expected any more."""
        self._hub_since = self._hub_since or time.monotonic()
        late = time.monotonic() - self._hub_since > _PAGE_WITHIN_S
        return late or bool(announced(read_session(folder).rig.hub_port))

    def _is_over(self) -> bool:
        """Return True if a session that another process started is over and its end is written."""
        if self._over_since is None and _is_held(self._data, self.subject):
            return False
        self._over_since = self._over_since or time.monotonic()
        waited_s = time.monotonic() - self._over_since
        return waited_s > _SUMMARY_WITHIN_S or summary_of(self.folder) is not None

    def said(self) -> str:
        """Return the last line that the process printed."""
        try:
            text = _output(self.subject).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines and self._process is not None else ""

    def end(self) -> dict[str, Any]:
        """Return the end of the session: whether it failed, a sentence, the rows of its table."""
        code = 0 if self._process is None else self._process.poll()
        summary = summary_of(self.folder)
        if summary is None:
            text = f"rig run ended without closing the session; run: rig recover {self.folder}"
            return {"failed": True, "text": self.said() if code == 1 else text, "rows": []}
        rows = [[name, value] for name, value in table_rows(summary).items()]
        text = str(summary.get("end_reason") or "")
        return {"failed": bool(code), "text": text, "rows": rows}


def running(data: Path) -> Run | None:
    """Return a session that is running in a data folder and was started by another process."""
    if not any_hub():
        return None
    for parent in sorted(data.glob("sub-*")):
        folders = session_folders(parent)
        if not folders or (folders[-1] / SUMMARY_FILE).exists():
            continue
        subject = parent.name.removeprefix("sub-")
        if _has_hub(folders[-1]) and _is_held(data, subject):
            return Run(data, subject, None, folders[-1])
    return None


def _output(subject: str) -> Path:
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    folder = state / "rig"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{folder} cannot be made ({error}); set XDG_STATE_HOME") from error
    return folder / f"run-{subject}.txt"


def _is_held(data: Path, subject: str) -> bool:
    """Return True if a session of an animal is running."""
    try:
        SubjectLock(data, subject, patience_s=0).release()
    except Refused:
        return True
    return False


def _has_hub(folder: Path) -> bool:
    try:
        return hub_folder(read_session(folder).rig.hub_port).is_dir()
    except Refused:  # the folder is being created, or was removed
        return False


def summary_of(folder: Path | None) -> dict[str, Any] | None:
    """Return the summary of a session; None if there is none, or it is damaged."""
    return None if folder is None else readable_summary(folder)
