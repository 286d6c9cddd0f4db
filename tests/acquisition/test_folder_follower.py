"""Watching a folder: new files in order, old ones ignored, and one sentence for anything else."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acquisition.follow.folder_follower import FolderFollower, tiffs_in
from acquisition.simulation.scanimage_writer import Link, Writer
from rig.errors import Refused
from tests.acquisition.files import pictures, save, start

LINKS: tuple[Link, ...] = ("pre", "post")


def names_of(folder: FolderFollower) -> list[str]:
    return [file.path.name for file, _ in folder.poll()]


@pytest.mark.parametrize("link", LINKS)
def test_the_next_file_is_followed_once_it_has_a_page(tmp_path: Path, link: Link) -> None:
    folder = FolderFollower(tmp_path)
    published: list[tuple[str, Any]] = []

    def poll() -> None:
        for file, page in folder.poll():
            published.append((file.path.name, file.pixels(page)))

    poll()
    frames = pictures(4)
    first = start(tmp_path / "scan_00001.tif", link)
    first.append(frames[0], 0.0)
    poll()
    second = start(tmp_path / "scan_00002.tif", link)
    poll()
    first.append(frames[1], 0.1)
    poll()
    first.append(frames[2], 0.2)
    first.close()
    second.append(frames[3], 0.3)
    poll()
    second.close()
    assert [name for name, _ in published] == ["scan_00001.tif"] * 3 + ["scan_00002.tif"]
    for (_, seen), frame in zip(published, frames, strict=True):
        np.testing.assert_array_equal(seen, frame)
    folder.close()


def test_a_file_that_ends_inside_a_frame_is_noted_and_the_next_one_followed(tmp_path: Path) -> None:
    folder = FolderFollower(tmp_path)
    raw = save(tmp_path / "scan_1.tif", pictures(2)).read_bytes()
    (tmp_path / "scan_1.tif").write_bytes(raw[:-60])
    save(tmp_path / "scan_2.tif", pictures(1))
    with closing(folder) as following:
        names = [file.path.name for file, _ in following.poll()]
    assert names == ["scan_1.tif", "scan_2.tif"]
    assert folder.torn == [tmp_path / "scan_1.tif"]


def test_files_are_followed_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    with closing(FolderFollower(tmp_path)) as folder:
        for name in ("scan_10.tif", "scan_2.tif", "other_1.tif", "scan_1.TIF", "notes.txt"):
            save(tmp_path / name, pictures(1))
        assert names_of(folder) == ["other_1.tif", "scan_1.TIF", "scan_2.tif", "scan_10.tif"]
    assert tiffs_in(tmp_path / "none") == {}


def test_hidden_files_beside_a_recording_are_ignored(tmp_path: Path) -> None:
    for name in ("scan_1.tif", "._scan_1.tif", ".scan_2.tif"):
        (tmp_path / name).touch()
    assert [path.name for path in tiffs_in(tmp_path)] == ["scan_1.tif"]


def test_the_next_of_the_same_series_comes_before_another_file(tmp_path: Path) -> None:
    with closing(FolderFollower(tmp_path)) as folder:
        save(tmp_path / "b_00001.tif", pictures(1))
        assert names_of(folder) == ["b_00001.tif"]
        save(tmp_path / "a_00001.tif", pictures(1))
        save(tmp_path / "b_00002.tif", pictures(1))
        assert names_of(folder) == ["b_00002.tif", "a_00001.tif"]
        assert [path.name for path in folder.followed] == [
            "b_00001.tif",
            "b_00002.tif",
            "a_00001.tif",
        ]


@pytest.mark.parametrize("link", LINKS)
def test_an_earlier_recording_is_ignored_and_a_growing_one_followed(
    tmp_path: Path, link: Link
) -> None:
    """ScanImage may have been armed, or be recording already, before the session."""
    save(tmp_path / "yesterday_1.tif", pictures(2), link)
    (tmp_path / "yesterday_2.tif").write_bytes(b"no TIFF at all, but long enough to be looked at")
    armed, begun = start(tmp_path / "x_1.tif", link), start(tmp_path / "y_1.tif", link)
    begun.append(pictures(1)[0], 0.0)
    with closing(FolderFollower(tmp_path)) as folder:
        armed.append(pictures(1)[0], 0.0)
        assert names_of(folder) == ["x_1.tif"]
        armed.close()
        begun.append(pictures(1)[0], 0.1)
        assert names_of(folder) == ["y_1.tif", "y_1.tif"]
        begun.close()
        assert names_of(folder) == []


def test_the_folder_may_appear_later_but_not_disappear(tmp_path: Path) -> None:
    imaging = tmp_path / "imaging"
    with closing(FolderFollower(imaging)) as folder:
        assert names_of(folder) == []
        imaging.mkdir()
        path = save(imaging / "a_1.tif", pictures(1))
        assert names_of(folder) == ["a_1.tif"]
        path.unlink()
        imaging.rmdir()
        with pytest.raises(Refused, match=r"imaging folder .*imaging has been removed; restore it"):
            names_of(folder)


def test_a_path_that_is_not_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "imaging").write_text("a file")
    with pytest.raises(Refused, match=r"imaging folder .* cannot be read"):
        FolderFollower(tmp_path / "imaging")


def following(path: Path) -> tuple[FolderFollower, Writer]:
    """Return the follower of a file that grows."""
    folder = FolderFollower(path.parent)
    writer = start(path)
    writer.append(pictures(1)[0], 0.0)
    assert names_of(folder) == [path.name]
    return folder, writer


@pytest.mark.parametrize("how", ["deleted", "renamed to other.tif", "replaced by another file"])
def test_a_removed_growing_file_is_reported_once_and_still_read(tmp_path: Path, how: str) -> None:
    path = tmp_path / "scan_1.tif"
    folder, writer = following(path)
    assert names_of(folder) == [] and folder.lost == []
    if how.startswith("renamed"):
        path.rename(tmp_path / "other.tif")
    else:
        path.unlink()
    if how.startswith("replaced"):
        path.write_bytes(b"II")
    writer.append(pictures(1)[0], 0.1)
    assert names_of(folder) == ["scan_1.tif"]
    (lost,) = folder.lost
    assert lost.text.startswith(f"{path.as_posix()} was {how} during the session; bring it back")
    assert lost.is_growing
    assert names_of(folder) == [] and len(folder.lost) == 1
    writer.close()
    save(tmp_path / "scan_2.tif", pictures(1))
    assert names_of(folder) == ["scan_2.tif"]
    folder.close()


def test_an_earlier_file_of_the_series_that_is_deleted_is_reported_too(tmp_path: Path) -> None:
    folder, writer = following(tmp_path / "scan_1.tif")
    writer.close()
    save(tmp_path / "scan_2.tif", pictures(1))
    assert names_of(folder) == ["scan_2.tif"]
    (tmp_path / "scan_1.tif").unlink()
    assert names_of(folder) == []
    (lost,) = folder.lost
    assert "scan_1.tif was deleted during the session" in lost.text
    assert not lost.is_growing
    folder.close()
