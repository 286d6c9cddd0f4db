"""Counting pages: channels, planes, and missing, duplicated, late or contradictory frames."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.scanimage.frame_counter import FrameCounter, PageIndex
from acquisition.scanimage.header import Header
from acquisition.scanimage.page import Page
from acquisition.scanimage.preamble import NotScanImage


def volume(slices: int, channels: int = 1, **more: object) -> Header:
    zs = tuple((float(z),) for z in range(slices))
    facts: Any = {"channels": tuple(range(1, channels + 1)), "zs_um": zs, **more}
    return Header(**facts)


def page(
    number: int, acquisition: int = 1, in_acquisition: int | None = None, timestamp_s: float = 0.0
) -> Page:
    within = number if in_acquisition is None else in_acquisition
    return Page(0, 1, 1, "<i2", number, timestamp_s, 0, 0, "", acquisition, within)


def placed(header: Header, numbers: Iterable[int]) -> tuple[list[PageIndex | None], list[str]]:
    counter = FrameCounter(header)
    return [counter.place(page(number)) for number in numbers], counter.faults


@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.lists(st.sampled_from(["lost", "doubled", "", "", ""]), min_size=1, max_size=40),
)
def test_each_frame_keeps_its_plane_if_others_are_lost_or_duplicated(
    channels: int, slices: int, fates: list[str]
) -> None:
    """The first frame is complete, so it shows whether the channels of the header are right."""
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
    places, faults = placed(volume(slices, channels), pages)
    assert [place for place in places if place is not None] == wanted
    missing = [fault for fault in faults if "missing" in fault]
    named = {n for fault in missing for n in _named(fault)}
    assert named == {n for n in lost if n < pages[-1]}
    assert [f for f in faults if "twice" in f] == [
        f"frame {n} is saved twice; the second one is left out" for n in doubled
    ]


def _named(fault: str) -> range:
    numbers = [int(message) for message in fault.replace(",", " ").split() if message.isdigit()]
    return range(numbers[0], numbers[-1] + 1)


def test_a_late_frame_is_named_and_left_out() -> None:
    places, faults = placed(volume(1), [1, 2, 4, 3, 5])
    assert [place is None for place in places] == [False, False, False, True, False]
    assert faults == [
        "frame 3 is missing: ScanImage did not save it",
        "frame 3 comes late and is left out",
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
def test_a_header_that_is_wrong_about_channels_is_refused(
    channels: int, numbers: list[int], why: str
) -> None:
    with pytest.raises(NotScanImage, match=why):
        placed(volume(1, channels), numbers)


def test_a_frame_that_lacks_a_channel_later_is_named() -> None:
    places, faults = placed(volume(1, 2), [1, 1, 2, 3, 3])
    assert places == [
        PageIndex(1, 0),
        PageIndex(2, 0),
        PageIndex(1, 0),
        PageIndex(1, 0),
        PageIndex(2, 0),
    ]
    assert faults == ["frame 2 has 1 of the 2 channels saved"]


def test_numbers_of_fly_back_frames_may_be_missing() -> None:
    header = volume(3, flyback_frames=2)
    numbers = [5 * volume + frame for volume in range(4) for frame in (1, 2, 3)]
    places, faults = placed(header, numbers)
    assert [place.plane for place in places if place] == [0, 1, 2] * 4
    assert faults == []
    _, faults = placed(header, [n for n in numbers if n != numbers[7]])
    assert faults == [f"frame {numbers[7]} is missing: ScanImage did not save it"]


def test_times_and_numbers_that_disagree_on_fly_back_are_refused() -> None:
    """At the end of the first volume numbers skip fly-back; at that of the second they do not."""
    counter = FrameCounter(volume(2, flyback_frames=1, frame_rate_hz=1.0))
    for number, at_s in ((1, 0.0), (2, 1.0), (3, 3.0), (4, 4.0)):
        assert counter.place(page(number, timestamp_s=at_s)) is not None
    with pytest.raises(NotScanImage, match="disagree on whether fly-back frames are numbered"):
        counter.place(page(5, timestamp_s=5.0))


@pytest.mark.parametrize("numbered", [True, False])
def test_without_a_frame_rate_the_times_within_a_volume_show_how_fly_back_is_numbered(
    numbered: bool,
) -> None:
    counter = FrameCounter(volume(3, flyback_frames=2))
    found = []
    for scan in range(20):
        slice_, n = scan % 5, scan // 5 * (5 if numbered else 3) + scan % 5 + 1
        if slice_ < 3:
            found.append((counter.place(page(n, timestamp_s=0.1 * scan)), slice_))
    assert all(place is not None and place.plane == slice_ for place, slice_ in found)


def test_fly_back_frames_without_a_rate_and_times_are_refused() -> None:
    counter = FrameCounter(volume(1, flyback_frames=1))
    counter.place(page(1, timestamp_s=0.1))
    with pytest.raises(NotScanImage, match="gives no frame rate"):
        counter.place(page(2, timestamp_s=0.3))


@pytest.mark.parametrize(
    ("step_s", "why"), [(0.0, "no times that advance"), (0.2, "times that fit neither way")]
)
def test_times_that_do_not_show_how_fly_back_is_numbered_are_refused(
    step_s: float, why: str
) -> None:
    """Frames are numbered one after the other; each takes 0.1 s by the header."""
    counter = FrameCounter(volume(1, flyback_frames=2, frame_rate_hz=10.0))
    with pytest.raises(NotScanImage, match=why):
        for number in range(1, 10):
            counter.place(page(number, timestamp_s=1.0 + step_s * number))


def test_the_two_numbers_of_a_frame_must_increase_together() -> None:
    counter = FrameCounter(volume(3))
    counter.place(page(1))
    with pytest.raises(NotScanImage, match=r"counts 3 frames .* and 1 .* up to frame 4"):
        counter.place(page(4, in_acquisition=2))


def test_an_acquisition_that_does_not_restart_its_numbers_inside_a_volume_is_refused() -> None:
    counter = FrameCounter(volume(3))
    counter.place(page(1, 1))
    with pytest.raises(NotScanImage, match="begins acquisition 2 with frame 2 of it"):
        counter.place(page(2, 2, 2))


def test_frames_missing_around_the_start_of_an_acquisition_are_named() -> None:
    counter = FrameCounter(volume(2))
    for number, acquisition, within in ((1, 1, 1), (4, 1, 4), (8, 2, 2)):
        counter.place(page(number, acquisition, within))
    assert counter.faults == [
        "frames 2 to 3 are missing: ScanImage did not save them",
        "frames 5 to 7 are missing: ScanImage did not save them",
    ]


@pytest.mark.parametrize("step", [1, 4])
def test_averaged_frames_may_be_numbered_either_way(step: int) -> None:
    _, faults = placed(Header(averaged=4), [step * n for n in (1, 2, 3, 5)])
    (fault,) = faults
    assert fault.startswith("frame") and f" {3 * step + step} " in f"{fault} ".replace(",", " ")


def test_each_channel_of_simultaneous_planes_is_another_plane() -> None:
    header = Header(channels=(1, 2), laser_gated=True, zs_um=((195.0, 105.0), (207.0, 116.0)))
    places, _ = placed(header, [1, 1, 2, 2, 3, 3])
    assert places == [
        PageIndex(1, 0),
        PageIndex(2, 1),
        PageIndex(1, 2),
        PageIndex(2, 3),
        PageIndex(1, 0),
        PageIndex(2, 1),
    ]
    assert [header.depths_um[place.plane] for place in places[:4] if place] == [195, 105, 207, 116]


def test_which_file_continues_a_recording() -> None:
    counter = FrameCounter(volume(2))
    assert counter.continues(volume(2), page(7))
    assert not counter.continues(volume(2), page(1))
    assert not counter.continues(volume(3), page(7))
    assert not counter.continues(volume(2, frames_per_slice=2), page(7))
