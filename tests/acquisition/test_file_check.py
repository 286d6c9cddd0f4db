"""Checking and repairing saved files, and the hand-over to Suite2p."""

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from acquisition.files.file_check import check, repair
from acquisition.files.suite2p_ops import ops_of, write_ops
from acquisition.files.vendor_reader import ClosedFile
from acquisition.scanimage.matlab_literals import Value
from acquisition.scanimage.regions import Field, Region, lay_out
from acquisition.simulation.scanimage_encoding import Recording
from acquisition.simulation.scanimage_writer import Link, Writer
from rig.cli.main import app
from rig.errors import Refused
from tests.acquisition.files import BEGAN, numbered, pictures, save, start

LINKS: tuple[Link, ...] = ("pre", "post")


def strips(zs: tuple[float, ...] = (0.0,), shift: float = 0.0) -> tuple[Region, ...]:
    def fields(x: float) -> tuple[Field, ...]:
        return tuple(Field(z, (x, 0.0), (1.0, 2.0), (8, 16)) for z in zs)

    discrete = len(zs) > 1
    right, left = (
        Region("right", fields(2.0 + shift), discrete),
        Region("left", fields(0), discrete),
    )
    return right, left


def recorded(path: Path, recording: Recording, pages: int) -> Path:
    writer = Writer(path, recording, BEGAN, "pre")
    for i, frame in enumerate(pictures(pages, recording.shape)):
        writer.append(frame, i / 10)
    writer.close()
    return path


def problems(*paths: Path) -> list[str]:
    return [problem for one in check(paths) for problem in one.problems]


def test_a_sound_series_has_no_problem(tmp_path: Path) -> None:
    a, b = tmp_path / "a_1.tif", tmp_path / "a_2.tif"
    numbered(a, [1, 2, 3])
    numbered(b, [4, 5])
    first, second = check([a, b])
    assert not first.problems and not second.problems
    assert (first.pages, first.frames, second.frames) == (3, (1, 3), (4, 5))
    assert first.seconds == (0.0, 0.2)


def test_missing_and_duplicated_frames_between_files_are_named(tmp_path: Path) -> None:
    a, b = tmp_path / "a_1.tif", tmp_path / "a_2.tif"
    numbered(a, [1, 2, 4])
    numbered(b, [7, 8, 8])
    assert problems(a, b) == [
        f"{a}: frame 3 is missing: ScanImage did not save it",
        f"{b}: frames 5 to 6 are missing: ScanImage did not save them",
        f"{b}: frame 8 is saved twice; the second one is left out",
    ]


def test_each_kind_of_bad_file_gets_one_sentence(tmp_path: Path) -> None:
    raw = save(tmp_path / "a.tif", pictures(3)).read_bytes()
    (tmp_path / "cut.tif").write_bytes(raw[:-50])
    (tmp_path / "text.tif").write_text("no TIFF, but long enough to be looked at as if it were")
    (tmp_path / "short.tif").write_bytes(raw[:20])
    lies = Recording(shape=(6, 10), rate_hz=10.0, facts={"SI.hChannels.channelSave": (1.0, 2.0)})
    recorded(tmp_path / "lies.tif", lies, 3)
    misfit = Recording(shape=(30, 8), rate_hz=10.0, regions=strips(), fly_to_lines=4)
    recorded(tmp_path / "misfit.tif", misfit, 1)
    tifffile.imwrite(tmp_path / "zlib.tif", pictures(1)[0], bigtiff=True, compression="zlib")
    save(tmp_path / "none.tif", [])
    for name, why in (
        ("cut.tif", "ends inside a page, after 2 complete pages"),
        ("text.tif", "is not a little-endian TIFF"),
        ("short.tif", "ends inside a page, after 0 complete pages"),
        ("lies.tif", "has 1 of the 2 channels saved by its header in frame 1"),
        ("misfit.tif", "has -2 lines for 1 gaps between regions"),
        ("zlib.tif", "is compressed"),
        ("none.tif", "has no page"),
    ):
        (problem,) = problems(tmp_path / name)
        assert why in problem and problem.startswith(f"{tmp_path / name}")
    with pytest.raises(Refused, match=r"gone\.tif cannot be opened"):
        check([tmp_path / "gone.tif"])


@pytest.mark.parametrize("link", LINKS)
def test_a_cut_off_file_is_repaired_wherever_it_is_cut(tmp_path: Path, link: Link) -> None:
    frames = np.stack(pictures(4))
    raw = save(tmp_path / "whole.tif", list(frames), link).read_bytes()
    for lost_bytes in (20, 130, 500, 1000, 1500):
        cut, mended = tmp_path / f"cut_{lost_bytes}.tif", tmp_path / f"mended_{lost_bytes}.tif"
        cut.write_bytes(raw[:-lost_bytes])
        before = cut.read_bytes()
        pages, left_out = repair(cut, mended)
        assert cut.read_bytes() == before
        assert mended.stat().st_size == len(before) - left_out
        with closing(ClosedFile(mended)) as file:
            assert len(file) == pages
            np.testing.assert_array_equal(file.read(0, pages), frames[:pages])
        np.testing.assert_array_equal(tifffile.imread(mended), frames[:pages])


