"""The imaging panel: the newest page and the mean page of each depth, and the cells."""

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rig.messages import CellsFound, Frame, Message, Scan, Start
from rig.transport.frame_pixels import Pixels

Floats = NDArray[np.float32]
_MOST_PX = 512
"""Largest number of pixels per side of a page that is shown."""
_MEAN_SHARE = 0.2
"""Weight of a page that is added to the running mean."""
_MEAN_EVERY = 4
"""Number of pages read per page that is added to the running mean."""
_SAMPLE_PX = 128
"""Number of pixels of a row and column from which the contrast is computed."""
_LEVELS = 40
"""Number of colours for a d' from 0 to 1, and for one from 0 to -1."""
_UNDEFINED = -128
"""Level of a cell whose d' is not defined."""
_CONTRAST_PERCENTILES = (1.0, 99.7)
_HEADER = struct.Struct("<8Hff")
"""Width and height (px as sent), page px per sent px, top and left of the crop, height and width of
the page (page px), 0, and the brightness that is shown as 0 and as 255."""


class Crop(NamedTuple):
    """A part of a page, px; a height or width of 0 reaches to the end of the page."""

    top: int = 0
    left: int = 0
    height: int = 0
    width: int = 0


_WHOLE = Crop()
_MOST_IMAGES = 32
"""Largest number of images that are cached until the next page is read."""


