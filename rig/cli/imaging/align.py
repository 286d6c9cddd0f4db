"""rig align: compare today's field with the animal's last imaged day, before a session."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from numpy.typing import NDArray

from rig.cli.sessions.run import Data
from rig.cli.terminal import new_console
from rig.errors import Refused

if TYPE_CHECKING:
    from analysis.registration.day_alignment import DayAlignment


_MOST_LISTED = 20
"""Largest number of cells that are listed by name."""


def align(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="Name of the animal.")],
    today: Annotated[
        Path, typer.Argument(metavar="FILE", help="TIFF that ScanImage is saving or has saved.")
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="PNG to write.")] = Path("align.png"),
    plane: Annotated[int, typer.Option(help="Depth, counted from 0.", min=0)] = 0,
    pages: Annotated[int, typer.Option(help="Pages to average.", min=1)] = 60,
    stack: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="Z-stack of the field (.npz: stack, z_um), to find z, too."
        ),
    ] = "",
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Save the earlier day's masks, moved to today's field (.npz), for cells_file.",
        ),
    ] = None,
    save_mean: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Save the earlier day's mean page (.npy), for reference_file."
        ),
    ] = None,
) -> None:
    """Compare today's field with the last imaged day: x, y, rotation, z."""
    import numpy as np

    from analysis.registration.day_alignment import align as find_alignment
    from analysis.registration.day_alignment import undo
    from analysis.registration.reference_images import read_reference_images
    from analysis.registration.rigid import MotionSettings
    from analysis.registration.z_estimate import z_of
    from rig.cli.imaging.align_picture import overlay
    from rig.cli.imaging.png import write_png

    console = new_console()
    folder = _last_imaged(data, subject, plane)
    then, now = _mean_pages(folder, today, plane, pages)
    found = find_alignment(now, then)
    back = undo(now, found)
    where = _sentence(found)
    reference = read_reference_images(MotionSettings(stack_file=stack))
    depths = reference.depths(0, (then.shape[0], then.shape[1]))
    if depths is not None and found.found:
        where += f", z {z_of(back, *depths):+.1f} um in the stack"
    write_png(out, overlay(now, back, then, where, folder.name, _um_per_px(folder, plane)))
    console.print(f"compared with {folder}", soft_wrap=True)
    console.print(where, soft_wrap=True)
    if save_mean is not None:
        np.save(save_mean, then)
    if save is not None:
        console.print(_save_moved(folder, found, save), soft_wrap=True)
    console.print(f"picture: {out} (magenta: today, green: that day, white: both)", soft_wrap=True)


def _mean_pages(
    folder: Path, today: Path, plane: int, pages: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the mean pages of the earlier day and of today; refuse pages of different sizes."""
    from analysis.registration.day_alignment import mean_page

    then = mean_page(islice(_pages_then(folder, plane), pages))
    now = mean_page(_latest(_pages_now(today, plane), pages))
    if now.shape != then.shape:
        raise Refused(
            f"{today} has pages of {now.shape[0]} x {now.shape[1]} px, {folder} of "
            f"{then.shape[0]} x {then.shape[1]}: image the same field"
        )
    return then, now


def _save_moved(folder: Path, found: "DayAlignment", path: Path) -> str:
    """Save the earlier day's masks, moved to today's field; return a summary.

    Raises:
        Refused: The field was not found, there are no cells, or the file cannot be written.
    """
    from dataclasses import replace

    from analysis.cells.mask_file import write_masks
    from analysis.registration.day_alignment import move_cells
    from analysis.session import Session
    from analysis.session.offline_tuning import cells_on_pages, scanned_pixels

    if not found.found:
        raise Refused("today's field was not found, so no masks were saved; move to the same field")
    if path.suffix.lower() != ".npz":
        raise Refused(f"--save {path}: masks are saved as .npz; give the file that ending")
    session = Session(folder)
    cells = cells_on_pages(session)
    if cells is None:
        raise Refused(f"{folder} has no cells to move; run that session with cells_file or find")
    inside = scanned_pixels(session)
    moved = replace(move_cells(cells, found, inside), origin=folder.name)
    write_masks(path, moved, (inside.shape[0], inside.shape[1]))
    text = f"masks: {path}, {len(moved)} of {len(cells)} cells of that day, for cells_file"
    lost = sorted(set(cells.names) - set(moved.names), key=cells.names.index)
    shown = ", ".join(lost[:_MOST_LISTED]) + (" ..." if len(lost) > _MOST_LISTED else "")
    return text + (f"; not in today's field: {shown}" if lost else "")


def _sentence(found: "DayAlignment") -> str:
    """Return the result as a sentence for the person at the microscope."""
    if not found.found:
        return (
            "today's field was not found: the images do not match within 60 px and 4 degrees "
            f"(correlation {found.correlation:.2f} of 1); move to the same field"
        )
    return (
        f"down {found.down_px:+.1f} px, right {found.right_px:+.1f} px, rotated "
        f"{found.degrees:+.1f} degrees, correlation {found.correlation:.2f} of 1"
    )


def _last_imaged(data: Path, subject: str, plane: int) -> Path:
    """Return the animal's last session with pages of a depth. Raises Refused if there is none."""
    from rig.transport.log import LOG_FILE

    folders = sorted((data / f"sub-{subject}").glob("ses-*"), key=_in_order, reverse=True)
    for folder in folders:
        if (folder / LOG_FILE).is_file() and any(True for _ in _pages_then(folder, plane)):
            return folder
    raise Refused(
        f"no session of {subject} in {data} has imaging frames of depth {plane}; check --data"
    )


def _um_per_px(folder: Path, plane: int) -> float | None:
    """Return the width of a pixel of a session's first region, um; None if it is not known."""
    from analysis.session import Session

    scans = Session(folder).scans
    if not len(scans):
        return None
    um_per_degree = scans.header.iloc[-1].get("um_per_degree")
    regions = [region for region in scans.regions.iloc[-1] if region["plane"] == plane]
    if not um_per_degree or not regions:
        return None
    return float(um_per_degree * regions[0]["size_deg"][0] / regions[0]["width_px"])


def _in_order(folder: Path) -> tuple[str, int]:
    day, _, number = folder.name.rpartition("_")
    return day, int(number) if number.isdigit() else 0


def _pages_then(folder: Path, plane: int) -> Iterator[NDArray[Any]]:
    from analysis.session import Session

    session = Session(folder)
    frames = session.frames
    for index in frames["index"][(frames.plane == plane) & (frames.channel == 1)]:
        yield session.pixels(int(index))


def _pages_now(path: Path, plane: int) -> Iterator[NDArray[Any]]:
    """Yield the pages that a TIFF contains so far. Raises Refused if it is not from ScanImage."""
    from acquisition.follow.file_follower import FileFollower
    from acquisition.scanimage.frame_counter import FrameCounter
    from acquisition.scanimage.preamble import NotScanImage

    if not path.is_file():
        raise Refused(f"there is no {path}; let ScanImage save some frames first")
    follower = FileFollower(path)
    counter: FrameCounter | None = None
    try:
        for page in follower.poll():
            counter = counter or FrameCounter(follower.header)
            place = counter.place(page)
            if place is not None and (place.plane, place.channel) == (plane, 1):
                yield follower.pixels(page)
    except NotScanImage as problem:
        raise follower.refused(str(problem)) from problem
    finally:
        follower.close()


def _latest(pages: Iterator[NDArray[Any]], count: int) -> list[NDArray[Any]]:
    from collections import deque

    latest = list(deque(pages, maxlen=count))
    if not latest:
        raise Refused("the TIFF has no complete page of this depth yet; wait for some frames")
    return latest
