"""Whether what is scanned can be analysed: the cells' channel and depths, and no others later."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.cells.model import Cells
from rig.errors import Refused
from rig.messages import Frame, Scan


def at_once(scan: Scan) -> int:
    """Return how many depths a frame has, one a channel."""
    return max(1, len(scan.depths_um) // max(1, len(scan.header.get("zs_um", ()))))


def unusable(pixels: Any) -> str:
    """Return why a page's pixels cannot be analysed; nothing if they can."""
    if pixels is None:
        return "were lost before they could be analysed"
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        return "are not all finite numbers"
    return ""


def shape_of(frame: Frame, before: tuple[int, int] | None) -> tuple[int, int]:
    """Return a page's (height_px, width_px). Raises Refused if that is not as before."""
    shape = (frame.height_px, frame.width_px)
    if before is not None and before != shape:
        raise Refused(
            f"frame {frame.index} has {shape[0]} x {shape[1]} px, those before it "
            f"{before[0]} x {before[1]}; image one session with one field"
        )
    return shape


def check(scan: Scan, channel: int, cells: Cells | None) -> None:
    """Refuse a scan that never shows some of the cells on the pages of a channel.

    Where cells are yet to be found (None), they are wherever that channel is.
    """
    saved = list(scan.header.get("channels") or (1,))
    if channel not in saved:
        raise Refused(
            f"{scan.file} saves channel {_listed(saved)}, not channel {channel}, which shows the "
            "cells; save it, or correct online.channel"
        )
    if cells is None:
        return
    together = at_once(scan)
    first = saved.index(channel) if together > 1 else 0
    depths = range(first, len(scan.depths_um), together)
    if len(depths) > 1 and not cells.planes_said:
        raise Refused(
            f"{scan.file} scans {len(depths)} depths, and cells_file does not say in which each "
            "cell lies; give it a column plane, or Suite2p's iplane"
        )
    unseen = [at for at, plane in enumerate(cells.plane) if plane not in depths]
    if unseen:
        raise Refused(
            f"{scan.file} shows depth {_listed(depths)} on channel {channel}, and cell "
            f"{cells.names[unseen[0]]} lies in depth {cells.plane[unseen[0]]}; correct cells_file "
            "or online.channel"
        )


def check_same(scan: Scan, before: Scan) -> None:
    """Refuse other regions or distances between depths than those the cells were laid on."""
    if scan.regions != before.regions or _distances(scan) != _distances(before):
        raise Refused(
            f"{scan.file} scans other regions or depths than {before.file}; image one session "
            "with one field"
        )


def _distances(scan: Scan) -> tuple[int, list[float]]:
    return at_once(scan), [round(z - scan.depths_um[0], 3) for z in scan.depths_um]


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
