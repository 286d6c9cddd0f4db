"""The imaging files of a session, and the repaired copies of those that were not closed."""

import time
from collections.abc import Iterator
from pathlib import Path

from acquisition.files.file_check import check, repair
from acquisition.follow.folder_follower import tiffs_in
from rig.errors import Refused
from rig.messages import Frame
from rig.settings.config import SessionSettings, read_session
from rig.transport.frame_pixels import imaging_file
from rig.transport.log import LOG_FILE, read_kinds

_REPAIRED = "_repaired"
_GROWTH_S = 1.0
"""How long a file is watched to find out whether a microscope is still writing it, s."""


def repaired_copy(path: Path) -> Path:
    """Return the path of a TIFF's repaired copy, beside it."""
    return path.with_name(f"{path.stem}{_REPAIRED}{path.suffix}")


def session_tiffs(folder: Path) -> list[Path]:
    """Return a session's TIFFs; for a repaired TIFF, its copy.

    If imaging_folder is outside the session folder, these are the files that were streamed.
    """
    copies = {repaired_copy(path): path for path in _tiffs(folder)}
    originals = [path for path in copies.values() if path not in copies]
    return [copy if (copy := repaired_copy(path)).exists() else path for path in originals]


def repair_unclosed(folder: Path) -> Iterator[tuple[Path, Path | None, str]]:
    """Repair the TIFFs of a session that were not closed; the files themselves are not changed.

    Yields:
        For each: the file, the copy of its complete pages (None if it cannot be made), a sentence.
    """
    session = read_session(folder)
    for path in session_tiffs(folder):
        try:
            if not path.exists():
                yield path, None, f"{path} is missing; put it back"
                continue
            (found,) = check([path], vendor=False)
            if not found.problems:
                continue
            _check_not_growing(path, session)
            copy = repaired_copy(path)
            pages, lost_bytes = repair(path, copy)
            torn = f"; {lost_bytes} bytes of an incomplete page are left out" * bool(lost_bytes)
            yield path, copy, f"{copy}: {pages} whole pages of {path.name}{torn}"
        except Refused as refusal:
            yield path, None, f"not repaired: {refusal}"


def _tiffs(folder: Path) -> list[Path]:
    session = read_session(folder)
    stream = session.nodes.get("stream", {})
    imaging = Path(stream.get("imaging_folder", session.rig.imaging_folder))
    if not imaging.is_absolute():
        return list(tiffs_in(folder / imaging))
    return [imaging_file(folder, name) for name in streamed_files(folder)]


def streamed_files(folder: Path) -> list[str]:
    """Return the names of the files whose pages were streamed, as they are in the log."""
    frames = (message for _, message in read_kinds(folder / LOG_FILE, {Frame}))
    return list(dict.fromkeys(one.file for one in frames if isinstance(one, Frame)))


def _check_not_growing(path: Path, session: SessionSettings) -> None:
    """Raise Refused if a real microscope is still writing the file."""
    if "mesoscope" in session.nodes:  # a simulated microscope has ended with its session
        return
    before = path.stat()
    time.sleep(_GROWTH_S)
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Refused(
            f"{path} is still being written; stop the acquisition, then run rig recover again"
        )
