"""The imaging panel: the newest page and the mean page of each depth, and where the cells are."""

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rig.messages import CellsFound, Frame, Message, Start
from rig.transport.frame_pixels import Pixels

Floats = NDArray[np.float32]
_MOST_PX = 512
"""Pages are shown with at most this many pixels a side."""
_MEAN_SHARE = 0.05
"""Share of the newest page in the running mean."""
_CONTRAST_PERCENTILES = (1.0, 99.7)
_HEADER = struct.Struct("<HHHHff")
"""Width and height (px as sent), page px a sent px, 0, and the brightness shown as 0 and 255."""


class ImagingView:
    """Keeps the newest and the mean page of each depth, thinned to what a screen can show."""

    def __init__(
        self, folder: Path, centres: Floats | None = None, planes: NDArray[Any] | None = None
    ) -> None:
        """Show the pages of a session in `folder`.

        Args:
            folder: the session folder, for pages that are not in the ring.
            centres: y, x (px) of the cells if they are known already, (cells, 2).
            planes: index of the depth of each cell, (cells,).
        """
        self._folder = folder
        self._pixels: Pixels | None = None
        self._newest: dict[int, Floats] = {}
        self._mean: dict[int, Floats] = {}
        self._step = 1
        self._centres = np.empty((0, 2), np.float32) if centres is None else centres
        self._planes = np.zeros(len(self._centres)) if planes is None else planes

    def handle(self, message: Message) -> None:
        """Take in Start (where the pixels are), Frame (a new page) and CellsFound."""
        if isinstance(message, Start):
            self._open(message)
        elif isinstance(message, CellsFound):
            self._add_cells(message)
        elif isinstance(message, Frame) and self._pixels is not None and message.channel <= 1:
            filled = self._pixels.of(message)
            if filled.pixels is not None:
                self._add_page(message.plane, np.asarray(filled.pixels))

    def facts(self) -> dict[str, Any]:
        """Return which depths there are and how many cells are known."""
        return {"planes": sorted(self._newest), "cells": len(self._centres), "step": self._step}

    def image(self, kind: str, plane: int) -> bytes:
        """Return a page as bytes: the header, then one byte a pixel; empty if there is none yet.

        Args:
            kind: "mean" for the running mean; anything else for the newest page.
            plane: index of the depth.
        """
        page = (self._mean if kind == "mean" else self._newest).get(plane)
        if page is None:
            return b""
        low, high = np.percentile(page, _CONTRAST_PERCENTILES)
        scaled = np.clip((page - low) * (255.0 / max(high - low, 1e-6)), 0, 255)
        height, width = page.shape
        header = _HEADER.pack(width, height, self._step, 0, float(low), float(high))
        return header + bytes(scaled.astype(np.uint8).tobytes())

    def cells(self, d_prime: Floats) -> bytes:
        """Return depth, y, x and d' of each cell as little-endian float32, (cells, 4)."""
        if not len(self._centres):
            return b""
        values = np.full(len(self._centres), np.nan, np.float32)
        known = min(len(d_prime), len(values))
        values[:known] = d_prime[:known]
        columns = (self._planes, self._centres[:, 0], self._centres[:, 1], values)
        return bytes(np.stack(columns, axis=1).astype("<f4").tobytes())

    def close(self) -> None:
        """Let the ring go."""
        if self._pixels is not None:
            self._pixels.close()

    def _open(self, start: Start) -> None:
        pixels = Pixels(self._folder)
        with suppress(OSError):  # the ring of a session that is over: pages come from its files
            pixels.open(start)
        self._pixels = pixels

    def _add_page(self, plane: int, page: NDArray[Any]) -> None:
        self._step = max(1, -(-max(page.shape) // _MOST_PX))
        newest = page[:: self._step, :: self._step].astype(np.float32)
        mean = self._mean.get(plane)
        self._newest[plane] = newest
        if mean is None or mean.shape != newest.shape:
            self._mean[plane] = newest
        else:
            self._mean[plane] = mean + _MEAN_SHARE * (newest - mean)

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
