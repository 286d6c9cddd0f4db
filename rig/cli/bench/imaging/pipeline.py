"""Measure every part of the analysis on a synthetic volume, for rig bench analysis."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from analysis.cells.model import Cells, disc, make_cells
from analysis.extraction.baseline import Baseline
from analysis.extraction.deconvolution import Deconvolution
from analysis.extraction.masks import Floats, Masks, Neuropil
from analysis.registration.phase_correlation import Correlator, Located
from analysis.signals.running_signals import RunningSignals
from analysis.signals.task_signals import TaskSignals
from rig.cli.bench.harness import Row, count, row, timed
from rig.cli.bench.imaging.memory import resident_mb
from rig.cli.bench.imaging.suite2p_side import beside_suite2p
from rig.cli.bench.imaging.trigger_path import TriggerPath, trigger_path
from rig.messages import CellSignals, Frame, Position, TrialStart

_SHAPE = (1500, 3000)
_PLANES = 2
_WINDOW_PX = 512
_RADIUS_PX = 3.8
_PERIOD_S = 1.0 / 3.0
_WARM = 10
_FRAMES_PER_TRIAL = 10
_BESIDE_CELLS = 2000


def measure(counts: list[int], volumes: int) -> Iterator[Row]:
    """Run volumes of each number of cells through all parts; yield the processor time of each."""
    gb_s = _bandwidth_gb_s()
    yield count("memory: copying 256 MB", gb_s, "GB/s")
    for cells in counts:
        for name, part in _measure(cells, volumes).items():
            yield row(f"{cells} cells: {name}", part.ms, "ms", note=_memory_share(part, gb_s))
    held_mb = resident_mb(max(counts))
    name = f"{max(counts)} cells: memory of the process"
    yield count(name, held_mb[0], "MB", note="after 1 trial")
    yield count(name, held_mb[-1], "MB", note=f"after {len(held_mb)} trials")
    yield from _registration_errors()


def compare() -> list[str]:
    """Return sentences on the times of Suite2p's own functions on the same pages."""
    rng = np.random.default_rng(3)
    pages = [_page(rng, number) for number in range(4)]
    return list(beside_suite2p(pages, _scattered(rng, _BESIDE_CELLS)))


@dataclass
class _Part:
    """The times of a part, ms, and the smallest number of bytes that it must read and write."""

    ms: list[float]
    bytes_moved: float


def _memory_share(part: _Part, gb_s: float) -> str:
    """Return the speed of a part as a percentage of the memory's speed."""
    if not part.bytes_moved:
        return ""
    share = part.bytes_moved / gb_s / 1e6 / np.median(part.ms)
    return f"{100 * share:.0f} % of memory speed"


def _bandwidth_gb_s() -> float:
    source = np.ones(2**28, np.uint8)
    target = np.zeros_like(source)
    best_ms = min(timed(lambda: np.copyto(target, source))[0] for _ in range(5))
    return 2 * source.nbytes / best_ms / 1e6


