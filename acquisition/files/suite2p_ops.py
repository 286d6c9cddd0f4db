"""What Suite2p must know of a recording, in the file it looks for beside the TIFFs."""

import json
from pathlib import Path
from typing import Any

from acquisition.files.file_check import Checked
from acquisition.scanimage.regions import places
from rig.errors import Refused

OPS_FILE = "ops.json"
"""Suite2p takes the one JSON file beside the TIFFs when `mesoscan` is set."""


def ops_of(one: Checked) -> dict[str, Any]:
    """Return Suite2p's options for a file and those that go on with it.

    lines are the rows of each region in a page, from 0; dy and dx where it lies on a picture of
    all; fs is volumes a second. Raises Refused where Suite2p has no words for the recording: it
    takes the same regions at every depth.
    """
    header, planes = one.header, one.planes
    if not planes:
        raise Refused(f"{one.path}: Suite2p cannot be told how its pages are cut into regions")
    rows = [[strip.rows for strip in strips] for strips in planes]
    if any(other != rows[0] for other in rows):
        raise Refused(f"{one.path} has other regions at each depth, which Suite2p cannot read")
    corners = places([strip.field for strip in planes[0]])
    # Planes scanned at once are saved as channels; to Suite2p each page of them is a plane.
    channels = 1 if header.at_once > 1 else len(header.channels) or 1
    return {
        "mesoscan": True,
        "nrois": len(rows[0]),
        "nplanes": len(planes),
        "nchannels": channels,
        "fs": header.volume_rate_hz,
        "lines": [list(range(row.start, row.stop)) for row in rows[0]],
        "dy": [y for y, _ in corners],
        "dx": [x for _, x in corners],
    }


def write_ops(one: Checked) -> Path:
    """Write the options beside a TIFF; return where. Raises Refused if that cannot be."""
    path = one.path.parent / OPS_FILE
    try:
        path.write_text(json.dumps(ops_of(one)) + "\n", encoding="utf-8")
    except OSError as error:
        raise Refused(f"{path} cannot be written ({error.strerror})") from error
    return path
