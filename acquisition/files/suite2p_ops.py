"""Write Suite2p's options for a recording to a file beside the TIFFs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acquisition.files.file_check import Checked
from acquisition.scanimage.regions import places
from rig.errors import Refused

OPS_FILE = "ops.json"
"""Name of the file. If `mesoscan` is set, Suite2p 0.x reads the only JSON file beside the TIFFs;
1.x does not."""


def ops_of(files: Sequence[Checked]) -> dict[str, Any]:
    """Return Suite2p's options for the files of a recording.

    `lines` are the rows of each region in a page, from 0; `dy` and `dx` are the position of the
    region in an image of all regions; `fs` is the number of pages per second of each plane. Suite2p
    finds planes by counting pages, so saved fly-back pages are additional planes. `ignore_flyback`
    lists these by the numbers of their folders plane0, plane1, ..., of which there is one for each
    region of each plane.

    Raises:
        Refused: Suite2p cannot read the recording. It needs one page of each plane per volume, and
            the same regions at every depth.
    """
    first = files[0]
    header, planes = first.header, first.planes
    if not planes:
        raise Refused(f"{first.path}: the pages cannot be split into the regions of the header")
    _check_even(files)
    rows = [[strip.rows for strip in strips] for strips in planes]
    if any(other != rows[0] for other in rows):
        raise Refused(f"{first.path} has other regions at each depth, which Suite2p cannot read")
    corners = places([strip.field for strip in planes[0]])
    # Planes scanned simultaneously are saved as channels; Suite2p takes each such page as a plane.
    channels = 1 if header.depths_per_frame > 1 else len(header.channels) or 1
    flyback_planes = files[-1].flyback_per_volume * header.depths_per_frame
    regions, all_planes = len(rows[0]), len(planes) + flyback_planes
    return {
        "mesoscan": True,
        "nrois": regions,
        "nplanes": all_planes,
        "nchannels": channels,
        "fs": header.plane_rate_hz,
        "lines": [list(range(row.start, row.stop)) for row in rows[0]],
        "dy": [y for y, _ in corners],
        "dx": [x for _, x in corners],
        "ignore_flyback": list(range(len(planes) * regions, all_planes * regions)),
    }


def write_ops(files: Sequence[Checked]) -> Path:
    """Write the options beside the first TIFF; return the file.

    Raises:
        Refused: Suite2p cannot read the recording, or the file cannot be written.
    """
    path = files[0].path.parent / OPS_FILE
    try:
        path.write_text(json.dumps(ops_of(files)) + "\n", encoding="utf-8")
    except OSError as error:
        raise Refused(f"{path} cannot be written ({error.strerror})") from error
    return path


def _check_even(files: Sequence[Checked]) -> None:
    """Raise Refused if the pages of a recording are not in the order of the planes."""
    first = files[0]
    header = first.header
    several_slices = header.slices > 1 or header.flyback_frames > 0
    pages = header.frames_per_slice // header.averaged
    if several_slices and pages > 1:
        raise Refused(
            f"{first.path} has {pages} pages of each slice in a volume, and Suite2p expects one; "
            "average them (logAverageFactor = framesPerSlice)"
        )
    for one in files:
        if one.header.depths_um != header.depths_um:
            raise Refused(f"{one.path} has other depths than {first.path}; run Suite2p on each")
        if one.uneven:
            raise Refused(
                f"{one.path}: Suite2p finds planes by counting pages, and would take the wrong "
                f"ones: {one.uneven}"
            )
