"""rig align tells how today's field lies over the last imaged day, and draws it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from analysis.landmarks import read_landmarks
from analysis.registration import MotionSettings
from rig.cli.main import app
from rig.refused import Refused
from tests.analysis.test_ground_truth import SHIPPED, imaged


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of an animal, imaged, and an empty one after it."""
    data = tmp_path_factory.mktemp("data")
    folder = data / "sub-VR2" / "ses-20261124_1"
    folder.mkdir(parents=True)
    imaged(folder, SHIPPED, 2)
    (data / "sub-VR2" / "ses-20261124_2").mkdir()
    return data


def test_the_same_field_lies_where_it_was(data: Path, tmp_path: Path) -> None:
    tiff = tmp_path / "today.tif"
    (first,) = (data / "sub-VR2" / "ses-20261124_1" / "imaging").glob("*.tif")
    shutil.copy(first, tiff)
    out, mean = tmp_path / "over.png", tmp_path / "mean.npy"
    args = ["align", "VR2", str(tiff), "--data", str(data), "--out", str(out), "--save", str(mean)]
    done = CliRunner().invoke(app, args, catch_exceptions=False)
    assert "rotated +0.0 degrees" in done.output or "rotated -0.0 degrees" in done.output
    picture = tifffile.imread(first)
    assert out.read_bytes().startswith(b"\x89PNG")
    means = read_landmarks(MotionSettings(reference_file=str(mean))).means
    assert means is not None
    assert means.shape == (1, *picture.shape[1:])
    assert np.corrcoef(means[0].ravel(), picture.mean(axis=0).ravel())[0, 1] > 0.8


def test_an_animal_that_was_never_imaged_is_refused(data: Path, tmp_path: Path) -> None:
    args = ["align", "VR3", str(tmp_path / "today.tif"), "--data", str(data)]
    with pytest.raises(Refused, match="no session of VR3"):
        CliRunner().invoke(app, args, catch_exceptions=False)
    args[1] = "VR2"
    with pytest.raises(Refused, match="let ScanImage save some frames first"):
        CliRunner().invoke(app, args, catch_exceptions=False)
