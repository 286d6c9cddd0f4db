"""The argument SESSION_DIR, a session folder that is checked before it is used."""

from pathlib import Path
from typing import Annotated

import typer

from rig.errors import Refused
from rig.settings.config import SETTINGS_FILE, SessionSettings
from rig.settings.lab import default_data
from rig.subjects.booking import subject_folder
from rig.subjects.session_identity import check_can_be_read
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE

SessionDir = Annotated[
    Path,
    typer.Argument(
        metavar="SESSION_DIR", help="Session folder, for example data/sub-VR2/ses-20261124_1."
    ),
]


def session_in(folder: Path) -> Path:
    """Return the absolute path of a session folder. Raises Refused if it is not one."""
    try:
        folder = folder.resolve()
        if not folder.exists():
            raise Refused(f"folder {folder} does not exist; check the path")
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
        raise Refused(f"folder {folder} cannot be opened ({error}); check the path") from error
    if any((folder / name).exists() for name in (LOG_FILE, SETTINGS_FILE, JOURNAL_FOLDER)):
        check_can_be_read(folder)
        return folder
    if (folder.parent / LOG_FILE).exists():
        raise Refused(f"{folder} is inside a session folder; use {folder.parent}")
    sessions = [*folder.glob("ses-*"), *folder.glob("sub-*/ses-*")]
    if sessions:
        newest = max(sessions, key=lambda path: path.stat().st_mtime)
        raise Refused(
            f"{folder} contains sessions but is not a session itself; choose one of them, for "
            f"example the newest: {newest}"
        )
    raise Refused(
        f"{folder} is not a session folder: it contains no {LOG_FILE}; use a folder like "
        "data/sub-VR2/ses-20261124_1"
    )


def data_of(folder: Path, session: SessionSettings) -> Path:
    """Return the data folder whose ledger contains a session, even if the folder was moved."""
    data = folder.parent.parent
    return data if subject_folder(data, session.subject) == folder.parent else default_data()
