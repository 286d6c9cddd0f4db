"""Which plane each page shows, for every kind of volume, compared with what was written."""

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.files.file_check import check
from acquisition.files.suite2p_ops import ops_of
from acquisition.files.vendor_reader import ClosedFile, pages_in
from acquisition.scanimage.header import Header, parse_header
from acquisition.scanimage.preamble import NotScanImage
from acquisition.scanimage.volume_model import VolumeModel
from acquisition.simulation.scanimage_encoding import Recording
from rig.errors import Refused
from tests.acquisition.real import header_of_2015, header_of_2020
from tests.acquisition.volumes import (
    RATE_HZ,
    Flyback,
    frames_of,
    read,
    recording,
    save,
    suite2p_planes,
    true_places,
)

KINDS: tuple[Flyback, ...] = ("saved", "not saved", "not numbered")


@st.composite
def recorded(draw: Callable[[Any], Any]) -> tuple[Recording, Flyback]:
    """Draw a volume: slices, frames of each, fly-back, channels, averaging that fits."""
    slices, frames = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    averaged = draw(st.sampled_from([a for a in (1, 2, 3, 4) if frames % a == 0]))
    kind = draw(st.sampled_from(KINDS))
    flyback = draw(st.integers(0, 3)) * (averaged if kind == "saved" else 1)
    channels, discard = draw(st.integers(1, 2)), draw(st.booleans())
    return recording(slices, frames, flyback, channels, averaged, discard), kind


def volume_frames(recorded: Recording) -> int:
    return len(recorded.zs_um) * recorded.frames_per_slice + recorded.flyback_frames


@given(recorded(), st.lists(st.integers(1, 40), min_size=1, max_size=3), st.booleans())
def test_every_page_is_assigned_to_the_plane_it_shows(
    volume: tuple[Recording, Flyback], scanned: list[int], one_file: bool
) -> None:
    """Acquisitions of a LOOP may stop inside a volume; each may have its own file."""
    recorded, kind = volume
    frames = list(frames_of(recorded, kind, tuple(scanned)))
    if not frames:
        return
    parts = [[f for f in frames if f.acquisition == a] for a in range(1, len(scanned) + 1)]
    parts = [frames] if one_file else [part for part in parts if part]
    with tempfile.TemporaryDirectory() as folder:
        paths = [save(Path(folder) / f"{i}.tif", recorded, part) for i, part in enumerate(parts)]
        found, counter = read(paths)
    assert found == true_places(recorded, frames)
    assert counter.faults == []
    assert counter.flyback_pages == sum(level == 0 for _, level in found)


@given(recorded(), st.lists(st.sampled_from(["lost", "saved", "saved"]), min_size=20, max_size=60))
def test_lost_frames_are_named_and_shift_no_plane(
    volume: tuple[Recording, Flyback], fates: list[str]
) -> None:
    recorded, kind = volume
    if kind == "not numbered":
        kind = "not saved"
    saved = list(frames_of(recorded, kind, (len(fates),)))
    fates = ["saved", *fates, "saved"]
    frames = [f for f, fate in zip(saved, fates, strict=False) if fate == "saved"]
    if len(frames) < 2:
        return
    with tempfile.TemporaryDirectory() as folder:
        found, counter = read([save(Path(folder) / "a.tif", recorded, frames)])
    assert found == true_places(recorded, frames)
    shown = [f for f in frames if f.slice_ is not None]
    lost = {f.number for f in saved if f.slice_ is not None} - {f.number for f in shown}
    named = {n for fault in counter.faults for n in _numbers(fault)}
    between = {n for n in lost if shown and shown[0].number < n < shown[-1].number}
    one_plane = volume_frames(recorded) == recorded.frames_per_slice
    if recorded.averaged > 1 and one_plane:
        return  # the first two frames show whether numbers are 2, 4, 6 or 1, 2, 3
    assert {n for n in lost if n in named} == between


def _numbers(fault: str) -> range:
    numbers = [int(part) for part in fault.split() if part.isdigit()]
    return range(numbers[0], numbers[-1] + 1)


