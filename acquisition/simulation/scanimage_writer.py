"""Write a ScanImage BigTIFF page by page, as the simulated microscope does."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from acquisition.scanimage.preamble import FIRST_LINK_AT, LINK, PREAMBLE_BYTES, Preamble
from acquisition.simulation.scanimage_encoding import (
    PAGE_TAGS_BYTES,
    Recording,
    describe,
    pack_page_tags,
    pack_preamble,
)

Link = Literal["pre", "post"]


class Writer:
    """A writer of one growing file.

    With link "pre", each page contains the offset of the next page from the start; with "post", the
    offset is written after the next page. ScanImage's files exist in both forms.
    """

    def __init__(self, path: Path, recording: Recording, began: datetime, link: Link) -> None:
        """Create the file. Raises OSError if that fails."""
        self._recording, self._began, self._link = recording, began, link
        self._pages = 0
        static = recording.static().encode() + b"\0"
        regions = recording.groups().encode() + b"\0"
        self._preamble = Preamble(len(static), len(regions))
        self._next = _aligned(PREAMBLE_BYTES + len(static) + len(regions))
        self._link_at = FIRST_LINK_AT
        # The file is unbuffered, so that readers find a page as soon as `append` returns.
        self._file = path.open("xb", buffering=0)
        head = pack_preamble(static, regions, self._next if link == "pre" else 0)
        self._put(0, (head + static + regions).ljust(self._next, b"\0"))

    def append(
        self,
        pixels: NDArray[np.int16],
        timestamp_s: float,
        number: int | None = None,
        acquisition: int = 1,
        number_in_acquisition: int | None = None,
    ) -> None:
        """Write one page: the next channel of a frame, or the next frame.

        Args:
            pixels: The page, (height_px, width_px).
            timestamp_s: Time of the frame in the file, s.
            number: Number of the frame; by default frames count from 1.
            acquisition: Number of the acquisition in a LOOP.
            number_in_acquisition: Number of the frame in its acquisition, from 1; by default there
                is only one acquisition.

        Raises:
            ValueError: The pixels have another shape than the file.
        """
        numbers = (number, acquisition, number_in_acquisition)
        for _ in self._pieces(pixels, timestamp_s, numbers, None):
            pass

    def pieces(
        self,
        pixels: NDArray[np.int16],
        timestamp_s: float,
        number: int | None = None,
        piece_bytes: int | None = None,
    ) -> Iterator[int]:
        """Write one page in pieces; after each, yield the number of the page's bytes on disk.

        If the caller stops in between, the file ends inside a page. Raises as `append`.
        """
        return self._pieces(pixels, timestamp_s, (number, 1, None), piece_bytes)

    def _pieces(
        self,
        pixels: NDArray[np.int16],
        timestamp_s: float,
        numbers: tuple[int | None, int, int | None],
        piece_bytes: int | None,
    ) -> Iterator[int]:
        number, acquisition, in_acquisition = numbers
        shape = self._recording.shape
        if pixels.shape != shape:
            raise ValueError(f"the page has {pixels.shape} px, and the file {shape} px")
        at = self._next
        frame = 1 + self._pages // len(self._recording.channels) if number is None else number
        label = describe(frame, timestamp_s, self._began, acquisition, in_acquisition)
        text = label.encode() + b"\0"
        text = text.ljust(_aligned(PAGE_TAGS_BYTES + len(text)) - PAGE_TAGS_BYTES, b"\0")
        raw = pixels.astype("<i2", copy=False).tobytes()
        end = _aligned(at + PAGE_TAGS_BYTES + len(text) + len(raw))
        tags = pack_page_tags(
            shape, self._preamble, at, len(text), end if self._link == "pre" else 0
        )
        page = (tags + text + raw).ljust(end - at, b"\0")
        step = piece_bytes or len(page)
        for start in range(0, len(page), step):
            self._put(at + start, page[start : start + step])
            yield min(start + step, len(page))
        if self._link == "post":
            self._put(self._link_at, LINK.pack(at))
        self._link_at = at + PAGE_TAGS_BYTES - LINK.size
        self._next = end
        self._pages += 1

    def close(self) -> None:
        """Finish the file, so that the last page links to no other page."""
        if self._link == "pre":
            self._put(self._link_at, LINK.pack(0))
        self._file.close()

    def abandon(self) -> None:
        """Close the file without finishing it, as after a crash of the microscope."""
        self._file.close()

    def _put(self, offset: int, raw: bytes) -> None:
        self._file.seek(offset)
        left = memoryview(raw)
        while left:  # on a full disk, the first write is short and the next one raises
            left = left[self._file.write(left) :]


def _aligned(offset: int) -> int:
    return -(-offset // 8) * 8
