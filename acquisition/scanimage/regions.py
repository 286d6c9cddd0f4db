"""Multi-region scans: which rows of a page belong to which region, cut out and laid side by side.

A page stacks the fields that are scanned at one depth, in the order of the list of regions, which
need not run from left to right; between two fields lie the lines during which the mirrors fly over.
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
_FEWER_LINES, _MORE_LINES = 1, 2
"""By how much the lines between two regions may differ from the header's timing: ScanImage rounds
up to an even number, so that 24.03 lines become 26."""
_ROUNDING_PX = 1.0


class Field(msgspec.Struct, frozen=True):
    """One rectangle at one depth. Degrees are the scanner's."""

    z_um: float
    centre_deg: tuple[float, float]
    """x, y"""
    size_deg: tuple[float, float]
    """x, y"""
    px: tuple[int, int]
    """width, height"""


class Region(msgspec.Struct, frozen=True):
    """One region of interest: its fields, in the order of their depths."""

    name: str
    fields: tuple[Field, ...]
    discrete: bool = False
    """Whether it is scanned at its fields' own depths only."""

    def at(self, z_um: float) -> Field | None:
        """Return what is scanned of it at a depth; None if nothing is.

        Unless it is discrete, a lone field reaches through all depths, and between two fields
        their middle is scanned.
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
    """Where a field lies on its page: rows `first_row` to `first_row` + its height."""

    region: int
    """Index in the list of regions."""
    name: str
    field: Field
    first_row: int

    @property
    def rows(self) -> slice:
        """The rows of the page."""
        return slice(self.first_row, self.first_row + self.field.px[1])


def parse_regions(groups: dict[str, Any]) -> tuple[Region, ...]:
    """Read the enabled imaging regions of a file's RoiGroups; () if it names none.

    ScanImage writes a lone region, field or depth not as a list. Raises NotScanImage.
    """
    try:
        group = groups.get("RoiGroups", groups).get("imagingRoiGroup") or {}
        found = [_region(roi) for roi in _listed(group.get("rois")) if roi.get("enable", 1)]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise NotScanImage(f"has regions that cannot be understood ({error!r})") from error
    return tuple(region for region in found if region.fields)


def lay_out(
    regions: Sequence[Region],
    zs_um: Sequence[float],
    page_px: tuple[int, int],
    fly_to_lines: int | None,
) -> list[list[PageStrip]]:
    """Return the strips of the page of each depth.

    page_px is (width, height). The lines between two strips follow from the height of the page and
    must be those of the header's timing, to a line of rounding; a depth with fewer regions than
    another leaves the end of its page empty. Raises NotScanImage if it does not come out.
    """
    width, height = page_px
    planes = [
        [(i, r, f) for i, r in enumerate(regions) if (f := r.at(z)) is not None] for z in zs_um
    ]
    for z, plane in zip(zs_um, planes, strict=True):
        if not plane:
            raise NotScanImage(f"has no region at the depth of {z:g} um, which it scans")
        for _, region, field in plane:
            if field.px[0] != width:
                raise NotScanImage(
                    f"has pages {width} px wide and a region {region.name!r} of {field.px[0]} px"
                )
    lines = [(sum(f.px[1] for _, _, f in plane), len(plane) - 1) for plane in planes]
    total, gaps = max(lines, key=lambda plane: plane[0] + plane[1] * (fly_to_lines or 0))
    between = _between_strips(height - total, gaps, fly_to_lines)
    return [_stacked(plane, between) for plane in planes]


def cut(page: Pixels, strips: Sequence[PageStrip]) -> list[Pixels]:
    """Return the strips' pixels, as views of a page (height, width)."""
    return [page[strip.rows] for strip in strips]


def places(fields: Sequence[Field]) -> list[tuple[int, int]]:
    """Return where each field's first pixel lies (y, x) on a picture of all of them, in px.

    The picture has the first field's pixel size. Fields that touch to within a pixel touch.
    """
    step = [size / px for size, px in zip(fields[0].size_deg, fields[0].px, strict=True)]
    xs = _starts(fields, 0, step[0])
    ys = _starts(fields, 1, step[1])
    return list(zip(ys, xs, strict=True))


def stitch(parts: Sequence[Pixels], fields: Sequence[Field]) -> Pixels:
    """Lay the parts side by side as they lie in the tissue.

    Where nothing was scanned is NaN, or 0 where the parts are integers.
    """
    corners = places(fields)
    height = max(y + part.shape[0] for (y, _), part in zip(corners, parts, strict=True))
    width = max(x + part.shape[1] for (_, x), part in zip(corners, parts, strict=True))
    nothing = np.nan if np.issubdtype(parts[0].dtype, np.floating) else 0
    picture = np.full((height, width), nothing, parts[0].dtype)
    for (y, x), part in zip(corners, parts, strict=True):
        picture[y : y + part.shape[0], x : x + part.shape[1]] = part
    return picture


def _starts(fields: Sequence[Field], axis: int, step: float) -> list[int]:
    """Return the first pixel of each field along an axis, 0 x or 1 y."""
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
            raise NotScanImage(f"has pages with {rest} lines besides those of its region")
        return 0
    lines, left = divmod(rest, gaps)
    if rest < 0 or left:
        raise NotScanImage(f"has {rest} lines for {gaps} flights from region to region")
    if fly_to_lines is not None and not -_FEWER_LINES <= lines - fly_to_lines <= _MORE_LINES:
        raise NotScanImage(
            f"flies for {lines} lines from region to region by the height of its pages, for "
            f"{fly_to_lines} by its header"
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

    def middle(p: tuple[float, float], q: tuple[float, float]) -> tuple[float, float]:
        return (p[0] + part * (q[0] - p[0]), p[1] + part * (q[1] - p[1]))

    width, height = middle(a.px, b.px)
    centre, size = middle(a.centre_deg, b.centre_deg), middle(a.size_deg, b.size_deg)
    return Field(z_um, centre, size, (round(width), round(height)))


def _listed(value: Any) -> list[Any]:
    """Return what MATLAB wrote for a list: nothing, one thing, or several."""
    if isinstance(value, list):
        return value
    if value is None or (isinstance(value, dict) and "_ArrayType_" in value):
        return []  # how an empty array is written
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
