"""The simulated cells: where they lie, what they answer to, and how they look under light."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.refused import Refused

Floats = NDArray[np.float64]

_SPONTANEOUS_HZ = 0.2
_PREFERRED_HZ = 6.0
_UNTUNED_SHARE = 0.4
"""The part of a preferred answer that is the same all along the corridor."""
_TUNING_SD_M = 0.9
_CALCIUM_A_SPIKE = 0.25

_NEUROPIL_PHOTONS = 2.0
_CELL_PHOTONS = 2.5
_COUNTS_A_PHOTON = 60.0
_READ_NOISE_COUNTS = 12.0
_INT16_MAX = 32767


class Cell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the cells' file."""

    cell: Annotated[int, msgspec.Meta(ge=0)]
    y_px: float
    x_px: float
    radius_px: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)]
    prefers: Literal["leaf1", "circle1", "both", "none"]
    place_m: Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)]
    """Where in the corridor it answers most."""


def read_cells(path: Path, shape: tuple[int, int]) -> list[Cell]:
    """Read the cells of a field of shape (height_px, width_px). Raises Refused."""
    columns = list(Cell.__struct_fields__)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refused(f"cells file {path} cannot be read ({error}); check cells_file") from error
    if not rows or list(rows[0]) != columns:
        raise Refused(f"cells file {path} needs rows under the columns {','.join(columns)}")
    cells: dict[int, Cell] = {}
    for line, row in enumerate(rows, start=2):
        try:
            cell = msgspec.convert(row, Cell, strict=False)
        except msgspec.ValidationError as error:
            raise Refused(f"cells file {path}, line {line}: {error}; correct that row") from error
        wrong = _wrong(cell, shape)
        if cell.cell in cells:
            wrong = f"is a second cell {cell.cell}"
        if wrong is not None:
            raise Refused(f"cells file {path}, line {line}: {wrong}; correct that row")
        cells[cell.cell] = cell
    return list(cells.values())


def _wrong(cell: Cell, shape: tuple[int, int]) -> str | None:
    if not math.isfinite(cell.y_px + cell.x_px + cell.radius_px + cell.place_m):
        return "all numbers must be finite"
    if not (0 <= cell.y_px < shape[0] and 0 <= cell.x_px < shape[1]):
        return f"cell {cell.cell} lies outside the field of {shape[0]} x {shape[1]} px"
    return None


def rates_hz(cells: Sequence[Cell], stimulus: str | None, place_m: float | None) -> Floats:
    """Return each cell's rate where the animal runs, or at rest and in grey (place_m None)."""
    if stimulus is None or place_m is None:
        return np.full(len(cells), _SPONTANEOUS_HZ)
    prefers = np.array([c.prefers in (stimulus, "both") for c in cells])
    away_m = np.array([c.place_m for c in cells]) - place_m
    tuned = np.exp(-0.5 * (away_m / _TUNING_SD_M) ** 2)
    answer = _UNTUNED_SHARE + (1.0 - _UNTUNED_SHARE) * tuned
    return _SPONTANEOUS_HZ + _PREFERRED_HZ * prefers * answer


def next_calcium(
    calcium: Floats, rate_hz: Floats, period_s: float, decay_s: float, rng: np.random.Generator
) -> Floats:
    """Return the calcium of each cell a frame later: it decays, and each spike adds to it."""
    spikes = rng.poisson(rate_hz * period_s)
    return np.asarray(calcium * np.exp(-period_s / decay_s) + _CALCIUM_A_SPIKE * spikes)


class Field:
    """The cells and the neuropil between them, as the microscope sees them."""

    def __init__(self, cells: Sequence[Cell], shape: tuple[int, int], seed: int) -> None:
        """Lay out a field of shape (height_px, width_px)."""
        rng = np.random.default_rng(seed)
        self._dark = _neuropil(shape, rng)
        self._spots = []
        for cell in cells:
            window, glow = _spot(cell, shape)
            self._dark[window] *= 1.0 - 0.6 * glow
            self._spots.append((window, glow * _CELL_PHOTONS * rng.lognormal(0.0, 0.3)))

    def picture(self, calcium: Floats, rng: np.random.Generator) -> NDArray[np.int16]:
        """Return one noisy frame, height x width, of cells with that calcium."""
        photons = self._dark.copy()
        for (window, glow), level in zip(self._spots, calcium, strict=True):
            photons[window] += glow * (1.0 + level)
        counts = _COUNTS_A_PHOTON * rng.poisson(photons)
        counts += rng.normal(0.0, _READ_NOISE_COUNTS, photons.shape)
        return np.asarray(np.clip(np.rint(counts), -_INT16_MAX, _INT16_MAX), np.int16)


def _spot(cell: Cell, shape: tuple[int, int]) -> tuple[tuple[slice, slice], Floats]:
    """Return where a cell shows, and its brightness there (0-1): a disc with a dim nucleus."""
    reach = int(np.ceil(cell.radius_px)) + 3
    top, left = max(0, int(cell.y_px) - reach), max(0, int(cell.x_px) - reach)
    bottom = min(shape[0], int(cell.y_px) + reach + 1)
    right = min(shape[1], int(cell.x_px) + reach + 1)
    y, x = np.mgrid[top:bottom, left:right]
    away_px = np.hypot(y - cell.y_px, x - cell.x_px)
    disc = 1.0 / (1.0 + np.exp((away_px - cell.radius_px) / 0.4))
    nucleus = np.exp(-((away_px / (0.5 * cell.radius_px)) ** 2))
    return (slice(top, bottom), slice(left, right)), disc * (1.0 - 0.5 * nucleus)


def _neuropil(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Return the resting photons a pixel: a felt of processes, crossed by dark vessels."""
    felt = 1.0 + 0.18 * _smooth(shape, 1.5, rng) + 0.15 * _smooth(shape, 12.0, rng)
    vessels = 1.0 - 0.7 * np.exp(-((_smooth(shape, 25.0, rng) / 0.06) ** 2))
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    vignette = 1.0 - 0.25 * (x**2 + y**2) / 2.0
    return np.asarray(_NEUROPIL_PHOTONS * np.clip(felt, 0.2, None) * vessels * vignette)


def _smooth(shape: tuple[int, int], sd_px: float, rng: np.random.Generator) -> Floats:
    """Return noise smoothed over sd_px, of mean 0 and standard deviation 1."""
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    lowpass = np.exp(-2.0 * (np.pi * sd_px) ** 2 * (fy**2 + fx**2))
    lowpass[0, 0] = 0.0
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=shape)) * lowpass, s=shape)
    return np.asarray(noise / noise.std())
