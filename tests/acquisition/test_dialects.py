"""What versions and options of ScanImage write differently: JSON, Software tags, tag order."""

import json
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from acquisition.files import file_check
from acquisition.files.file_check import check, repair
from acquisition.follow.file_follower import FileFollower
from acquisition.scanimage.header import Header, parse_header
from acquisition.scanimage.matlab_literals import Value
from acquisition.scanimage.regions import Field, Region, lay_out, parse_regions
from acquisition.simulation.scanimage_encoding import Recording
from acquisition.simulation.scanimage_writer import Writer
from acquisition.stream import Stream
from rig.cli.main import app
from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Frame, Message, Scan, Start
from tests.acquisition import libtiff
from tests.acquisition.files import BEGAN, SHAPE, pictures
from tests.acquisition.real import header_of_2020

SETTINGS: dict[str, Any] = {
    "VERSION_MAJOR": "2018b",
    "hChannels": {"channelSave": [[1], [2]]},
    "hRoiManager": {"scanFrameRate": 30.0, "scanVolumeRate": 10.0, "mroiEnable": False},
    "hFastZ": {"enable": True},
    "hStackManager": {"zs": [0, 20, 40], "framesPerSlice": "_Inf_"},
    "hBeams": {"powers": [[28.0, 7.5]]},
    "hPmts": {"gains": {"_ArrayType_": "double", "_ArraySize_": [1, 2], "_ArrayData_": [650, 700]}},
}
FLAT = """SI.VERSION_MAJOR = '2018b'
SI.hChannels.channelSave = [1;2]
SI.hRoiManager.scanFrameRate = 30
SI.hRoiManager.scanVolumeRate = 10
SI.hRoiManager.mroiEnable = false
SI.hFastZ.enable = true
SI.hStackManager.zs = [0 20 40]
SI.hStackManager.framesPerSlice = Inf
SI.hBeams.powers = [28 7.5]
SI.hPmts.gains = [650 700]"""


def described(number: int) -> str:
    return f"frameNumbers = {number}\nframeTimestamps_sec = {number / 30:.9f}"


def test_a_header_in_json_has_the_same_settings() -> None:
    found = parse_header(json.dumps({"SI": SETTINGS}, indent=2))
    assert found == parse_header(FLAT)
    assert (found.channels, found.pmt_gains, found.slices) == ((1, 2), (650.0, 700.0), 3)


def test_a_byte_order_mark_before_a_json_header_is_ignored() -> None:
    text = json.dumps({"SI": SETTINGS})
    assert parse_header("\ufeff" + text) == parse_header(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[{"SI": {}}]', "in JSON that is not an object"),
        ("hello world", "without any known setting"),
        ("<SI/>", "without any known setting"),
        ("si.hChannels.channelSave = 1", "without any known setting"),
    ],
)
def test_a_header_that_is_not_understood_is_never_taken_for_one_plane(text: str, why: str) -> None:
    assert why in parse_header(text).unclear


def test_a_header_of_broken_json_is_refused_in_a_sentence() -> None:
    assert "a header in JSON that cannot be read" in parse_header('{"SI": {').unclear


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("indent", [None, 1])
def test_frames_described_in_json_are_numbered(
    tmp_path: Path, nested: bool, indent: int | None
) -> None:
    body = {
        "frameNumbers": 7, "acquisitionNumbers": 2, "frameNumberAcquisition": 3,
        "frameTimestamps_sec": 0.25, "epoch": [2026, 11, 20, 10, 0, 0.5],
    }  # fmt: skip
    text = json.dumps({"FrameHeader": body} if nested else body, indent=indent)
    path = libtiff.save(tmp_path / "a.tif", [(text, libtiff.level(1))])
    with closing(FileFollower(path)) as follower:
        (page,) = follower.poll()
    assert (page.number, page.acquisition, page.number_in_acquisition) == (7, 2, 3)
    assert page.timestamp_s == 0.25


@pytest.mark.parametrize("big", [False, True])
def test_settings_and_regions_in_the_tags_of_a_page_are_read(tmp_path: Path, big: bool) -> None:
    text, groups = header_of_2020()
    tags = {305: text, 315: json.dumps(groups)}
    pages = [(described(n), libtiff.level(n)) for n in (1, 2)]
    path = libtiff.save(tmp_path / "a.tif", pages, big, texts=tags)
    with closing(FileFollower(path)) as follower:
        assert [page.number for page in follower.poll()] == [1, 2]
        assert follower.header == parse_header(text)
        assert [r.name for r in parse_regions(follower.regions)] == [
            "V1_anterior", "AL", "AM", "PM",
        ]  # fmt: skip


def test_a_software_tag_of_another_program_is_not_read_as_settings(tmp_path: Path) -> None:
    text = f"{described(1)}\nSI.hRoiManager.scanFrameRate = 30"
    tags = {305: "tifffile.py", 315: "A. Person"}
    path = libtiff.save(tmp_path / "a.tif", [(text, libtiff.level(1))], texts=tags)
    with closing(FileFollower(path)) as follower:
        assert len(list(follower.poll())) == 1
        assert follower.header.frame_rate_hz == 30.0


