"""The end of a session counts its pages, wherever they are, and hands them over to Suite2p."""

import json
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from rig.cli.sessions.end_summary import SUMMARY_FILE, end, imaging_row
from rig.messages import Frame, Message
from rig.settings.config import SETTINGS_FILE, Rig, SessionSettings
from tests.acquisition.files import pictures, save
from tests.analysis.logs import START, enveloped, write_log

ANALYSED = msgspec.structs.replace(
    START, session={**START.session, "nodes": {"online": {"run": "analysis.online"}}}
)


def session_folder(tmp_path: Path, imaging_folder: str, messages: list[Message]) -> Path:
    (tmp_path / "ses-20260101_1").mkdir()
    folder = write_log(tmp_path / "ses-20260101_1", enveloped([ANALYSED, *messages]))
    rig = Rig(name="x", disk_mb_s=1.0, imaging_folder=imaging_folder)
    session = SessionSettings(subject="VR2", seed=7, task_name="t", rig=rig, task={}, nodes={})
    (folder / SETTINGS_FILE).write_bytes(msgspec.json.encode(session))
    return folder


def summary(folder: Path) -> tuple[int, int, str]:
    """End a session; return the pages written, those streamed, and what was printed."""
    with (folder / "printed").open("w", encoding="utf-8") as file:
        end(folder, "done", Console(file=file, width=300))
    found = json.loads((folder / SUMMARY_FILE).read_text())
    return found["frames_written"], found["frames_streamed"], (folder / "printed").read_text()


def frames(path: str, count: int) -> list[Message]:
    return [Frame(i, i, path, 0, 2, 2, 0.0) for i in range(count)]


def test_in_a_folder_elsewhere_its_own_files_are_counted(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    save(share / "yesterday_1.tif", pictures(9))
    ours = save(share / "today_1.tif", pictures(3))
    folder = session_folder(tmp_path, str(share), frames(ours.as_posix(), 3))
    assert summary(folder)[:2] == (3, 3)
    assert json.loads((share / "ops.json").read_text())["nrois"] == 1


def test_in_its_own_folder_every_file_is_counted(tmp_path: Path) -> None:
    folder = session_folder(tmp_path, "imaging", frames("imaging/a_1.tif", 2))
    (folder / "imaging").mkdir()
    save(folder / "imaging" / "a_1.tif", pictures(2))
    save(folder / "imaging" / "a_2.tif", pictures(4))
    assert summary(folder)[:2] == (6, 2)


@pytest.mark.parametrize("lost", ["file", "folder"])
def test_lost_or_damaged_files_are_reported_and_do_not_stop_the_end(
    tmp_path: Path, lost: str
) -> None:
    share = tmp_path / "share"
    share.mkdir()
    raw = save(tmp_path / "whole.tif", pictures(3)).read_bytes()
    folder = session_folder(tmp_path, str(share), frames(f"{share}/a_1.tif", 3))
    if lost == "folder":
        share.rmdir()
    else:
        (share / "a_1.tif").write_bytes(raw[:-30])
    written, streamed, printed = summary(folder)
    assert (written, streamed) == (0 if lost == "folder" else 2, 3)
    assert (
        "a_1.tif cannot be opened" in printed
        or "ends inside a page, after 2 complete pages" in printed
    )


@pytest.mark.parametrize(
    ("written", "streamed", "analysed", "a_volume", "row"),
    [
        (9, 9, 9, 1, "frames: 9 written = 9 streamed = 9 analysed"),
        (9, 8, 7, 1, "frames: 9 written ≠ 8 streamed ≠ 7 analysed"),
        (
            13, 13, 6, 2,
            "pages: 13 written = 13 streamed; volumes of 2 pages: 6 streamed = 6 analysed",
        ),
        (
            14, 13, 5, 2,
            "pages: 14 written ≠ 13 streamed; volumes of 2 pages: 6 streamed ≠ 5 analysed",
        ),
    ],
)  # fmt: skip
def test_the_end_table_distinguishes_pages_and_volumes(
    written: int, streamed: int, analysed: int, a_volume: int, row: str
) -> None:
    names = ("frames_written", "frames_streamed", "frames_analysed", "pages_a_volume")
    values = (written, streamed, analysed, a_volume)
    assert imaging_row(dict(zip(names, values, strict=True))) == row


def test_the_end_table_does_not_compare_unknown_counts() -> None:
    pages = {"frames_written": 9, "frames_streamed": 9}
    nobody = imaging_row({**pages, "frames_analysed": None, "pages_a_volume": 1})
    assert nobody == "pages: 9 written = 9 streamed, not analysed: the setup has no online process"
    found = imaging_row({**pages, "frames_analysed": 4, "pages_a_volume": 1, "cells_found": 34})
    assert found.endswith("; 4 frames or volumes analysed after 34 cells were found")
    older = imaging_row({**pages, "frames_analysed": 4})
    assert older == "pages: 9 written = 9 streamed; 4 frames or volumes analysed"


def test_a_volume_is_as_many_pages_as_depths_and_channels(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    ours = save(share / "a_1.tif", pictures(6)).as_posix()
    at = [(channel, plane) for plane in (0, 1, 0) for channel in (1, 3)]
    pages: list[Message] = [
        Frame(i, i, ours, 0, 2, 2, 0.0, channel=channel, plane=plane)
        for i, (channel, plane) in enumerate(at)
    ]
    folder = session_folder(tmp_path, str(share), pages)
    assert "volumes of 4 pages: 1 streamed ≠ 0 analysed" in summary(folder)[2]
