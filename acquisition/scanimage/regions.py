"""Multi-region scans: the rows of a page that belong to each region, and the regions' positions.

A page contains the fields scanned at one depth one below the other, in the order of the list of
regions, which need not be from left to right. Between two fields are the lines during which the
mirrors move.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from acquisition.scanimage.preamble import NotScanImage

Pixels = NDArray[Any]
_SAME_UM = 1e-3
"""Largest difference between two depths that are taken as the same, um."""
_FEWER_LINES, _MORE_LINES = 1, 2
"""Largest differences between the number of lines between two regions and the header's timing.
ScanImage rounds up to an even number, so that 24.03 lines become 26."""
_ROUNDING_PX = 1.0
"""Largest gap between two fields that are taken as adjacent, px."""


class Field(msgspec.Struct, frozen=True):
    """One rectangle at one depth, in degrees of the scan angle."""

    z_um: float
    centre_deg: tuple[float, float]
    """Centre of the field, degrees: x, y."""
    size_deg: tuple[float, float]
    """Size of the field, degrees: x, y."""
    px: tuple[int, int]
    """Number of pixels: width, height."""


class Region(msgspec.Struct, frozen=True):
    """One region of interest: its fields, in the order of their depths."""

    name: str
    fields: tuple[Field, ...]
    discrete: bool = False
    """True if the region is scanned only at the depths of its fields."""

    def at(self, z_um: float) -> Field | None:
        """Return the field scanned at a depth; None if there is none.

        Unless the region is discrete, a single field is scanned at all depths, and ScanImage
        interpolates between two fields.
        """
        for field in self.fields:
            if abs(field.z_um - z_um) <= _SAME_UM:
                return field
        if self.discrete:
            return None
        if len(self.fields) == 1:
            return self.fields[0]
        for above, below in zip(self.fields, self.fields[1:], strict=False):
            if above.z_um < z_um < below.z_um:
                return _between(above, below, z_um)
        return None


class PageStrip(msgspec.Struct, frozen=True):
    """The rows of a page that show a field, from `first_row` on."""

    region: int
    """Index in the list of regions."""
    name: str
    field: Field
    first_row: int

    @property
    def rows(self) -> slice:
        """The rows of the page, as a slice."""
        return slice(self.first_row, self.first_row + self.field.px[1])


def parse_regions(groups: dict[str, Any]) -> tuple[Region, ...]:
    """Return the enabled imaging regions of a file's RoiGroups; () if there are none.

    ScanImage writes a list with one region, field or depth without the list. Raises NotScanImage if
    the regions cannot be read.
    """
    try:
        group = groups.get("RoiGroups", groups).get("imagingRoiGroup") or {}
        found = [_region(roi) for roi in _listed(group.get("rois")) if roi.get("enable", 1)]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise NotScanImage(f"has regions that cannot be read ({error!r})") from error
    return tuple(region for region in found if region.fields)


def lay_out(
    regions: Sequence[Region],
    zs_um: Sequence[float],
    page_px: tuple[int, int],
    fly_to_lines: int | None,
) -> list[list[PageStrip]]:
    """Return the strips on the page of each depth.

    The number of lines between two strips is computed from the height of the page and must agree
    with the timing in the header. If a depth has fewer regions than others, the end of its page is
    empty.

    Args:
        regions: The regions in the order of the scan.
        zs_um: The depth of each page, um.
        page_px: (width, height) of a page.
        fly_to_lines: Lines between two regions according to the header; None if not given.

    Raises:
        NotScanImage: The regions do not fit the pages.
    """
    width, height = page_px
    planes = [
        [(i, r, f) for i, r in enumerate(regions) if (f := r.at(z)) is not None] for z in zs_um
    ]
    for z, plane in zip(zs_um, planes, strict=True):
        if not plane:
            raise NotScanImage(f"scans a depth of {z:g} um at which it has no region")
        for _, region, field in plane:
            if field.px[0] != width:
                raise NotScanImage(
                    f"has pages {width} px wide, but region {region.name!r} is {field.px[0]} px"
                )
    lines = [(sum(f.px[1] for _, _, f in plane), len(plane) - 1) for plane in planes]
    total, gaps = max(lines, key=lambda plane: plane[0] + plane[1] * (fly_to_lines or 0))
    between = _between_strips(height - total, gaps, fly_to_lines)
    return [_stacked(plane, between) for plane in planes]


def cut(page: Pixels, strips: Sequence[PageStrip]) -> list[Pixels]:
    """Return the pixels of each strip as views of a page (height, width)."""
    return [page[strip.rows] for strip in strips]


def places(fields: Sequence[Field]) -> list[tuple[int, int]]:
    """Return the first pixel (y, x) of each field in an image of all of them.

    The image has the pixel size of the first field. A gap of up to one pixel between two fields is
    closed.
    """
    step = [size / px for size, px in zip(fields[0].size_deg, fields[0].px, strict=True)]
    xs = _starts(fields, 0, step[0])
    ys = _starts(fields, 1, step[1])
    return list(zip(ys, xs, strict=True))


def stitch(parts: Sequence[Pixels], fields: Sequence[Field]) -> Pixels:
    """Return one image of the parts, at their positions in the tissue.

    Pixels that were not scanned are NaN, or 0 if the parts are integers.
    """
    corners = places(fields)
    height = max(y + part.shape[0] for (y, _), part in zip(corners, parts, strict=True))
    width = max(x + part.shape[1] for (_, x), part in zip(corners, parts, strict=True))
    nothing = np.nan if np.issubdtype(parts[0].dtype, np.floating) else 0
    image = np.full((height, width), nothing, parts[0].dtype)
    for (y, x), part in zip(corners, parts, strict=True):
        image[y : y + part.shape[0], x : x + part.shape[1]] = part
    return image


def _starts(fields: Sequence[Field], axis: int, step: float) -> list[int]:
    """Return the first pixel of each field along an axis (0: x, 1: y)."""
    edges = [field.centre_deg[axis] - field.size_deg[axis] / 2 for field in fields]
    starts = [0] * len(fields)
    done: list[int] = []
    for i in sorted(range(len(fields)), key=lambda i: edges[i]):
        starts[i] = round((edges[i] - min(edges)) / step)
        for j in done:
            for there, px in ((edges[j], 0), (edges[j] + fields[j].size_deg[axis], 1)):
                if abs(edges[i] - there) / step <= _ROUNDING_PX:
                    starts[i] = starts[j] + px * fields[j].px[axis]
        done.append(i)
    return starts


def _between_strips(rest: int, gaps: int, fly_to_lines: int | None) -> int:
    if not gaps:
        if rest:
            raise NotScanImage(f"has pages with {rest} lines more than its region")
        return 0
    lines, left = divmod(rest, gaps)
    if rest < 0 or left:
        raise NotScanImage(f"has {rest} lines for {gaps} gaps between regions")
    if fly_to_lines is not None and not -_FEWER_LINES <= lines - fly_to_lines <= _MORE_LINES:
        raise NotScanImage(
            f"has {lines} lines between two regions by the height of its pages, and "
            f"{fly_to_lines} by its header (flytoTimePerScanfield / linePeriod)"
        )
    return lines


def _stacked(plane: list[tuple[int, Region, Field]], between: int) -> list[PageStrip]:
    strips, row = [], 0
    for index, region, field in plane:
        strips.append(PageStrip(index, region.name, field, row))
        row += field.px[1] + between
    return strips


def _between(a: Field, b: Field, z_um: float) -> Field:
    part = (z_um - a.z_um) / (b.z_um - a.z_um)

    def interpolated(p: tuple[float, float], q: tuple[float, float]) -> tuple[float, float]:
        return (p[0] + part * (q[0] - p[0]), p[1] + part * (q[1] - p[1]))

    width, height = interpolated(a.px, b.px)
    centre, size = interpolated(a.centre_deg, b.centre_deg), interpolated(a.size_deg, b.size_deg)
    return Field(z_um, centre, size, (round(width), round(height)))


def _listed(value: Any) -> list[Any]:
    """Return a list, which MATLAB may have written as nothing, as a single value, or as a list."""
    if isinstance(value, list):
        return value
    if value is None or (isinstance(value, dict) and "_ArrayType_" in value):
        return []  # MATLAB writes an empty array in this way
    return [value]


def _region(roi: dict[str, Any]) -> Region:
    depths = [float(z) for z in _listed(roi["zs"])]
    drawn = zip(depths, _listed(roi["scanfields"]), strict=True)
    fields = [_field(z, scanfield) for z, scanfield in drawn if scanfield.get("enable", 1)]
    in_order = sorted(fields, key=lambda field: field.z_um)
    return Region(str(roi.get("name") or ""), tuple(in_order), bool(roi.get("discretePlaneMode")))


def _field(z_um: float, scanfield: dict[str, Any]) -> Field:
    x, y = (float(v) for v in scanfield["centerXY"])
    size_x, size_y = (float(v) for v in scanfield["sizeXY"])
    width, height = (int(v) for v in scanfield["pixelResolutionXY"])
    numbers = (z_um, x, y, size_x, size_y)
    if not all(map(math.isfinite, numbers)) or min(size_x, size_y, width, height) <= 0:
        raise ValueError(f"a field of {width} x {height} px and {size_x} x {size_y} degrees")
    return Field(z_um, (x, y), (size_x, size_y), (width, height))