@pytest.mark.parametrize("kind", ["saved", "not saved"])
@pytest.mark.parametrize("flyback", [0, 1, 2])
@pytest.mark.parametrize("channels", [1, 2])
def test_suite2p_and_the_vendors_reader_find_the_same_planes(
    tmp_path: Path, kind: Flyback, flyback: int, channels: int
) -> None:
    recorded = recording(3, 2, flyback * 2, channels, averaged=2)
    frames = list(frames_of(recorded, kind, (40,)))
    path = save(tmp_path / "a.tif", recorded, frames)
    files = check([path])
    assert files[0].problems == []
    ops = ops_of(files)
    assert suite2p_planes(ops, files) == [[1], [2], [3]]
    assert ops["fs"] == pytest.approx(RATE_HZ / volume_frames(recorded))
    with closing(ClosedFile(path)) as file:
        assert file.places == [place for place, _ in true_places(recorded, frames)]
    assert pages_in(path) == channels * sum(frame.slice_ is not None for frame in frames)


def test_files_that_suite2p_would_split_wrongly_are_refused(tmp_path: Path) -> None:
    two_frames = recording(3, 2)
    path = save(tmp_path / "a.tif", two_frames, list(frames_of(two_frames, "saved", (12,))))
    with pytest.raises(Refused, match="2 pages of each slice in a volume, and Suite2p expects one"):
        ops_of(check([path]))
    partial = recording(3)
    frames = list(frames_of(partial, "saved", (8, 9)))
    path = save(tmp_path / "b.tif", partial, frames)
    with pytest.raises(Refused, match=r"acquisition 1 stopped inside a volume \(frame 8\)"):
        ops_of(check([path]))
    grabs = [list(frames_of(partial, "saved", (frames,))) for frames in (8, 9)]
    paths = [save(tmp_path / f"grab_{i}.tif", partial, grab) for i, grab in enumerate(grabs)]
    with pytest.raises(Refused, match="the acquisition before it stopped inside a volume"):
        ops_of(check(paths))
    path = save(tmp_path / "c.tif", partial, frames[1:])
    with pytest.raises(Refused, match="frame 2, the first one, is inside a volume"):
        ops_of(check([path]))
    path = save(tmp_path / "d.tif", partial, frames[:3] + frames[4:8])
    with pytest.raises(Refused, match="wrong ones: frame 4 is missing"):
        ops_of(check([path]))


STACK = """SI.hFastZ.enable = true
SI.hStackManager.enable = true
SI.hStackManager.stackMode = 'fast'
SI.hRoiManager.scanFrameRate = 30
"""


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # 2019 and later: each frame's depth
        ("actualNumSlices = 3|framesPerSlice = 2|numFramesPerVolume = 6|zs = [0 0 1 1 2 2]",
         (3, 2, 0)),
        ("actualNumSlices = 2|framesPerSlice = 1|numFramesPerVolume = 2|"
         "numFramesPerVolumeWithFlyback = 5|zs = [0 9]", (2, 1, 3)),
        # one slice with fly-back
        ("actualNumSlices = 1|framesPerSlice = 1|numFramesPerVolume = 1|"
         "numFramesPerVolumeWithFlyback = 2|zs = 5", (1, 1, 1)),
        # depths listed once for each slice
        ("actualNumSlices = 2|framesPerSlice = 3|numFramesPerVolume = 6|zs = [0 9]", (2, 3, 0)),
        # before 2019
        ("zs = [0 10 20]", (3, 1, 0)),
        ("zs = [0 0 10 10]|framesPerSlice = 2", (2, 2, 0)),
        ("framesPerSlice = Inf|zs = [0 10]", (2, 1, 0)),
    ],
)  # fmt: skip
def test_each_versions_keys_make_the_same_model(lines: str, expected: tuple[int, int, int]) -> None:
    keys = "\n".join(f"SI.hStackManager.{line}" for line in lines.split("|"))
    model = VolumeModel.of(parse_header(STACK + keys))
    assert (model.slices, model.frames_per_slice, model.flyback_frames) == expected


