"""List the files that a person has put into a folder, without those of the operating system."""

from pathlib import Path

_SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"}
"""Names of files that Windows and macOS put into folders, in lower case."""
_SYSTEM_PREFIXES = (".", "~$")
"""Start of the names of hidden files (such as .DS_Store) and of lock files of Office."""


def list_user_files(folder: Path) -> list[Path]:
    """Return the files of a folder by name. Raises OSError if the folder cannot be read."""
    return sorted(path for path in folder.iterdir() if path.is_file() and is_user_file(path.name))


def is_user_file(name: str) -> bool:
    """Return False for the name of a hidden file or one that the operating system has made."""
    return not (name.lower() in _SYSTEM_FILES or name.startswith(_SYSTEM_PREFIXES))
