"""The pages of a volume with several frames of each slice are put together."""

from pathlib import Path

import msgspec
import numpy as np

from analysis.cells.read_cells import read_cells
from analysis.extraction.strip import PipelineSettings
from analysis.extraction.traces import TraceSettings
from analysis.extraction.volume import Volume
from analysis.registration.reference_images import ReferenceImages
from analysis.registration.rigid import MotionSettings
from tests.analysis.nodes import SHAPE, frame

CELLS = "cell,y_px,x_px,radius_px,plane\n0,3,2,1,0\n1,3,5,1,1\n2,3,8,1,2\n"


def test_a_cell_is_the_mean_of_all_pages_of_its_slice(tmp_path: Path) -> None:
    """Two frames of each of three slices, then a fly-back frame without a Frame message."""
    (tmp_path / "cells.csv").write_text(CELLS)
    settings = PipelineSettings(
        TraceSettings(neuropil_share=0.0), MotionSettings(method="none"), ReferenceImages()
    )
    whole_page = {"first_row": 0, "height_px": SHAPE[0], "width_px": SHAPE[1]}
    regions = [{"plane": plane, **whole_page} for plane in range(3)]
    cells = read_cells(tmp_path / "cells.csv")
    volume = Volume(cells, regions, SHAPE, settings, frames_per_slice=2)
    values = []
    for number in range(1, 22):
        plane, repeat = divmod((number - 1) % 7, 2)
        if plane == 3 or number == 10:  # fly-back; a frame of the second volume that is lost
            continue
        pixels = np.full(SHAPE, 100 * (plane + 1) + repeat, np.int16)
        page = msgspec.structs.replace(frame(0, number, pixels), number=number, plane=plane)
        if (found := volume.add_page(page, 0.0)) is not None:
            values.append(found.tolist())
    assert values == [[100.5, 200.5, 300.5]] * 2
