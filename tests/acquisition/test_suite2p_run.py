"""Run Suite2p with the session's ops.json on its imaging folder, and read the cells it found."""

import csv
import subprocess
from pathlib import Path

import numpy as np
import pytest

from acquisition.files.file_check import check
from acquisition.files.suite2p_ops import write_ops
from analysis.cells.read_cells import read_cells
from analysis.cells.suite2p_layout import to_pages
from analysis.session.session import Session
from rig.cli.bench.imaging.simulated_imaging import run_imaging_session
from tests.checkers import checker
from tests.live import SETUP, TASK

pytestmark = pytest.mark.slow

SUITE2P = """
import json, sys
from pathlib import Path
from suite2p import default_db, default_settings, run_s2p

imaging, save = sys.argv[1:]
ops = json.loads((Path(imaging) / "ops.json").read_text())
db, settings = default_db(), default_settings()
db |= {key: value for key, value in ops.items() if key in db}
db |= {"data_path": [imaging], "save_path0": save}
settings |= {"fs": ops["fs"], "torch_device": "cpu"}
settings["registration"]["nonrigid"] = False
run_s2p(settings=settings, db=db)
"""
"""What a user does with ops.json in Suite2p 1.x."""
NEAR_PX = 4.0


@pytest.mark.parametrize(("rois", "depths"), [(1, 1), (2, 2)])
def test_suite2p_runs_with_the_ops_file_and_its_cells_are_read(
    tmp_path: Path, rois: int, depths: int
) -> None:
    python = checker("suite2p")
    changes = [
        f"nodes.mesoscope.rois={rois}",
        f"nodes.mesoscope.depths={depths}",
        'nodes.mesoscope.cells_file=""',
        f"nodes.mesoscope.brain.cells={40 * rois * depths}",
        "nodes.online={run='analysis.online', find={after_s=180.0}}",
        "nodes.mesoscope.frame_rate_hz=10",
        "task.trials=8",
        "task.corridor_cm_s=120",
    ]
    run_imaging_session(SETUP, TASK, tmp_path, 1, changes)
    imaging = tmp_path / "imaging"
    write_ops(check(sorted(imaging.glob("*.tif"))))
    command = [str(python), "-W", "ignore", "-c", SUITE2P, str(imaging), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]

    folder = "plane0" if rois * depths == 1 else "combined"
    session = Session(tmp_path)
    scan, frame = session.scans.iloc[0], session.frames.iloc[0]
    found = to_pages(
        read_cells(tmp_path / "suite2p" / folder / "stat.npy", None, use_iscell=False),
        scan.regions,
        depths,
        (int(frame.height_px), int(frame.width_px)),
    )
    truth_file = imaging / "field_00001_truth" / "cells.csv"
    rows = list(csv.DictReader(truth_file.read_text().splitlines()))
    truth = np.array([[float(r["y_px"]), float(r["x_px"]), float(r["plane"])] for r in rows])
    for plane in range(depths):
        places = found.centres()[found.plane == plane]
        planted = truth[truth[:, 2] == plane, :2]
        apart = np.linalg.norm(places[:, None] - planted[None], axis=2).min(axis=1)
        print(f"plane {plane}: {len(places)} cells, {(apart < NEAR_PX).sum()} of {len(planted)}")
        assert (apart < NEAR_PX).sum() > len(planted) / 4
        assert (apart < NEAR_PX).mean() > 0.5
