"""Whether what is scanned can be analysed: the cells' channel and depths, and no others later."""

from collections.abc import Sequence

from analysis.cells import Cells
from rig.messages import Scan
from rig.refused import Refused


def at_once(scan: Scan) -> int:
    """Return how many depths a frame has, one a channel."""
    return max(1, len(scan.depths_um) // max(1, len(scan.header.get("zs_um", ()))))


def check(scan: Scan, channel: int, cells: Cells) -> None:
    """Refuse a scan that never shows some of the cells on the pages of a channel."""
    saved = list(scan.header.get("channels") or (1,))
    if channel not in saved:
        raise Refused(
            f"{scan.file} saves channel {_listed(saved)}, not channel {channel}, which shows the "
            "cells; save it, or correct online.channel"
        )
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
