"""Check that the scan contains the depths and the channel of the cells, and does not change."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.cells.model import Cells
from rig.errors import Refused
from rig.messages import Frame, Scan


def depths_at_once(scan: Scan) -> int:
    """Return the number of depths scanned simultaneously, each in its own channel."""
    return max(1, len(scan.depths_um) // max(1, len(scan.header.get("zs_um", ()))))


def unusable(pixels: Any) -> str:
    """Return why a page's pixels cannot be analysed; empty if they can."""
    if pixels is None:
        return "were lost before they could be analysed"
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        return "are not all finite numbers"
    return ""


def page_shape(frame: Frame, before: tuple[int, int] | None) -> tuple[int, int]:
    """Return the (height_px, width_px) of a page. Raises Refused if it has changed."""
    shape = (frame.height_px, frame.width_px)
    if before is not None and before != shape:
        raise Refused(
            f"frame {frame.index} has {shape[0]} x {shape[1]} px, but the frames before it "
            f"{before[0]} x {before[1]} px; image the same field during a session"
        )
    return shape


def check_channel(scan: Scan, channel: int) -> None:
    """Raise Refused if a scan does not save a channel."""
    saved = _channels(scan)
    if channel not in saved:
        raise Refused(
            f"{scan.file} saves channel {_listed(saved)}, but not channel {channel}, which shows "
            "the cells; save it, or correct online.channel"
        )


def check_depths(scan: Scan, channel: int, cells: Cells) -> None:
    """Raise Refused if some cells are in depths that are not scanned on a channel."""
    together = depths_at_once(scan)
    first = _channels(scan).index(channel) if together > 1 else 0
    depths = range(first, len(scan.depths_um), together)
    if len(depths) > 1 and not cells.has_planes:
        raise Refused(
            f"{scan.file} scans {len(depths)} depths, but cells_file does not give the depth of "
            "each cell; add a column plane, or use Suite2p's combined/stat.npy, which has iplane"
        )
    unseen = [at for at, plane in enumerate(cells.plane) if plane not in depths]
    if unseen:
        raise Refused(
            f"{scan.file} shows depth {_listed(depths)} on channel {channel}, but cell "
            f"{cells.names[unseen[0]]} is in depth {cells.plane[unseen[0]]}; correct cells_file "
            "or online.channel"
        )


def check_unchanged(scan: Scan, before: Scan) -> None:
    """Raise Refused if a scan has other regions or depths than the one before it."""
    if scan.regions != before.regions or _distances(scan) != _distances(before):
        raise Refused(
            f"{scan.file} scans other regions or depths than {before.file}; image the same field "
            "during a session"
        )


def _channels(scan: Scan) -> list[int]:
    return list(scan.header.get("channels") or (1,))


def _distances(scan: Scan) -> tuple[int, list[float]]:
    return depths_at_once(scan), [round(z - scan.depths_um[0], 3) for z in scan.depths_um]


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
