"""The times of Suite2p's own functions on the pages and cells of `rig bench analysis`."""

import importlib.util
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.model import Cells
from rig.cli.bench.harness import timed

_MORE = 8
"""Number of further pages over which the time per page is measured, without making the masks."""


def beside_suite2p(pages: list[NDArray[np.int16]], cells: Cells) -> Iterator[str]:
    """Yield sentences on registration, extraction, baseline and deconvolution, on one core."""
    if importlib.util.find_spec("suite2p") is None:
        yield "Suite2p is not installed and was not compared (pip install suite2p)"
        return
    import torch

    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    yield _registered(torch, pages)
    yield _extracted(cpu, pages, cells)
    yield _deconvolved(cpu)


def _registered(torch: Any, pages: list[NDArray[np.int16]]) -> str:
    from suite2p.registration import rigid

    tensors = [torch.from_numpy(page[None].astype(np.float32)) for page in pages]
    share, offset, reference = rigid.compute_masks_ref_smooth_fft(tensors[0][0], 3.45, 1.15)
    most = 20 / min(pages[0].shape)
    prepared = (reference, share, offset, most, 0)
    times_ms = [timed(partial(rigid.phasecorr, tensor, *prepared))[0] for tensor in tensors]
    return f"Suite2p: rigid registration {np.median(times_ms):.0f} ms a page"


def _extracted(cpu: Any, pages: list[NDArray[np.int16]], cells: Cells) -> str:
    from suite2p.extraction import masks
    from suite2p.extraction.extract import extract_traces

    stat = []
    for n in range(len(cells)):
        own = slice(cells.first[n], cells.first[n + 1])
        alone = np.zeros(own.stop - own.start, bool)
        stat.append({"ypix": cells.y[own], "xpix": cells.x[own], "lam": cells.weight[own],
                     "radius": 3.8, "overlap": alone})  # fmt: skip
    shown, rings = masks.create_masks(stat, *pages[0].shape)
    few, many = (
        np.resize(np.array(pages[:1]), (count, *pages[0].shape)) for count in (1, 1 + _MORE)
    )
    few_ms, _ = timed(lambda: extract_traces(few, shown, rings, batch_size=1, device=cpu))
    many_ms, _ = timed(lambda: extract_traces(many, shown, rings, batch_size=1, device=cpu))
    each_ms = (many_ms - few_ms) / _MORE
    return f"Suite2p: masks and neuropil of {len(cells)} cells {each_ms:.1f} ms a further page"


def _deconvolved(cpu: Any) -> str:
    from suite2p.extraction import dcnv

    values = np.random.default_rng(2).normal(0, 20, (10_000, 180)).astype(np.float32)
    maximin_ms, _ = timed(lambda: dcnv.preprocess(values, "maximin", 60.0, 10.0, 3.0, device=cpu))
    dcnv.oasis(values[:10], 10, 0.75, 3.0)
    oasis_ms, _ = timed(lambda: dcnv.oasis(values, 1000, 0.75, 3.0))
    return (
        f"Suite2p on 180 frames of 10,000 cells: baseline {maximin_ms:.0f} ms, "
        f"deconvolution {oasis_ms:.0f} ms, each time a frame is added"
    )