def test_a_file_that_was_not_closed_loses_nothing_in_repair(tmp_path: Path) -> None:
    writer = start(tmp_path / "open.tif")
    for frame in pictures(3):
        writer.append(frame, 0.0)
    writer.abandon()
    assert repair(tmp_path / "open.tif", tmp_path / "mended.tif") == (3, 0)
    assert problems(tmp_path / "mended.tif") == []


def test_a_file_that_cannot_be_repaired_is_refused_and_nothing_is_overwritten(
    tmp_path: Path,
) -> None:
    whole = save(tmp_path / "whole.tif", pictures(2))
    raw = whole.read_bytes()
    (tmp_path / "cut.tif").write_bytes(raw[:-30])
    (tmp_path / "none.tif").write_bytes(raw[:3000])
    with pytest.raises(Refused, match=r"whole\.tif is complete"):
        repair(whole, tmp_path / "copy.tif")
    with pytest.raises(Refused, match=r"none\.tif has no complete page"):
        repair(tmp_path / "none.tif", tmp_path / "copy.tif")
    with pytest.raises(Refused, match=r"whole\.tif exists already"):
        repair(tmp_path / "cut.tif", whole)
    assert whole.read_bytes() == raw
    with pytest.raises(Refused, match="cannot be written"):
        repair(tmp_path / "cut.tif", tmp_path / "no folder" / "copy.tif")
    assert not (tmp_path / "copy.tif").exists()


def test_rig_tiff_prints_sentences_and_returns_exit_codes(tmp_path: Path) -> None:
    whole, cut = save(tmp_path / "a.tif", pictures(3)), tmp_path / "cut.tif"
    cut.write_bytes(whole.read_bytes()[:-30])
    rig = CliRunner()
    sound = rig.invoke(app, ["tiff", "check", str(whole)])
    assert (sound.exit_code, "3 pages of frames 1 to 3, sound" in sound.output) == (0, True)
    broken = rig.invoke(app, ["tiff", "check", str(whole), str(cut)])
    assert (broken.exit_code, "ends inside a page, after 2 complete pages" in broken.output) == (
        1,
        True,
    )
    mended = rig.invoke(app, ["tiff", "repair", str(cut)])
    assert "2 pages of frames 1 to 2; lost: everything after frame 2" in mended.output
    assert rig.invoke(app, ["tiff", "check", str(tmp_path / "cut_repaired.tif")]).exit_code == 0
    facts = rig.invoke(app, ["tiff", "info", str(whole)]).output
    assert "2020.1" in facts and "10 x 6 px" in facts


def test_suite2p_splits_the_pages_with_these_options(tmp_path: Path) -> None:
    recording = Recording(
        shape=(36, 8), rate_hz=12.0, regions=strips((0.0, 30.0)), zs_um=(0.0, 30.0),
        channels=(1, 2), fly_to_lines=4,
    )  # fmt: skip
    (one,) = check([recorded(tmp_path / "a.tif", recording, 8)])
    assert one.problems == []
    ops = json.loads(write_ops([one]).read_text())
    assert ops == {
        "mesoscan": True,
        "nrois": 2,
        "nplanes": 2,
        "nchannels": 2,
        "fs": 6.0,
        "lines": [list(range(16)), list(range(20, 36))],
        "dy": [0, 0],
        "dx": [16, 0],
        "ignore_flyback": [],
    }
    page = tifffile.imread(tmp_path / "a.tif").reshape(-1, 36, 8)[3]
    (planes, _) = lay_out(recording.regions, recording.zs_um, (8, 36), 4)
    for lines, strip in zip(ops["lines"], planes, strict=True):
        np.testing.assert_array_equal(page[lines], page[strip.rows])


def test_planes_scanned_at_once_are_planes_to_suite2p_and_unlike_depths_are_refused(
    tmp_path: Path,
) -> None:
    gates = {f"SI.hScan2D.virtualChannelSettings__{i}.laserGate": True for i in (1, 2)}
    windows = {
        f"SI.hScan2D.virtualChannelSettings__{i}.laserFilterWindow": (10.0 * i, 10.0 * i + 8)
        for i in (1, 2)
    }
    at_once: dict[str, Value] = {
        "SI.hStackManager.zsAllActuators": ((10.0, 50.0), (20.0, 60.0)),
        **gates,
        **windows,
    }
    two = Recording(shape=(16, 8), rate_hz=10.0, zs_um=(10.0, 20.0), channels=(1, 2), facts=at_once)
    (one,) = check([recorded(tmp_path / "a.tif", two, 8)])
    assert (one.header.depths_um, ops_of([one])["nplanes"], ops_of([one])["nchannels"]) == (
        (10.0, 50.0, 20.0, 60.0), 4, 1,
    )  # fmt: skip
    some = Region("b", (Field(30.0, (3.0, 0.0), (1.0, 2.0), (8, 16)),), discrete=True)
    unlike = Recording(
        shape=(36, 8), rate_hz=10.0, regions=(strips((0.0, 30.0))[0], some), zs_um=(0.0, 30.0),
        fly_to_lines=4,
    )  # fmt: skip
    (one,) = check([recorded(tmp_path / "b.tif", unlike, 4)])
    with pytest.raises(Refused, match="other regions at each depth"):
        ops_of([one])