class ImagingView:
    """The newest and the mean page of each depth, reduced to what a screen can show."""

    def __init__(
        self, folder: Path, centres: Floats | None = None, planes: NDArray[Any] | None = None
    ) -> None:
        """Show the pages of a session in `folder`.

        Args:
            folder: The session folder, for pages that are not in the ring.
            centres: y, x (px) of the cells, if they are already known: (cells, 2).
            planes: Index of the depth of each cell: (cells,).
        """
        self._folder = folder
        self._pixels: Pixels | None = None
        self._newest: dict[int, NDArray[Any]] = {}
        self._mean: dict[int, Floats] = {}
        self._shape = (0, 0)
        self._strips: list[dict[str, int]] = []
        self._centres = np.empty((0, 2), np.float32) if centres is None else centres
        self._planes = np.zeros(len(self._centres)) if planes is None else planes
        self._waiting: dict[int, Frame] = {}
        """The newest Frame of each depth whose pixels have not been read."""
        self._pages = self._reads = 0
        self._images: dict[tuple[str, int, Crop], bytes] = {}
        """Cached images of the newest pages."""
        self._places = b""
        """Cached result of `cells`."""
        self._levels: tuple[Floats, int, bytes] | None = None
        """Cached result of `levels`: d', number of cells, bytes."""
        self._levels_version = 0

    def handle(self, message: Message) -> None:
        """Handle Start (path of the ring), Frame (there is a new page) and CellsFound."""
        if isinstance(message, Start):
            self._open(message)
        elif isinstance(message, CellsFound):
            self._add_cells(message)
        elif isinstance(message, Scan):
            self._strips = _strips(message)
        elif isinstance(message, Frame) and message.channel <= 1:
            self._waiting[message.plane] = message

    def read_pages(self) -> None:
        """Read the newest page of each depth; its pixels may be many megabytes."""
        self._reads += 1
        if self._pixels is None:
            return
        waiting, self._waiting = self._waiting, {}
        for plane, frame in waiting.items():
            filled = self._pixels.of(frame)
            if filled.pixels is not None:
                self._add_page(plane, np.asarray(filled.pixels))

    def facts(self, d_prime: Floats) -> dict[str, Any]:
        """Return the depths, the number of known cells, and two counters of changes.

        `pages` and `levels_version` increase when an image or the levels have changed.
        """
        self.levels(d_prime)
        return {
            "planes": sorted(self._newest),
            "cells": len(self._centres),
            "page_px": self._shape,
            "strips": self._strips,
            "pages": self._pages,
            "levels_version": self._levels_version,
        }

    def image(self, kind: str, plane: int, crop: Crop = _WHOLE) -> bytes:
        """Return a page or a part of it: the header, then one byte per pixel; b"" without a page.

        Args:
            kind: "mean" for the running mean; anything else for the newest page.
            plane: Index of the depth.
            crop: The part of the page; it is reduced to what a screen can show.
        """
        page = (self._mean if kind == "mean" else self._newest).get(plane)
        if page is None:
            return b""
        key = ("mean" if kind == "mean" else "live", plane, crop)
        if key not in self._images:
            if len(self._images) >= _MOST_IMAGES:
                self._images.clear()
            self._images[key] = _as_bytes(page, crop)
        return self._images[key]

    def cells(self) -> bytes:
        """Return depth, y and x (px) of each cell as little-endian float32, (cells, 3)."""
        if len(self._places) != 12 * len(self._centres):
            columns = (self._planes, self._centres[:, 0], self._centres[:, 1])
            self._places = bytes(np.stack(columns, axis=1).astype("<f4").tobytes())
        return self._places

    def levels(self, d_prime: Floats) -> bytes:
        """Return d' of each cell as int8: 40 for 1 and more, -40 for -1 and less.

        A cell without d' is -128. Levels change every second; the places of the cells do not.
        """
        if self._levels is not None:
            of, count, answer = self._levels
            if of is d_prime and count == len(self._centres):
                return answer
        values = np.full(len(self._centres), _UNDEFINED, np.int8)
        known = d_prime[: len(values)]
        defined = np.isfinite(known)
        scaled = np.rint(_LEVELS * np.clip(known[defined], -1.0, 1.0))
        values[: len(known)][defined] = scaled.astype(np.int8)
        answer = bytes(values.tobytes())
        self._levels = (d_prime, len(self._centres), answer)
        self._levels_version += 1
        return answer

    def close(self) -> None:
        """Release the ring."""
        if self._pixels is not None:
            self._pixels.close()

    def _open(self, start: Start) -> None:
        pixels = Pixels(self._folder)
        with suppress(OSError):  # a session that is over has no ring; pages are read from its files
            pixels.open(start)
        self._pixels = pixels

    def _add_page(self, plane: int, page: NDArray[Any]) -> None:
        self._pages += 1
        self._images.clear()
        self._shape = page.shape
        self._newest[plane] = page
        mean = self._mean.get(plane)
        if mean is None or mean.shape != page.shape:
            self._mean[plane] = page.astype(np.float32)
        elif self._reads % _MEAN_EVERY == 0:
            mean += _MEAN_SHARE * (page - mean)

    def _add_cells(self, found: CellsFound) -> None:
        runs = np.frombuffer(found.runs, "<u4").reshape(-1, 4).astype(np.float64)
        cell, y, x, length = runs.T
        index = cell.astype(np.intp)
        pixels = np.bincount(index, length, found.cells)
        centre_y = np.bincount(index, y * length, found.cells) / pixels
        centre_x = np.bincount(index, (x + (length - 1) / 2) * length, found.cells) / pixels
        centres = np.stack([centre_y, centre_x], axis=1).astype(np.float32)
        self._centres = np.concatenate([self._centres, centres])
        self._planes = np.concatenate([self._planes, np.full(found.cells, found.plane)])


def _as_bytes(page: NDArray[Any], crop: Crop) -> bytes:
    height, width = page.shape
    top, left = min(crop.top, height - 1), min(crop.left, width - 1)
    part = page[top : top + crop.height or height, left : left + crop.width or width]
    step = max(1, -(-max(part.shape) // _MOST_PX))
    thinned = part[::step, ::step].astype(np.float32)
    every = max(1, min(thinned.shape) // _SAMPLE_PX)
    sample = thinned[::every, ::every]
    low, high = np.percentile(sample, _CONTRAST_PERCENTILES)
    scaled = np.clip((thinned - low) * (255.0 / max(high - low, 1e-6)), 0, 255)
    rows, columns = thinned.shape
    header = _HEADER.pack(columns, rows, step, top, left, height, width, 0, low, high)
    return header + bytes(scaled.astype(np.uint8).tobytes())


def _strips(scan: Scan) -> list[dict[str, int]]:
    """Return the strips of a page: the regions of its first depth, from top to bottom."""
    found = {}
    for region in scan.regions:
        row, height = int(region.get("first_row", 0)), int(region.get("height_px", 0))
        found[row] = {"top": row, "height": height, "width": int(region.get("width_px", 0))}
    return [found[row] for row in sorted(found)]
