"""Write the files of an export: all of them, completely, or none."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from rig.errors import Refused

Write = Callable[[Path], None]
"""Writes a file at a path."""


def write_files(folder: Path, files: Mapping[str, Write]) -> list[Path]:
    """Write files under temporary names, sync them, then rename all of them; return their paths.

    If one cannot be written, files that were there before stay as they were.

    Args:
        folder: Where the files go; it is created if needed.
        files: A function that writes the file, by the file's path relative to `folder`. Files are
            renamed in this order.

    Raises:
        Refused: A file cannot be written, for example because the disk is full.
    """
    paths = [folder / name for name in files]
    parts = [path.with_name(f".part.{path.name}") for path in paths]
    try:
        for part, write in zip(parts, files.values(), strict=True):
            part.parent.mkdir(parents=True, exist_ok=True)
            write(part)
            _sync(part)
        for part, path in zip(parts, paths, strict=True):
            part.replace(path)
    except OSError as error:
        raise Refused(
            f"the export to {folder} failed ({_reason(error)}); make room or choose another folder "
            "with --to, and export again"
        ) from error
    finally:
        _remove(parts)
    return paths


def _remove(parts: list[Path]) -> None:
    """Remove temporary files that are still there."""
    for part in parts:
        try:
            part.unlink(missing_ok=True)
        except OSError:  # its folder could not be made, or is a file
            continue


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _reason(error: OSError) -> str:
    """Return why a file could not be written; the text of HDF5 has several lines."""
    return os.strerror(error.errno) if error.errno else str(error).splitlines()[0]
