"""Files of unknown origin are read in a separate process; damaged ones get one sentence."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acquisition.files.isolated_reader import IsolatedFile
from rig.errors import Refused
from tests.acquisition.files import pictures, save, start
from tests.acquisition.fuzz import FAILURES, run


def test_it_reads_as_the_vendors_reader_does(tmp_path: Path) -> None:
    frames = np.stack(pictures(5))
    with closing(IsolatedFile(save(tmp_path / "a.tif", list(frames)))) as file:
        assert (len(file), file.shape, file.dtype) == (5, frames.shape[1:], "<i2")
        np.testing.assert_array_equal(file.read(0, 5), frames)
        np.testing.assert_array_equal(file.read(2, 3), frames[2:3])
        with pytest.raises(Refused, match="has 5 pages, not pages 4 to 8"):
            file.read(4, 9)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("not a picture at all, but long enough to be looked at")
    with pytest.raises(Refused, match=r"text\.tif is not a little-endian TIFF"):
        IsolatedFile(tmp_path / "text.tif")
    writer = start(tmp_path / "open.tif")
    writer.append(pictures(1)[0], 0.0)
    with pytest.raises(Refused, match="was not closed after its 1 pages"):
        IsolatedFile(tmp_path / "open.tif")
    writer.close()


@contextmanager
def reader_that(code: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put another program in the reader's place."""
    popen = subprocess.Popen

    def other(command: list[str], **pipes: Any) -> Any:
        return popen([sys.executable, "-c", code], **pipes)

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", other)
        yield


def test_a_reader_that_crashes_or_hangs_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.tif", pictures(1))
    dies = "import os; os.kill(os.getpid(), 11)"
    with (
        reader_that(dies, monkeypatch),
        pytest.raises(Refused, match=r"crashes .*\(exit code -11\)"),
    ):
        IsolatedFile(path)
    hangs = "import time; time.sleep(60)"
    with (
        reader_that(hangs, monkeypatch),
        pytest.raises(Refused, match="keeps ScanImage"),
    ):
        IsolatedFile(path, timeout_s=0.2)
    opens = 'print(\'{"pages": 9, "shape": [6, 10], "dtype": "<i2"}\', flush=True); input(); 1 / 0'
    with reader_that(opens, monkeypatch), closing(IsolatedFile(path)) as file:
        with pytest.raises(Refused, match="crashes ScanImage's reader"):
            file.read(0, 9)
        with pytest.raises(Refused, match="crashes ScanImage's reader"):
            file.read(0, 9)


def test_no_damaged_file_crashes_the_follower_or_is_read_wrongly() -> None:
    """A share of the run of 5,000: python -m tests.acquisition.fuzz 5000."""
    found = run(seed=7, count=250)
    assert sum(found.values()) == 250
    assert {name: found[name] for name in FAILURES} == dict.fromkeys(FAILURES, 0)
    assert found["same"] > 20 and found["refused"] > 100