def test_before_2019_the_frames_of_a_volume_counted_fly_back() -> None:
    text = STACK + "SI.hStackManager.zs = [0 10 20]\nSI.hFastZ.numFramesPerVolume = 5\n"
    header = parse_header(text + "SI.hFastZ.numDiscardFlybackFrames = 2")
    assert (header.slices, header.flyback_frames, header.volume_rate_hz) == (3, 2, 6.0)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("SI.hStackManager.actualNumSlices = 3|SI.hStackManager.framesPerSlice = 2|"
         "SI.hStackManager.numFramesPerVolume = 5", "5 frames a volume"),
        ("SI.hStackManager.actualNumSlices = 3|SI.hStackManager.framesPerSlice = 1|"
         "SI.hStackManager.numFramesPerVolume = 3|SI.hStackManager.zs = [0 1]", "2 depths"),
        ("SI.hStackManager.actualNumSlices = 2|SI.hStackManager.framesPerSlice = 2|"
         "SI.hStackManager.zs = [0 1 2 3]", "4 depths"),
        ("SI.hStackManager.zs = [0 1 2]|SI.hStackManager.numFramesPerVolume = 3|"
         "SI.hStackManager.numFramesPerVolumeWithFlyback = 4|"
         "SI.hFastZ.numDiscardFlybackFrames = 2", "4 with fly-back"),
        ("SI.hStackManager.zs = [0 1 2]|SI.hRoiManager.scanVolumeRate = 7.5",
         "3 frames a volume by its slices, and 4.00 by its rates"),
        ("SI.hStackManager.zs = [0 0 1 1]|SI.hStackManager.framesPerSlice = 2|"
         "SI.hScan2D.logAverageFactor = 4", "averages 4 frames"),
        ("SI.hStackManager.zs = [0 1 2]|SI.hStackManager.enable = false|"
         "SI.hRoiManager.scanVolumeRate = 30", "a stack of 3 slices that is off"),
    ],
)  # fmt: skip
def test_a_header_that_contradicts_itself_is_refused_in_a_sentence(lines: str, why: str) -> None:
    header = parse_header(STACK + lines.replace("|", "\n"))
    with pytest.raises(NotScanImage, match=why):
        VolumeModel.of(header)


def test_a_volume_rate_shows_that_a_stack_was_scanned() -> None:
    header = parse_header(
        STACK.replace("hStackManager.enable = true", "hStackManager.enable = false")
        + "SI.hStackManager.zs = [0 1 2]\nSI.hRoiManager.scanVolumeRate = 10\n"
    )
    assert VolumeModel.of(header).slices == 3


@pytest.mark.parametrize(("flyback", "volume_hz"), [(0, 10.0), (1, 7.5)])
def test_a_stack_that_is_off_and_has_a_volume_rate_is_refused(
    flyback: int, volume_hz: float
) -> None:
    off = STACK.replace("= true", "= false") + "SI.hStackManager.zs = [0 1 2]\n"
    off += f"SI.hFastZ.numDiscardFlybackFrames = {flyback}\nSI.hRoiManager.scanVolumeRate = "
    with pytest.raises(NotScanImage, match=r"a stack of 3 slices that is off .* as if it were on"):
        VolumeModel.of(parse_header(off + str(volume_hz)))
    assert VolumeModel.of(parse_header(off + "30")).one_plane


def test_a_slow_stack_is_refused() -> None:
    slow = STACK.replace("hFastZ.enable = true", "hFastZ.enable = false").replace("fast'", "slow'")
    header = parse_header(slow + "SI.hStackManager.zs = [0 1 2]\n")
    with pytest.raises(NotScanImage, match="slow stack of 3 slices"):
        VolumeModel.of(header)


def test_averages_over_two_slices_are_refused() -> None:
    """29 frames a volume, averaged by 7 without a stop at the fly-back frame."""
    model = VolumeModel(slices=4, frames_per_slice=7, flyback_frames=1, averaged=7)
    assert [model.slice_of(n) for n in (7, 14, 21, 28, 36)] == [0, 1, 2, 3, 0]
    with pytest.raises(NotScanImage, match="frame 35 of its acquisition, which averages 7"):
        model.slice_of(35)


def test_real_headers_have_the_known_volumes() -> None:
    two_depths, strips = parse_header(header_of_2020()[0]), parse_header(header_of_2015()[0])
    assert VolumeModel.of(two_depths) == VolumeModel(slices=4)
    assert (two_depths.depths_per_frame, two_depths.plane_rate_hz) == (2, 9.47647)
    assert VolumeModel.of(strips).one_plane


@given(st.integers(1, 200), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3))
def test_the_frames_with_a_slice_follow_each_other(
    number: int, slices: int, frames: int, flyback: int
) -> None:
    model = VolumeModel(slices=slices, frames_per_slice=frames, flyback_frames=flyback)
    shown = [n for n in range(1, 250) if model.slice_of(n) is not None]
    assert model.next_number(number) == min(n for n in shown if n > number)
    before = [n for n in shown if n < number]
    assert max(0, model.previous_number(number)) == max(before, default=0) or (
        model.slice_of(number) is None
    )


def test_an_empty_header_means_one_plane() -> None:
    assert VolumeModel.of(Header()).one_plane
