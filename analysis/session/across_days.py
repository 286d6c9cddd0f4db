"""The same cells in another session of the animal."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.registration.day_alignment import DayAlignment, align, mean_page, same_cells
from analysis.session.offline_tuning import cells_on_pages, imaged_cells
from analysis.session.session import Session
from rig.errors import Refused
from rig.transport.log import LOG_FILE

_PAGES = 60
"""Number of pages in a mean image."""


@dataclass(frozen=True)
class OtherDay:
    """Another session, and which of its cells are in this session."""

    session: Session
    pairs: NDArray[np.int64]
    """(cell of this session, cell of the other one): (pairs, 2)."""
    names: tuple[str, ...]
    """Names of the other session's cells."""
    alignment: DayAlignment | None
    """How this field differs from the other one; None if the masks were moved from there."""


def other_day(session: Session, folder: Path | None = None) -> OtherDay | None:
    """Find the cells of another session in this one.

    Args:
        session: The session.
        folder: The other session. None: the session from which rig align moved this session's
            masks, if it is in the same folder.

    Returns:
        The other session and the matched cells; None if no other session is given or found.

    Raises:
        Refused: One of the sessions has no cells, or their fields do not match.
    """
    folder = folder or _origin(session)
    if folder is None:
        return None
    other = Session(folder)
    cells, theirs = cells_on_pages(session), cells_on_pages(other)
    if cells is None or theirs is None:
        missing = session if cells is None else other
        raise Refused(f"{missing.folder} has no cells; give sessions that were imaged with cells")
    if cells.origin == folder.resolve().name:
        numbers = {name: number for number, name in enumerate(theirs.names)}
        pairs = [(n, numbers[name]) for n, name in enumerate(cells.names) if name in numbers]
        found = np.array(pairs, np.int64).reshape(-1, 2)
        return OtherDay(other, found, theirs.names, None)
    now, then = _mean_image(session), _mean_image(other)
    if now.shape != then.shape:
        raise Refused(
            f"the pages of {folder} and of {session.folder} differ in size; give a session of the "
            "same field"
        )
    alignment = align(now, then)
    if not alignment.found:
        raise Refused(
            f"the field of {session.folder} was not found in that of {folder}; give a session of "
            "the same field"
        )
    pairs_found = same_cells(cells, theirs, alignment, (now.shape[0], now.shape[1]))
    return OtherDay(other, pairs_found, theirs.names, alignment)


def _origin(session: Session) -> Path | None:
    """Return the session that the masks were moved from; None if there is none, or is not found."""
    cells = imaged_cells(session)
    if cells is None or not cells.origin:
        return None
    folder = session.folder.resolve().parent / cells.origin
    return folder if (folder / LOG_FILE).is_file() else None


def _mean_image(session: Session) -> NDArray[np.float32]:
    """Return the mean of pages of the first depth, spread over the session."""
    frames = session.frames
    indices = frames["index"][(frames.plane == 0) & (frames.channel == frames.channel.min())]
    chosen = indices.iloc[:: max(1, -(-len(indices) // _PAGES))]
    return mean_page(session.pixels(int(index)) for index in chosen)
