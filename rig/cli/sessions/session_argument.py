"""The session folder that a verb is given: looked at first, so that a wrong one is said plainly."""

from pathlib import Path
from typing import Annotated

import typer

from rig.errors import Refused
from rig.settings.config import SETTINGS_FILE
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE

SessionDir = Annotated[
    Path, typer.Argument(metavar="SESSION_DIR", help="A session folder: data/sub-NAME/ses-DATE_N.")
]


def session_in(folder: Path) -> Path:
    """Return the folder's whole path. Raises Refused, with what to name instead, if it is none."""
    folder = folder.resolve()
    if not folder.exists():
        raise Refused(f"there is no folder {folder}; check the path")
    if any((folder / name).exists() for name in (LOG_FILE, SETTINGS_FILE, JOURNAL_FOLDER)):
        return folder
    if (folder.parent / LOG_FILE).exists():
        raise Refused(f"{folder} lies in a session; name its folder: {folder.parent}")
    sessions = [*folder.glob("ses-*"), *folder.glob("sub-*/ses-*")]
    if sessions:
        newest = max(sessions, key=lambda path: path.stat().st_mtime)
        raise Refused(f"{folder} holds sessions and is none; name one, as the newest: {newest}")
    raise Refused(
        f"{folder} is no session folder: it holds no {LOG_FILE}; name one, as in "
        "data/sub-NAME/ses-DATE_N"
    )
