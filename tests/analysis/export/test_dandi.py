"""The dandi program accepts the NWB files and does not rename them."""

import os
import subprocess
from pathlib import Path

import pytest

from analysis.export.contents import read_contents
from analysis.export.nwb import write_nwb
from analysis.export.raw_pages import RawPages
from tests.analysis.export.recorded import start, trial, whole_session, write
from tests.analysis.export.test_formats import SUBJECT
from tests.checkers import checker

pytestmark = pytest.mark.slow

DANDISET = 'identifier: "000027"\nname: sessions of a test\n'


def dandi(program: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home), "DANDI_NO_ET": "1"}
    return subprocess.run(
        [str(program), *arguments], capture_output=True, text=True, check=False, env=environment
    )


def test_dandi_organizes_and_validates_the_files_as_they_are_named(tmp_path: Path) -> None:
    program = checker("dandi", "dandi")
    contents = read_contents(whole_session(tmp_path / "imaged"))
    files = [write_nwb(contents, tmp_path / "nwb", SUBJECT, RawPages.EMBED)]
    behavior_alone = write(tmp_path / "alone", trial(0, "leaf1", 6000), start(False), False)
    behavior_alone = behavior_alone.rename(behavior_alone.with_name("ses-20260304_3"))
    contents = read_contents(behavior_alone)
    files.append(write_nwb(contents, tmp_path / "nwb", SUBJECT))

    dandiset = tmp_path / "dandiset"
    dandiset.mkdir()
    (dandiset / "dandiset.yaml").write_text(DANDISET)
    # one process: by default it starts one for each core
    organize = ("organize", "-d", str(dandiset), "-f", "copy", "-J", "1", str(tmp_path / "nwb"))
    done = dandi(program, tmp_path, *organize)
    assert done.returncode == 0, done.stderr
    organized = sorted(path.name for path in (dandiset / "sub-VR2").iterdir())
    assert organized == sorted(path.name for path in files)
    done = dandi(program, tmp_path, "validate", str(dandiset))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No errors found" in done.stdout + done.stderr