OLD = {
    "3.8": "state.software.version=3.8\rstate.acq.frameRate=3.91\rstate.acq.savingChannel1=1",
    "5.0": "Frame Number = {n}\nFrame Timestamp(s) = 0.{n}\nscanimage.SI5.VERSION_MAJOR = 5\n"
    "scanimage.SI5.channelsSave = 1\nscanimage.SI5.scanFrameRate = 30",
}


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("version", OLD)
def test_a_whole_file_in_libtiffs_order_is_sound_and_not_repaired(
    tmp_path: Path, version: str, big: bool
) -> None:
    """Descriptions and strip tables come after the tags, and the pixels before them."""
    pages = [(OLD[version].replace("{n}", str(n)), libtiff.level(n)) for n in (1, 2, 3)]
    path = libtiff.save(tmp_path / "a.tif", pages, big)
    assert tifffile.imread(path).shape == (3, 7, 5)
    (one,) = check([path])
    assert (one.problems, one.pages) == ([], 3)
    with pytest.raises(Refused, match="is complete"):
        repair(path, tmp_path / "copy.tif")


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("rows", [2, 7])
def test_a_file_in_libtiffs_order_is_repaired_wherever_it_is_cut(
    tmp_path: Path, big: bool, rows: int
) -> None:
    pages = [(described(n), libtiff.level(n)) for n in (1, 2, 3)]
    ends = [
        len(libtiff.save(tmp_path / "a.tif", pages[:n], big, rows).read_bytes()) for n in (1, 2)
    ]
    raw = libtiff.save(tmp_path / "a.tif", pages, big, rows).read_bytes()
    for cut in range(ends[0], len(raw), 7):
        path, copy = tmp_path / "cut.tif", tmp_path / "copy.tif"
        path.write_bytes(raw[:cut])
        copy.unlink(missing_ok=True)
        whole = 1 + (cut >= ends[1] - 1)  # the last byte may be padding
        assert repair(path, copy)[0] == whole
        found = tifffile.imread(copy).reshape(-1, 7, 5)
        np.testing.assert_array_equal(found, [libtiff.level(n) for n in range(1, whole + 1)])


def test_a_repair_that_would_lose_a_page_makes_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [(described(n), libtiff.level(n)) for n in (1, 2)]
    path = libtiff.save(tmp_path / "a.tif", pages)
    path.write_bytes(path.read_bytes() + b"half a page is here")
    whole_part = file_check._whole_part

    def short(where: Path) -> Any:
        last, pages, end, link_bytes, damage = whole_part(where)
        return last, pages, end - 40, link_bytes, damage

    monkeypatch.setattr(file_check, "_whole_part", short)
    with pytest.raises(Refused, match="cannot be repaired: the copy would contain"):
        repair(path, tmp_path / "copy.tif")
    assert not (tmp_path / "copy.tif").exists()


@pytest.mark.parametrize(("timed", "rounded"), [(24.03, 26), (48.05, 50), (96.10, 98), (24.0, 24)])
def test_fly_to_times_rounded_up_to_even_lines_are_understood(timed: float, rounded: int) -> None:
    header = Header(line_period_s=1e-4, fly_to_s=timed * 1e-4)
    left, right = (
        Region(name, (Field(0.0, (x, 0.0), (1.0, 2.0), (8, 16)),))
        for name, x in (("left", 0.0), ("right", 1.0))
    )
    (strips,) = lay_out([left, right], (0.0,), (8, 32 + rounded), header.fly_to_lines)
    assert [strip.first_row for strip in strips] == [0, 16 + rounded]


def test_a_header_of_many_megabytes_delays_no_heartbeat_and_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every tick returns while a thread reads the header; that of the next file is not read."""
    monkeypatch.chdir(tmp_path)
    Path("imaging").mkdir()
    waveform = tuple(float(i % 1000) for i in range(400_000))
    facts: dict[str, Value] = {"SI.hScan2D.waveform": waveform}
    recording = Recording(shape=SHAPE, rate_hz=10.0, facts=facts)
    gate = Event()

    def slow(text: str) -> Header:
        gate.wait(30.0)
        return parse_header(text)

    monkeypatch.setattr("acquisition.stream.parse_header", slow)
    parse_header.cache_clear()
    published: list[Message] = []
    stream = Stream(msgspec.convert({}, Stream.Settings), published.append)
    stream.clock = SetClock()
    stream.open()
    stream.handle(Start(0, {}))
    for number in (1, 2):
        writer = Writer(Path(f"imaging/a_{number}.tif"), recording, BEGAN, "pre")
        writer.append(pictures(1)[0], number / 10, number)
        writer.close()
    for tick in range(1, 4):  # each returns while the thread reads
        stream.tick(tick * 200_000_000)
    assert published == []
    gate.set()
    stream.close()
    assert [m.number for m in published if isinstance(m, Frame)] == [1, 2]
    assert sum(isinstance(m, Scan) for m in published) == 1
    assert parse_header.cache_info().misses == 1


def test_repair_of_a_whole_old_file_says_so_on_the_command_line(tmp_path: Path) -> None:
    pages = [(OLD["3.8"], libtiff.level(n)) for n in (1, 2)]
    path = libtiff.save(tmp_path / "a.tif", pages)
    result = CliRunner().invoke(app, ["tiff", "repair", str(path)])
    assert result.exit_code == 2 or "is complete" in str(result.exception)
    assert not (tmp_path / "a_repaired.tif").exists()
