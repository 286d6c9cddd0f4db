"""Save the microscope's settings in each session folder, and read those of the last session."""

from pathlib import Path

import msgspec

from acquisition.scanimage.header import Header
from rig.subjects.booking import session_folders

SCAN_FILE = "scan.json"


def remember(session_folder: Path, header: Header) -> None:
    """Save a recording's settings in the session folder; only those of the first file are kept."""
    path = session_folder / SCAN_FILE
    if not path.exists():
        path.write_bytes(msgspec.json.format(msgspec.json.encode(header), indent=2) + b"\n")


def last_header(session_folder: Path) -> Header | None:
    """Return the settings of the animal's last session with imaging; None if there is none."""
    folders = session_folders(session_folder.parent)
    earlier = folders[: folders.index(session_folder)] if session_folder in folders else []
    for folder in reversed(earlier):
        try:
            return msgspec.json.decode((folder / SCAN_FILE).read_bytes(), type=Header)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            continue  # the session had no imaging, or was recorded by another version
    return None
