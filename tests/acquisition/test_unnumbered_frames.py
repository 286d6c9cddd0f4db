"""Files of ScanImage 3.8 and 4, without frame numbers: not followed, but read when closed."""

from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from acquisition.files.file_check import check
from acquisition.files.vendor_reader import ClosedFile
from acquisition.stream import Stream
from rig.cli.main import app
from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Start
from tests.acquisition.files import pictures

TEXTS = {
    "3.8": "state.software.version=3.8\rstate.acq.zoomFactor=4\rstate.acq.frameRate=3.91",
    "4.2": "scanimage.SI4.versionMajor = 4.2\nscanimage.SI4.channelsSave = 1\n"
    "scanimage.SI4.scanZoomFactor = 4\nscanimage.SI4.scanFrameRate = 3.91",
}
FRAMES = pictures(3)


@pytest.fixture(params=TEXTS)
def version(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Save a file of that version in the folder imaging, and go there."""
    monkeypatch.chdir(tmp_path)
    version = str(request.param)
    Path("imaging").mkdir()
    with tifffile.TiffWriter("imaging/old.tif") as writer:
        for frame in FRAMES:
            text = TEXTS[version].encode()
            writer.write(frame, description=text, metadata=None, contiguous=False)
    return version


def test_it_ends_a_session_with_a_sentence_that_says_what_to_do(version: str) -> None:
    raw = Path("imaging/old.tif").read_bytes()
    Path("imaging/old.tif").unlink()
    stream = Stream(msgspec.convert({}, Stream.Settings), print)
    stream.clock = SetClock()
    stream.open()
    stream.handle(Start(0, {}))
    Path("imaging/old.tif").write_bytes(raw)
    sentence = rf"imaging/old.tif is of ScanImage {version}, which does not number its frames"
    with pytest.raises(Refused, match=f"{sentence}.*ScanImage 5.0 or later"):
        stream.tick(1_000_000_000)
    stream.close()


def test_closed_it_is_checked_and_read(version: str) -> None:
    (one,) = check([Path("imaging/old.tif")])
    assert (one.problems, one.pages, one.frames) == ([], 3, (0, 0))
    assert (one.header.version, one.header.zoom, one.header.frame_rate_hz) == (version, 4.0, 3.91)
    with closing(ClosedFile(Path("imaging/old.tif"))) as file:
        np.testing.assert_array_equal(file.read(0, 3), FRAMES)
    facts = CliRunner().invoke(app, ["tiff", "info", "imaging/old.tif"])
    assert facts.exit_code == 0 and version in facts.output
    sound = CliRunner().invoke(app, ["tiff", "check", "imaging/old.tif"])
    assert sound.exit_code == 0 and "3 pages, sound" in sound.output.replace("\n", " ")
