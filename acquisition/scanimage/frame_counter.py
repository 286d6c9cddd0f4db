"""Find the frame, channel and plane of each page, and frames that are missing or saved twice."""

import math
from typing import NamedTuple

import msgspec

from acquisition.scanimage.header import Header
from acquisition.scanimage.page import Page
from acquisition.scanimage.preamble import NotScanImage
from acquisition.scanimage.volume_model import VolumeModel

_AGREES_FRAMES = 0.5
"""Largest difference with which a time fits a number of frames, in frames."""
_VOTES = 3
"""Number of ends of volumes at which times show whether fly-back frames are numbered."""


class PageIndex(NamedTuple):
    """What a page shows."""

    channel: int
    """The channel's number in ScanImage, from 1."""
    plane: int
    """Index of the depth in Header.depths_um."""


class _Label(NamedTuple):
    """The frame numbers and time in the description of a page."""

    number: int
    acquisition: int
    number_in_acquisition: int
    timestamp_s: float


class FrameCounter:
    """A counter of the frames of a recording, over all its files and acquisitions.

    A frame is one page per saved channel; all of them have the number of the frame. `frameNumbers`
    continues over the acquisitions of a LOOP and shows which frames are missing.
    `frameNumberAcquisition` starts again at each acquisition, as does the volume, and shows which
    slice a frame belongs to.
    """

    def __init__(self, header: Header) -> None:
        """Start before the first page.

        Raises NotScanImage if the header does not show which depth a page shows.
        """
        self.faults: list[str] = []
        """The faults found, one clause each; the caller empties the list."""
        self.flyback_pages = 0
        """Number of pages of fly-back frames, which show no plane."""
        self.flyback_per_volume: int | None = None
        """Number of fly-back frames saved after the first volume; None before the second volume."""
        self.uneven = ""
        """Why the plane of a page cannot be derived from the order of the pages; "" if it can."""
        self._header = header
        self._channels = header.channels or (1,)
        self._model = VolumeModel.of(header)
        self._step_known = not self._model.one_plane or header.averaged == 1
        self._frame_s = 1.0 / header.frame_rate_hz if header.frame_rate_hz else math.inf
        """Time of a scanned frame; without a header's, the shortest one of this recording."""
        self._votes = 0
        self._unclear_ends = 0
        """Number of ends of volumes between consecutive numbers whose times gave no answer."""
        self._assumed = False
        """True if a frame after the first volume was placed before `_vote` had any evidence."""
        self._first: _Label | None = None
        self._last: _Label | None = None
        self._last_shown: _Label | None = None
        """The last frame that shows a plane."""
        self._flyback_since = 0
        """Number of fly-back frames since the last frame that shows a plane."""
        self._pages = 0
        """Number of pages of the last frame so far."""
        self._unnumbered = 0
        self._missing: list[range] = []

    @property
    def inside_volume(self) -> bool:
        """True if more frames with a slice must follow in the volume of the last frame."""
        model = self._model
        if self._last is None or model.one_plane:
            return False
        following = model.next_number(self._last.number_in_acquisition)
        return (following - 1) % model.period >= model.averaged

    def continues(self, header: Header, page: Page) -> bool:
        """Return True if a file with this header and first page continues this recording."""
        ours, theirs = self._header, header
        same = ours.channels == theirs.channels and ours.zs_um == theirs.zs_um
        return same and VolumeModel.of(ours) == VolumeModel.of(theirs) and page.number > 1

    def place(self, page: Page) -> PageIndex | None:
        """Return what the next page shows; None if it shows no plane or must be left out.

        Raises NotScanImage if the pages contradict the header.
        """
        label, last = self._label(page), self._last
        if last is None:
            self._begin(label)
        elif label.number < last.number:
            self._check_late(label.number)
            return None
        elif label.number == last.number:
            return self._another_page(label)
        else:
            self._check_channels(last)
            self._check_order(last, label)
        index = self._first_page(label)
        self._last = label
        return index

    def _begin(self, label: _Label) -> None:
        self._first = label
        position = (label.number_in_acquisition - 1) % self._model.period
        self._assumed = label.number_in_acquisition > self._model.frames_per_volume
        if not self._model.one_plane and position >= self._model.averaged:
            self.uneven = f"frame {label.number}, the first one, is inside a volume"

    def _first_page(self, label: _Label) -> PageIndex | None:
        """Process the first page of a frame that is in order."""
        self._pages = 1
        index = self._index(label)
        if index is None:
            self._flyback_since += 1
            return None
        if self._last_shown is not None:
            self._check_gap(self._last_shown, label)
            self._check_flyback(self._last_shown, label)
        self._last_shown, self._flyback_since = label, 0
        return index

    def _label(self, page: Page) -> _Label:
        if page.number:
            in_acquisition = page.number_in_acquisition or page.number
            return _Label(page.number, page.acquisition, in_acquisition, page.timestamp_s)
        if self._model.flyback_frames:
            raise NotScanImage(
                "numbers no frames and scans fly-back frames; the depth of a page is ambiguous"
            )
        number = 1 + self._unnumbered // len(self._channels)
        self._unnumbered += 1
        return _Label(number * self._model.averaged, 0, number * self._model.averaged, 0.0)

    def _index(self, label: _Label) -> PageIndex | None:
        slice_ = self._model.slice_of(label.number_in_acquisition)
        if slice_ is None:
            self.flyback_pages += 1
            return None
        channel, depths = self._pages - 1, self._header.depths_per_frame
        plane = slice_ * depths + (channel if depths > 1 else 0)
        return PageIndex(self._channels[channel], plane)

    def _another_page(self, label: _Label) -> PageIndex | None:
        self._pages += 1
        channels = len(self._channels)
        if self._pages <= channels:
            return self._index(label)
        if self._first is not None and label.number == self._first.number:
            raise NotScanImage(
                f"has more pages of frame {label.number} than channels saved by its header "
                f"({channels})"
            )
        if self._pages == channels + 1:
            self._fault(f"frame {label.number} is saved twice; the second one is left out")
            self._note_uneven(channels > 1)
        return None

    def _check_late(self, number: int) -> None:
        if not any(number in gap for gap in self._missing):
            last = self._last.number if self._last else 0
            raise NotScanImage(f"has frame {number} after frame {last}")
        self._fault(f"frame {number} comes late and is left out")
        self._note_uneven(len(self._channels) > 1)

    def _check_channels(self, last: _Label) -> None:
        """Check that the last frame had a page of every channel."""
        channels = len(self._channels)
        if self._pages >= channels:
            return
        if self._first is not None and last.number == self._first.number:
            raise NotScanImage(
                f"has {self._pages} of the {channels} channels saved by its header in frame "
                f"{last.number}"
            )
        self._fault(f"frame {last.number} has {self._pages} of the {channels} channels saved")
        self._note_uneven(True)

    def _check_order(self, last: _Label, label: _Label) -> None:
        """Compare a frame with the previous frame, which has a lower number."""
        if _is_next_acquisition(last, label):
            self._check_restart(last, label)
        else:
            self._learn_step(label.number - last.number)
            self._check_same_acquisition(last, label)

    def _check_restart(self, last: _Label, label: _Label) -> None:
        """Check that a new acquisition starts with a new volume, according to its frame numbers."""
        if not self.inside_volume:
            return
        goes_on = label.number_in_acquisition - last.number_in_acquisition
        if goes_on == label.number - last.number:
            raise NotScanImage(
                f"begins acquisition {label.acquisition} with frame {label.number_in_acquisition} "
                "of it (frameNumberAcquisition), after one that stopped inside a volume; the "
                "depth of a page is ambiguous"
            )
        self.uneven = self.uneven or (
            f"acquisition {last.acquisition} stopped inside a volume (frame {last.number})"
        )

    def _check_same_acquisition(self, last: _Label, label: _Label) -> None:
        """Check that both numbers of a frame increase equally, and how fly-back is numbered."""
        if self._model.one_plane:
            return
        more = label.number - last.number
        more_in_acquisition = label.number_in_acquisition - last.number_in_acquisition
        if more != more_in_acquisition:
            raise NotScanImage(
                f"counts {more} frames (frameNumbers) and {more_in_acquisition} "
                f"(frameNumberAcquisition) up to frame {label.number}; its depth is ambiguous"
            )
        if self._model.flyback_frames and self._votes < _VOTES:
            self._vote(last, label)

    def _vote(self, last: _Label, label: _Label) -> None:
        """Find from the times at the end of a volume whether numbers count fly-back frames.

        The time from the last frame of a volume to the first frame of the next volume includes all
        fly-back frames. If they are numbered, the number increases by the same amount, whether or
        not they are saved; otherwise it increases by 1. If an end of a volume gives no clear
        answer, it counts for numbered fly-back frames, which is ScanImage's normal behavior.
        """
        left_out = msgspec.structs.replace(self._model, flyback_numbered=False)
        first, then = last.number_in_acquisition, label.number_in_acquisition
        volumes = left_out.volume_of(then) - left_out.volume_of(first)
        if not volumes:
            self._learn_frame_time(last, label)
            return
        unknown = "frame rate (scanFrameRate)" if math.isinf(self._frame_s) else ""
        if label.timestamp_s <= last.timestamp_s:
            unknown = "times that advance (frameTimestamps_sec)"
        if unknown and (self._assumed or then - first > 1):
            self._assumed = True  # the numbers count what was not saved
            return
        if unknown:
            raise _ambiguous_flyback(f"gives no {unknown}")
        frames = (label.timestamp_s - last.timestamp_s) / self._frame_s
        numbered = abs(frames - (then - first)) < _AGREES_FRAMES
        more = volumes * self._model.flyback_frames
        unnumbered = abs(frames - (then - first) - more) < _AGREES_FRAMES
        if not numbered and not unnumbered:
            self._assumed |= self._model.flyback_numbered
            self._unclear_ends += then - first == 1
            if not self._votes and self._unclear_ends >= _VOTES:
                raise _ambiguous_flyback("has times that fit neither way to number them")
            return
        before = self._votes > 0 or self._assumed
        if before and numbered != self._model.flyback_numbered:
            raise NotScanImage(
                f"has times and numbers up to frame {label.number} that disagree on whether "
                "fly-back frames are numbered; the depth of a page is ambiguous"
            )
        self._votes += 1
        self._model = self._model if numbered else left_out

    def _learn_frame_time(self, last: _Label, label: _Label) -> None:
        """Learn the time of a frame within a volume, if the header does not give it."""
        elapsed_s = (label.timestamp_s - last.timestamp_s) / (label.number - last.number)
        if not self._header.frame_rate_hz and elapsed_s > 0.0:
            self._frame_s = min(self._frame_s, elapsed_s)

    def _check_gap(self, shown: _Label, label: _Label) -> None:
        """Report the frames that are missing between two frames that show a plane."""
        model, in_acquisition = self._model, label.number_in_acquisition
        before = label.number - in_acquisition  # the last frame before this acquisition
        following = model.next_number(shown.number_in_acquisition) - shown.number_in_acquisition
        first = shown.number + following
        if label.acquisition > shown.acquisition + 1 and model.averaged > 1:
            # Acquisitions in between were too short for an averaged frame, so nothing is known.
            first = max(first, before + 1)
        if _is_next_acquisition(shown, label) and in_acquisition > model.averaged:
            first = min(first, before + model.averaged)
        end = before + max(0, model.previous_number(in_acquisition))
        if end < first:
            return
        self._missing.append(range(first, end + 1))
        many = f"frames {first} to {end} are missing: ScanImage did not save them"
        one = f"frame {first} is missing: ScanImage did not save it"
        self._fault(many if end > first else one)
        self._note_uneven()

    def _check_flyback(self, shown: _Label, label: _Label) -> None:
        """Check that each volume has the same number of saved fly-back frames."""
        model = self._model
        volume = model.volume_of(shown.number_in_acquisition)
        same_volume = volume == model.volume_of(label.number_in_acquisition)
        if model.one_plane or (same_volume and not _is_next_acquisition(shown, label)):
            return
        if self.flyback_per_volume is None:
            self.flyback_per_volume = self._flyback_since
        elif self.flyback_per_volume != self._flyback_since:
            self.uneven = self.uneven or (
                f"{self._flyback_since} fly-back frames are saved after frame {shown.number}, and "
                f"{self.flyback_per_volume} after the first volume"
            )

    def _learn_step(self, jump: int) -> None:
        """Find from two frames whether averaged frames are numbered 4, 8, ... or 1, 2, ..."""
        if not self._step_known and jump % self._model.averaged:
            self._model = msgspec.structs.replace(self._model, averaged=1)
        self._step_known = True

    def _fault(self, text: str) -> None:
        self.faults.append(text)

    def _note_uneven(self, channels_shift: bool = False) -> None:
        """Record that, after the last fault, pages no longer follow in the order of the planes."""
        if channels_shift or not self._model.one_plane:
            self.uneven = self.uneven or self.faults[-1]


def _ambiguous_flyback(why: str) -> NotScanImage:
    return NotScanImage(
        f"scans fly-back frames and {why}, so that nothing shows whether they are numbered; "
        "the depth of a page is ambiguous"
    )


def _is_next_acquisition(last: _Label, label: _Label) -> bool:
    restarts = label.number_in_acquisition <= last.number_in_acquisition
    return restarts or label.acquisition != last.acquisition
