"""Find the regions on the page of each plane, and make the Scan message that publishes them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from acquisition.scanimage.header import Header
from acquisition.scanimage.page import Page
from acquisition.scanimage.preamble import NotScanImage
from acquisition.scanimage.regions import Field, PageStrip, Region, lay_out, parse_regions, places
from rig.messages import Scan


def strips_of(header: Header, groups: dict[str, Any], page: Page) -> list[list[PageStrip]]:
    """Return the strips on the page of each plane of `header.depths_um`.

    Unless multiple regions are scanned, a page is one strip. Raises NotScanImage if the regions do
    not fit the pages.
    """
    regions = parse_regions(groups)
    page_px = (page.width_px, page.height_px)
    if not header.multi_region:
        whole = regions[0].at(header.depths_um[0]) if len(regions) == 1 else None
        size = whole.size_deg if whole is not None else (1.0, 1.0)
        centre = whole.centre_deg if whole is not None else (0.0, 0.0)
        name = regions[0].name if whole is not None else ""
        one = Region(name, (Field(header.depths_um[0], centre, size, page_px),))
        return [[PageStrip(0, name, one.fields[0], 0)] for _ in header.depths_um]
    if not regions:
        raise NotScanImage("scans multiple regions (mroiEnable) and lists none")
    return lay_out(regions, header.depths_um, page_px, header.fly_to_lines)


def scan_of(
    t: int,
    file: str,
    header: Header,
    planes: Sequence[Sequence[PageStrip]],
    changed: tuple[str, ...],
) -> Scan:
    """Return the message with the settings and regions of a file."""
    return Scan(
        t,
        file,
        msgspec.to_builtins(header),
        header.depths_um,
        tuple(region for i, strips in enumerate(planes) for region in _regions_of_plane(i, strips)),
        changed,
    )


def _regions_of_plane(plane: int, strips: Sequence[PageStrip]) -> list[dict[str, Any]]:
    corners = places([strip.field for strip in strips])
    return [
        {
            "plane": plane,
            "region": strip.region,
            "name": strip.name,
            "first_row": strip.first_row,
            "height_px": strip.field.px[1],
            "width_px": strip.field.px[0],
            "y_px": y,
            "x_px": x,
            "centre_deg": strip.field.centre_deg,
            "size_deg": strip.field.size_deg,
        }
        for strip, (y, x) in zip(strips, corners, strict=True)
    ]
