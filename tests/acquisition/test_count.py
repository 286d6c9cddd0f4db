"""Counting pages: channels, planes, and what is missing, doubled, late or belied by the header."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.scanimage.frame_counter import Count, PageIndex
from acquisition.scanimage.header import Header
from acquisition.scanimage.preamble import NotScanImage


def volume(slices: int, channels: int = 1, **more: object) -> Header:
    zs = tuple((float(z),) for z in range(slices))
    facts: Any = {"channels": tuple(range(1, channels + 1)), "zs_um": zs, **more}
    return Header(**facts)


def taken(header: Header, numbers: Iterable[int]) -> tuple[list[PageIndex | None], list[str]]:
    count = Count(header)
    return [count.take(number) for number in numbers], count.faults


@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.lists(st.sampled_from(["lost", "doubled", "", "", ""]), min_size=1, max_size=40),
)
def test_whatever_is_lost_or_doubled_each_frame_keeps_its_plane(
    channels: int, slices: int, fates: list[str]
) -> None:
    """The first frame is whole: it shows whether the header speaks the truth."""
    pages: list[int] = [1] * channels
    wanted: list[PageIndex] = [PageIndex(c + 1, 0) for c in range(channels)]
    doubled, lost = [], []
    for number, fate in enumerate(fates, start=2):
        if fate == "lost":
            lost.append(number)
            continue
        pages += [number] * channels * (2 if fate == "doubled" else 1)
        wanted += [PageIndex(c + 1, (number - 1) % slices) for c in range(channels)]
        doubled += [number] * (fate == "doubled")
    places, faults = taken(volume(slices, channels), pages)
    assert [place for place in places if place is not None] == wanted
    told = [fault for fault in faults if "missing" in fault]
    named = {n for fault in told for n in _named(fault)}
    assert named == {n for n in lost if n < pages[-1]}
    assert [f for f in faults if "twice" in f] == [
        f"frame {n} comes twice, the second time left out" for n in doubled
    ]


def _named(fault: str) -> range:
    numbers = [int(message) for message in fault.replace(",", " ").split() if message.isdigit()]
    return range(numbers[0], numbers[-1] + 1)


def test_a_late_frame_is_named_and_left_out() -> None:
    places, faults = taken(volume(1), [1, 2, 4, 3, 5])
    assert [place is None for place in places] == [False, False, False, True, False]
    assert faults == [
        "frame 3 missing, which ScanImage did not save",
        "frame 3 comes late, after frame 4, and is left out",
    ]


@pytest.mark.parametrize(
    ("channels", "numbers", "why"),
    [
        (1, [1, 1], "more pages of frame 1 than channels saved by its header .1."),
        (2, [1, 1, 1], "more pages of frame 1 than channels saved by its header .2."),
        (2, [1, 2], "1 of the 2 channels saved by its header in frame 1"),
        (1, [1, 2, 3, 2], "frame 2 after frame 3"),
    ],
)
def test_a_header_that_lies_about_channels_is_found_out(
    channels: int, numbers: list[int], why: str
) -> None:
    with pytest.raises(NotScanImage, match=why):
        taken(volume(1, channels), numbers)


def test_a_frame_that_lacks_a_channel_later_is_named() -> None:
    places, faults = taken(volume(1, 2), [1, 1, 2, 3, 3])
    assert places == [
        PageIndex(1, 0),
        PageIndex(2, 0),
        PageIndex(1, 0),
        PageIndex(1, 0),
        PageIndex(2, 0),
    ]
    assert faults == ["frame 2 has 1 of the 2 channels saved"]


@pytest.mark.parametrize("counted", [False, True])
def test_frames_on_the_way_back_may_be_counted_or_not(counted: bool) -> None:
    header = volume(3, discarded=2)
    step = 5 if counted else 3
    numbers = [volume * step + piece for volume in range(4) for piece in (1, 2, 3)]
    places, faults = taken(header, numbers)
    assert [place.plane for place in places if place] == [0, 1, 2] * 4
    assert faults == []
    _, faults = taken(header, [n for n in numbers if n != numbers[7]])
    assert faults == [f"frame {numbers[7]} missing, which ScanImage did not save"]


@pytest.mark.parametrize("step", [1, 4])
def test_averaged_frames_may_be_numbered_either_way(step: int) -> None:
    _, faults = taken(Header(averaged=4), [step * n for n in (1, 2, 3, 5)])
    (fault,) = faults
    assert fault.startswith("frame") and f" {3 * step + step} " in f"{fault} ".replace(",", " ")


def test_each_channel_of_simultaneous_planes_is_another_plane() -> None:
    header = Header(channels=(1, 2), gated=True, zs_um=((195.0, 105.0), (207.0, 116.0)))
    places, _ = taken(header, [1, 1, 2, 2, 3, 3])
    assert places == [
        PageIndex(1, 0),
        PageIndex(2, 1),
        PageIndex(1, 2),
        PageIndex(2, 3),
        PageIndex(1, 0),
        PageIndex(2, 1),
    ]
    assert [header.depths_um[place.plane] for place in places[:4] if place] == [195, 105, 207, 116]


def test_which_file_goes_on_with_an_acquisition() -> None:
    count = Count(volume(2))
    assert count.goes_on(volume(2), 7)
    assert not count.goes_on(volume(2), 1)
    assert not count.goes_on(volume(3), 7)
