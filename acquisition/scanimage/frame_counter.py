"""Tells of each page which frame, channel and plane it is, and what is missing or too much."""

from typing import NamedTuple

from acquisition.scanimage.header import Header
from acquisition.scanimage.preamble import NotScanImage


class PageIndex(NamedTuple):
    """What a page shows."""

    channel: int
    """The channel's number, as ScanImage counts them."""
    plane: int
    """Index of the depth in Header.depths_um."""


class Count:
    """Goes through the frame numbers of an acquisition, over all its files.

    A frame is one page for each channel saved, under one number. Numbers go up by 1, or by the
    number of frames averaged. Frames scanned on the way back and not saved may be counted or not:
    ScanImage does not document which, so the first way back decides.
    """

    def __init__(self, header: Header) -> None:
        self.faults: list[str] = []
        """What was wrong since somebody took the list: one clause each."""
        self._channels = header.channels or (1,)
        self._header = header
        self._step: int | None = None if header.averaged > 1 else 1
        self._counts_way_back: bool | None = None if header.discarded else False
        self._first = 0
        self._last = 0
        self._pages = 0
        """How many pages of frame `last` have come."""
        self._missing: list[range] = []

    def goes_on(self, header: Header, number: int) -> bool:
        """Whether a file of that header, beginning at that frame, is of the same acquisition."""
        ours, theirs = self._header, header
        alike = ours.channels == theirs.channels and ours.zs_um == theirs.zs_um
        return alike and number > 1

    def take(self, number: int) -> PageIndex | None:
        """Return what the next page shows; None if it is to be left out.

        Raises NotScanImage if the pages are not those the header speaks of.
        """
        if not self._last:
            self._first = number
        elif number < self._last:
            return self._late(number)
        elif number == self._last:
            return self._another_page(number)
        else:
            self._check_whole()
            self._check_gap(number)
        self._last, self._pages = number, 1
        return self._place(number)

    def _another_page(self, number: int) -> PageIndex | None:
        self._pages += 1
        if self._pages <= len(self._channels):
            return self._place(number)
        if number == self._first:
            raise NotScanImage(
                f"has more pages of frame {number} than channels saved by its header "
                f"({len(self._channels)})"
            )
        if self._pages == len(self._channels) + 1:
            self.faults.append(f"frame {number} comes twice, the second time left out")
        return None

    def _late(self, number: int) -> PageIndex | None:
        if not any(number in gap for gap in self._missing):
            raise NotScanImage(f"has frame {number} after frame {self._last}")
        self.faults.append(f"frame {number} comes late, after frame {self._last}, and is left out")
        return None

    def _check_whole(self) -> None:
        """Check that the frame before had a page of every channel."""
        if self._pages >= len(self._channels):
            return
        what = f"{self._pages} of the {len(self._channels)} channels saved"
        if self._last == self._first:
            raise NotScanImage(f"has {what} by its header in frame {self._last}")
        self.faults.append(f"frame {self._last} has {what}")

    def _check_gap(self, number: int) -> None:
        jump = number - self._last
        if self._step is None:
            self._step = self._header.averaged if jump % self._header.averaged == 0 else 1
        expected = self._last + self._step
        saved, discarded = self._header.slices, self._header.discarded
        if self._last % saved == 0 and self._counts_way_back is None and jump in (1, 1 + discarded):
            self._counts_way_back = jump > 1
        if self._counts_way_back and self._last % (saved + discarded) == saved:
            expected += discarded
        if number > expected:
            gap = range(expected, number)
            self._missing.append(gap)
            until = f" to {gap[-1]}" if len(gap) > 1 else ""
            what = "frames" if until else "frame"
            self.faults.append(f"{what} {gap[0]}{until} missing, which ScanImage did not save")

    def _place(self, number: int) -> PageIndex:
        index = self._pages - 1
        saved, at_once = self._header.slices, self._header.at_once
        volume = saved + (self._header.discarded if self._counts_way_back else 0)
        piece = (number - 1) // (self._step or 1) % volume
        if piece >= saved:
            raise NotScanImage(f"has frame {number}, scanned on the way back and not to be saved")
        plane = piece * at_once + (index if at_once > 1 else 0)
        return PageIndex(self._channels[index], plane)