class _Chain:
    """All parts, with their pages and cells."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(1)
        self._half = count // _PLANES
        self._pages = [_page(rng, number) for number in range(4)]
        planes = [_scattered(rng, self._half) for _ in range(_PLANES)]
        self._masks = [Masks(cells, _SHAPE) for cells in planes]
        self._rings = [Neuropil(cells, _SHAPE) for cells in planes]
        self._whole, self._window = Correlator(_SHAPE, 20), Correlator(_SHAPE, 20, _WINDOW_PX)
        still = self._pages[0]
        self._references = {c: c.reference(c.window(still)) for c in (self._whole, self._window)}
        self._baseline, self._oasis = Baseline(count, 60.0, 10.0), Deconvolution(count, 0.75, 5)
        groups = rng.integers(0, 5, count).astype(np.uint8)
        self.signals: CellSignals
        """The signals of the last volume."""
        self._signals = RunningSignals(TaskSignals(contrasts=(("leaf1", "circle1"),)), groups, 0.3)
        page = _PLANES * still.nbytes
        weights = sum(int(cells.first[-1]) for cells in planes)
        self.bytes_moved = (
            page, _PLANES * 2.0 * _WINDOW_PX**2, page + 6.0 * weights, 2.0 * page + 40.0 * count,
            28.0 * count, 40.0 * count, 60.0 * count,
        )  # fmt: skip
        """Number of bytes that each part must move: pages, weights, and the state of each cell."""

    def step(self, at: int) -> list[float]:
        """Process a volume; return the time of each part, ms."""
        pages = [self._pages[(at + plane) % 4] for plane in range(_PLANES)]
        whole_ms, _ = timed(lambda: [self._locate(self._whole, page) for page in pages])
        window_ms, _ = timed(lambda: [self._locate(self._window, page) for page in pages])
        masks_ms, bright = timed(lambda: self._bright(pages))
        rings_ms, around = timed(lambda: self._around(pages))
        values = np.concatenate(bright) - np.float32(0.7) * np.concatenate(around)
        baseline_ms, _ = timed(lambda: self._baseline.subtract(values, at * _PERIOD_S))
        oasis_ms, final = timed(lambda: self._oasis.add(values, at * _PERIOD_S))
        activity = values if final is None else final
        signals_ms, self.signals = timed(lambda: _run_on(self._signals, at, activity))
        return [whole_ms, window_ms, masks_ms, rings_ms, baseline_ms, oasis_ms, signals_ms]

    def _bright(self, pages: list[NDArray[np.int16]]) -> list[Floats]:
        shifts = np.tile(np.array([1, -1], np.int32), (self._half, 1))
        return [m.means(page, shifts) for m, page in zip(self._masks, pages, strict=True)]

    def _around(self, pages: list[NDArray[np.int16]]) -> list[Floats]:
        return [r.means(page, (1, -1)) for r, page in zip(self._rings, pages, strict=True)]

    def _locate(self, correlator: Correlator, page: NDArray[Any]) -> Located:
        spectrum = correlator.spectrum(correlator.window(page))
        return correlator.locate(spectrum, self._references[correlator])


_PARTS = (
    "registration, whole page",
    f"registration, window of {_WINDOW_PX}",
    "masks",
    "neuropil",
    "baseline",
    "deconvolution",
    "selectivity and tuning",
)
_FIRST = "the same, first frame of a trial"
_ALL = ("all, registered by the whole page", "all, registered by the window")
_LINE = ("frame complete to trigger line, registered by the window", "signals to trigger line")


def _measure(count: int, volumes: int) -> dict[str, _Part]:
    """Process volumes as in a session; return the times of each part."""
    with trigger_path() as path:
        return _measured(_Chain(count), volumes, path)


def _measured(chain: _Chain, volumes: int, path: TriggerPath) -> dict[str, _Part]:
    pairs = zip(_PARTS, chain.bytes_moved, strict=True)
    parts = {name: _Part([], bytes_moved) for name, bytes_moved in pairs}
    parts.update({name: _Part([], 0.0) for name in (_FIRST, *_ALL, *_LINE)})
    for at in range(_WARM + volumes):
        spent = chain.step(at)
        if at < _WARM:
            continue
        for name, ms in zip(_PARTS, spent, strict=True):
            parts[name].ms.append(ms)
        if at % _FRAMES_PER_TRIAL == 0:
            parts[_FIRST].ms.append(spent[-1])
        parts[_ALL[0]].ms.append(spent[0] + sum(spent[2:]))
        parts[_ALL[1]].ms.append(sum(spent[1:]))
        line_ms = path.ms_to_line(chain.signals)
        parts[_LINE[0]].ms.append(sum(spent[1:]) + line_ms)
        parts[_LINE[1]].ms.append(line_ms)
    return parts


def _run_on(signals: RunningSignals, at: int, activity: Floats) -> CellSignals:
    """Process a moving frame; ten of them make a corridor, which is the highest load."""
    trial, frame = divmod(at, _FRAMES_PER_TRIAL)
    if frame == 0:
        name = "leaf1" if trial % 2 else "circle1"
        signals.handle_trial(TrialStart(0, trial, name, None, False, 4.0, 2.0, None, "none", 0.0))
    place = Position(0, trial, 0.6 * frame, 30.0, True, "corridor")
    messages = signals.add_frame(Frame(at, at, "", 0, *_SHAPE, 0.0), place, activity, at)
    return next(message for message in messages if isinstance(message, CellSignals))


def _page(rng: np.random.Generator, seed: int) -> NDArray[np.int16]:
    """Return a page of tissue with a few photons per pixel, moved by a few pixels."""
    still = 300.0 + 90.0 * _tissue()
    moved = np.roll(still, tuple(rng.integers(-6, 7, 2)), (0, 1)) if seed else still
    return np.asarray(60 * rng.poisson(np.maximum(moved, 0) / 60), np.int16)


def _tissue() -> NDArray[np.float64]:
    noise = np.random.default_rng(0).normal(size=_SHAPE).astype(np.float32)
    y, x = scipy.fft.fftfreq(_SHAPE[0])[:, None], scipy.fft.rfftfreq(_SHAPE[1])
    low = np.exp(-2 * (np.pi * 2.0) ** 2 * (y**2 + x**2)).astype(np.float32)
    smooth = scipy.fft.irfft2(scipy.fft.rfft2(noise) * low, s=_SHAPE)
    return np.asarray(smooth / smooth.std(), np.float64)


def _scattered(rng: np.random.Generator, count: int) -> Cells:
    height, width = _SHAPE
    soma = disc(0.0, 0.0, _RADIUS_PX)
    middles = np.stack([rng.integers(5, height - 5, count), rng.integers(5, width - 5, count)], 1)
    pixels = [soma + middle for middle in middles]
    weights = [rng.uniform(0.5, 1.0, len(soma)) for _ in pixels]
    return make_cells([str(number) for number in range(count)], pixels, weights)


def _registration_errors() -> Iterator[Row]:
    """Yield the error of each registration method, for known shifts of a page with few photons."""
    rng = np.random.default_rng(5)
    still = np.maximum(300.0 + 90.0 * _tissue(), 0)
    for name, correlator in (
        ("the whole page, binned 2 x 2", Correlator(_SHAPE, 20)),
        (f"a window of {_WINDOW_PX} px", Correlator(_SHAPE, 20, _WINDOW_PX)),
    ):
        reference = correlator.reference(correlator.window(still))
        off = []
        for _ in range(8):
            put = rng.integers(-12, 13, 2)
            page = (60 * rng.poisson(np.roll(still, put, (0, 1)) / 60)).astype(np.int16)
            spectrum = correlator.spectrum(correlator.window(page))
            off.append(np.array(correlator.locate(spectrum, reference)[:2]) - put)
        rms = float(np.sqrt(np.mean(np.square(off))))
        exact = int(sum((np.rint(one) == 0).all() for one in off))
        note = f"{exact} of 8 pages to the pixel"
        yield count(f"registered by {name}: rms error", rms, "px", note=note)
