"""A recording's settings are saved, and published with what differs from the last session."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from acquisition.follow.previous_scan import SCAN_FILE, last_header
from acquisition.scanimage.regions import Field, Region
from acquisition.simulation.scanimage_encoding import Recording
from acquisition.simulation.scanimage_writer import Writer
from acquisition.stream import Stream
from rig.clock import SetClock
from rig.messages import Fault, Frame, Message, Scan, Start
from rig.process import completed
from rig.session.status_line import StatusLine
from rig.settings.config import Rig, SessionSettings
from rig.transport.envelope import Envelope
from tests.acquisition.files import BEGAN, pictures

TALL = (2 * 16 + 4, 8)


def regions() -> tuple[Region, ...]:
    def field(x: float) -> Field:
        return Field(0.0, (x, 0.0), (1.0, 2.0), (8, 16))

    return Region("right", (field(2.0),)), Region("left", (field(0.0),))


def session(folder: Path, monkeypatch: pytest.MonkeyPatch, **facts: Any) -> list[Message]:
    """Image two frames of two channels in a session folder; return what the stream publishes."""
    (folder / "imaging").mkdir(parents=True)
    monkeypatch.chdir(folder)
    published: list[Message] = []
    stream = Stream(msgspec.convert({}, Stream.Settings), published.append)
    stream.clock = SetClock()
    stream.open()
    stream.handle(Start(0, {}))
    recording = Recording(
        shape=TALL,
        rate_hz=5.0,
        regions=regions(),
        channels=(1, 2),
        fly_to_lines=facts.pop("fly_to_lines", 4),
        facts={f"SI.{key}": value for key, value in facts.items()},
    )
    for name in ("a_1.tif", "a_2.tif"):
        writer = Writer(folder / "imaging" / name, recording, BEGAN, "pre")
        first = 1 if name == "a_1.tif" else 3
        for i, frame in enumerate(pictures(4, TALL)):
            writer.append(frame, 0.0, first + i // 2)
        writer.close()
    stream.close()
    return published


def test_a_recording_is_published_once_with_its_regions_and_laser_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = session(tmp_path / "ses-20260101_1", monkeypatch, **{"hBeams.powers": 28.0})
    scan, *frames = published
    assert isinstance(scan, Scan)
    assert (scan.file, scan.changed, scan.depths_um) == ("imaging/a_1.tif", (), (0.0,))
    assert (scan.header["power_percent"], scan.header["channels"]) == ((28.0,), (1, 2))
    rows = [(r["name"], r["first_row"], r["height_px"], r["x_px"]) for r in scan.regions]
    assert rows == [("right", 0, 16, 16), ("left", 20, 16, 0)]
    pages = [(f.index, f.number, f.channel) for f in frames if isinstance(f, Frame)]
    assert pages == [(i, i // 2 + 1, i % 2 + 1) for i in range(8)]
    assert len(frames) == 8


def test_differences_from_the_last_session_are_published_and_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    powers = {"hBeams.powers": 28.0, "hRoiManager.scanZoomFactor": 1.5}
    session(tmp_path / "ses-20260101_9", monkeypatch, **powers)
    (tmp_path / "ses-20260102_1").mkdir()  # a day without imaging
    (tmp_path / "ses-20260102_1" / SCAN_FILE).write_text("no settings")
    now = {**powers, "hBeams.powers": 35.5}
    scan = session(tmp_path / "ses-20260102_10", monkeypatch, **now)[0]
    assert isinstance(scan, Scan)
    assert scan.changed == ("laser power (%) 35.5, last session 28",)
    line = StatusLine()
    line.handle(Envelope("stream", 0, 0, 0, 0, msgspec.Raw(b"")), scan)
    assert line.remarks == ["ScanImage's settings changed: laser power (%) 35.5, last session 28"]
    same = session(tmp_path / "ses-20260102_11", monkeypatch, **now)[0]
    assert isinstance(same, Scan) and same.changed == ()
    found = last_header(tmp_path / "ses-20260102_10")
    assert found is not None and found.power_percent == (28.0,)
    assert last_header(tmp_path / "ses-20260101_9") is None


def test_regions_that_do_not_fit_are_a_fault_and_frames_are_still_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault, scan, *frames = session(tmp_path / "ses-20260101_1", monkeypatch, fly_to_lines=9)
    assert isinstance(fault, Fault) and isinstance(scan, Scan)
    assert fault.text == (
        "imaging/a_1.tif has 4 lines between two regions by the height of its pages, "
        "and 9 by its header (flytoTimePerScanfield / linePeriod)"
    )
    assert scan.regions == () and len(frames) == 8


def test_the_imaging_folder_is_set_once_for_all_nodes() -> None:
    nodes = {"stream": {"run": "acquisition.stream"}, "mesoscope": {"run": "acquisition.mesoscope"}}
    rig = Rig(name="x", disk_mb_s=1.0, imaging_folder="/mnt/scanimage")
    one = SessionSettings(subject="a", seed=1, task_name="t", rig=rig, task={}, nodes=nodes)
    done = completed(one).nodes
    assert {name: table["imaging_folder"] for name, table in done.items()} == {
        "stream": "/mnt/scanimage",
        "mesoscope": "/mnt/scanimage",
    }
    nodes["stream"]["imaging_folder"] = "elsewhere"
    assert completed(one).nodes["stream"]["imaging_folder"] == "elsewhere"
