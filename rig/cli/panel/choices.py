"""The setups and tasks that can be chosen: those in the lab's own folders, and the shipped ones."""

from pathlib import Path
from typing import Any

import rig
from rig.errors import Refused
from rig.settings.config import read_session
from rig.settings.toml import read_toml
from rig.subjects.booking import session_folders, subject_folder
from rig.subjects.record import Subject

_PACKAGE = Path(rig.__file__).parent
_SETUPS, _TASKS = _PACKAGE / "setups", _PACKAGE.parent / "behavior" / "tasks"
_WRITTEN = (".checked", ".measured")
"""Ends of the names of files that the program writes beside a setup."""


class Choices:
    """The setups and tasks that can be chosen, by name; a browser never names a file."""

    def __init__(self, setups: Path | None, tasks: Path | None) -> None:
        """List the files of the given folders, and then the shipped files.

        Raises Refused if a folder is missing.
        """
        for folder in (setups, tasks):
            if folder is not None and not folder.is_dir():
                raise Refused(f"folder {folder} does not exist; check the path")
        self._setups, self._tasks = (setups, _SETUPS), (tasks, _TASKS)

    def setups(self) -> dict[str, Path]:
        """Return the setups by name, the lab's own first."""
        return _files(self._setups)

    def tasks(self) -> dict[str, Path]:
        """Return the tasks by name, the lab's own first."""
        return _files(self._tasks)

    def setup(self, name: str) -> Path:
        """Return the file of a setup. Raises Refused if there is no such setup."""
        return _one(self.setups(), name, "setup")

    def task(self, name: str) -> Path:
        """Return the file of a task. Raises Refused if there is no such task."""
        return _one(self.tasks(), name, "task")

    def task_rows(self) -> list[dict[str, Any]]:
        """Return each task's name, stage and cohorts; for an unreadable file only its name."""
        rows = []
        for name, path in self.tasks().items():
            table = _table(path)
            cohorts = [str(one) for one in table.get("cohorts", [])]
            rows.append({"name": name, "stage": str(table.get("stage", "")), "cohorts": cohorts})
        return rows

    def suggested(self, data: Path, animal: Subject) -> dict[str, str]:
        """Return the setup and task of an animal's last session, or else a task of its stage."""
        stage = [row["name"] for row in self.task_rows() if row["stage"] == animal.stage]
        task, setup = next(iter(stage), ""), ""
        if (folder := _last(session_folders(subject_folder(data, animal.name)))) is not None:
            task, setup = self._of(folder, task)
        elif (folder := _last(sorted(data.glob("sub-*/ses-*"), key=_changed))) is not None:
            _, setup = self._of(folder, task)
        return {"task": task, "setup": setup or next(iter(self.setups()), "")}

    def _of(self, folder: Path, task: str) -> tuple[str, str]:
        """Return the task and setup of a session, each "" if it cannot be chosen."""
        try:
            session = read_session(folder)
        except Refused:
            return task, ""
        named = session.task_name if session.task_name in self.tasks() else task
        for name, path in self.setups().items():
            if _table(path).get("rig", {}).get("name") == session.rig.name:
                return named, name
        return named, ""


def _files(folders: tuple[Path | None, Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.toml")) if folder is not None else ():
            if not path.stem.endswith(_WRITTEN):
                found.setdefault(path.stem, path.absolute())
    return found


def _one(files: dict[str, Path], name: str, what: str) -> Path:
    if name not in files:
        raise Refused(f"there is no {what} {name[:40]!r}; choose one of {', '.join(files)}")
    return files[name]


def _table(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except Refused:  # reported when the task is chosen
        return {}


def _last(folders: list[Path]) -> Path | None:
    return folders[-1] if folders else None


def _changed(folder: Path) -> float:
    return folder.stat().st_mtime
