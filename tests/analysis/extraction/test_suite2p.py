"""Traces agree with those of Suite2p's own functions on the same frames."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from analysis.cells.model import disc, make_cells
from analysis.extraction.strip import PipelineSettings
from analysis.extraction.traces import Traces, TraceSettings
from analysis.extraction.volume import Volume
from analysis.registration.reference_images import ReferenceImages
from analysis.registration.rigid import MotionSettings
from rig.messages import Frame
from tests.checkers import checker

pytestmark = pytest.mark.slow
FRAMES, RATE_HZ, SIZE = 900, 3.0, 128
SUITE2P = """
import sys
import numpy as np, torch
from suite2p.extraction import dcnv, masks
from suite2p.extraction.extract import extract_traces

here, size, rate_hz = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
cpu = torch.device("cpu")
stat = np.load(f"{here}/stat.npy", allow_pickle=True)
pages = np.load(f"{here}/pages.npy").astype(np.float32)
cell_masks, rings = masks.create_masks(stat, size, size)
bright, around, *_ = extract_traces(pages, cell_masks, rings, device=cpu)
off = dcnv.preprocess(bright - 0.7 * around, "maximin", 60.0, 10.0, rate_hz, device=cpu)
np.save(f"{here}/spks.npy", dcnv.oasis(off.astype(np.float32), 100, 0.75, rate_hz))
"""


def test_deconvolved_traces_are_those_of_suite2p(tmp_path: Path) -> None:
    python = checker("suite2p")
    rng = np.random.default_rng(3)
    places = np.stack(np.meshgrid(*[np.arange(12, 120, 14)] * 2, indexing="ij"), -1).reshape(-1, 2)
    cells = make_cells(
        [str(n) for n in range(len(places))],
        [disc(y, x, 3.7) for y, x in places],
        [np.ones(len(disc(y, x, 3.7))) for y, x in places],
    )
    calcium = np.zeros((FRAMES, len(places)))
    for at in range(1, FRAMES):
        spikes = rng.poisson(0.12, len(places))
        calcium[at] = calcium[at - 1] * np.exp(-1 / (0.75 * RATE_HZ)) + 0.5 * spikes
    cell = np.repeat(np.arange(len(cells)), np.diff(cells.first))
    pages = np.empty((FRAMES, SIZE, SIZE), np.int16)
    for at in range(FRAMES):
        photons = np.full((SIZE, SIZE), 3.0 + 0.3 * np.sin(at / 40))
        photons[cells.y, cells.x] += 2.0 * (1 + calcium[at][cell])
        pages[at] = 60 * rng.poisson(photons)

    how = PipelineSettings(TraceSettings(), MotionSettings(method="none"), ReferenceImages())
    volume, traces = Volume(cells, (), (SIZE, SIZE), how), Traces(len(cells), TraceSettings())
    finals = []
    for at, page in enumerate(pages):
        bright = volume.add_page(Frame(0, at, "", 0, SIZE, SIZE, 0.0, pixels=page), at / RATE_HZ)
        assert bright is not None
        final = traces.add(bright, at / RATE_HZ)
        finals += [] if final is None else [final]
    ours = np.array([*finals, *traces.rest()]).T

    stat = []
    for n in range(len(cells)):
        own = slice(cells.first[n], cells.first[n + 1])
        alone = np.zeros(own.stop - own.start, bool)
        stat.append({"ypix": cells.y[own], "xpix": cells.x[own], "lam": cells.weight[own],
                     "radius": 3.7, "overlap": alone})  # fmt: skip
    np.save(tmp_path / "stat.npy", np.array(stat, dtype=object), allow_pickle=True)
    np.save(tmp_path / "pages.npy", pages)
    command = [str(python), "-W", "ignore", "-c", SUITE2P, str(tmp_path), str(SIZE), str(RATE_HZ)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = np.load(tmp_path / "spks.npy")
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs, strict=True)]
    print(f"median correlation with Suite2p {np.median(alike):.4f}, least {np.min(alike):.4f}")
    assert np.median(alike) > 0.95
