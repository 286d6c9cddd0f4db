"""Draw a simulated field at rest: neuropil, vessels, and somata with dark nuclei."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.simulation.simulated_cells import SimulatedCells
from acquisition.simulation.strip_layout import Floats, StripLayout

MARGIN_PX = 10
"""Number of pixels drawn beyond each edge of the field, so that the brain can move."""

_NEUROPIL_PHOTONS = 1.3
"""Expected photons of a pixel of neuropil at the first depth."""
_SOMA_PHOTONS = 1.6
"""Expected photons that a soma at rest adds."""
_FAINTEST = 0.03
"""Smallest brightness of a soma that is drawn, as a fraction of its maximum."""
_CHUNK = 4096
"""Number of cells drawn at once; this limits the memory."""
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Tissue:
    """One depth: expected photons = dark + glow * (1 + calcium of the cell at `label`).

    All arrays cover the field and a margin around it. `label` is the index of the cell at each
    pixel, or the number of cells where there is no cell.
    """

    dark: Image
    glow: Image
    label: NDArray[np.intp]


def grow(
    layout: StripLayout,
    cells: SimulatedCells,
    shadow: Floats,
    radius_px: float,
    seed: int,
    plane: int,
) -> Tissue:
    """Draw the depth `plane` of a field: its cells and neuropil, darkened by vessels."""
    rng = np.random.default_rng([seed, plane, 3])
    height, width = layout.field_shape
    shape = height + 2 * MARGIN_PX, width + 2 * MARGIN_PX
    shadow = np.pad(shadow, MARGIN_PX, mode="reflect")
    grain = radius_px / 4.0
    texture = 0.30 * smooth(shape, 0.9 * grain, rng) + 0.22 * smooth(shape, 3.0 * grain, rng)
    texture += 0.20 * smooth(shape, 25.0 * grain, rng)
    depth = 0.85**plane
    dark = _NEUROPIL_PHOTONS * depth * np.exp(texture) * (1.0 - 0.85 * shadow)
    glow, label = _somata(layout, cells, plane, shape, rng)
    glow *= depth * _SOMA_PHOTONS * (1.0 - 0.6 * shadow)
    # A soma displaces neuropil; some neuropil remains above and below it.
    body = glow > 0.0
    dark[body] *= 0.55
    return Tissue(dark.astype(np.float32), glow.astype(np.float32), label)


def _somata(
    layout: StripLayout,
    cells: SimulatedCells,
    plane: int,
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[Floats, NDArray[np.intp]]:
    """Draw every cell as an uneven ring around its nucleus; the brighter of two cells is on top."""
    here = np.flatnonzero(cells.plane == plane)
    brightness = rng.lognormal(0.0, 0.45, here.size)
    waves = rng.normal(0.0, (0.10, 0.10, 0.05, 0.05), (here.size, 4))
    hole = rng.uniform(0.25, 0.75, here.size)
    glow, label = np.zeros(shape), np.full(shape, len(cells), np.intp)
    y, x = layout.to_field(cells.y_px[here], cells.x_px[here])
    y, x = y + MARGIN_PX, x + MARGIN_PX
    reach = int(np.ceil(cells.radius_px.max(initial=1.0) * 1.4)) + 2
    dy, dx = (grid.ravel() for grid in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    for first in range(0, here.size, _CHUNK):
        some = slice(first, first + _CHUNK)
        rows = np.rint(y[some]).astype(np.intp)[:, None] + dy
        columns = np.rint(x[some]).astype(np.intp)[:, None] + dx
        radius = cells.radius_px[here[some]][:, None]
        away_y, away_x = rows - y[some][:, None], columns - x[some][:, None]
        value = brightness[some][:, None] * _soma(
            away_y, away_x, radius, waves[some], hole[some][:, None]
        )
        inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        which = inside & (value > _FAINTEST)
        owner = np.broadcast_to(here[some][:, None], value.shape)[which]
        _paint(glow, label, rows[which] * shape[1] + columns[which], value[which], owner)
    return glow, label


def _soma(away_y: Floats, away_x: Floats, radius: Floats, waves: Floats, hole: Floats) -> Floats:
    """Return the brightness (0-1) at offsets from the centres of cells, one row per cell."""
    away = np.hypot(away_y, away_x)
    angle = np.arctan2(away_y, away_x)
    a, b, c, d = (wave[:, None] for wave in waves.T)
    outline = 1.0 + a * np.cos(2 * angle) + b * np.sin(2 * angle)
    outline += c * np.cos(3 * angle) + d * np.sin(3 * angle)
    edge = radius * outline
    disc = 1.0 / (1.0 + np.exp(np.clip((away - edge) / 0.45, -30.0, 30.0)))
    nucleus = np.exp(-((away / (0.55 * radius)) ** 2))
    return np.asarray(disc * (1.0 - hole * nucleus))


def _paint(
    glow: Floats, label: NDArray[np.intp], at: NDArray[np.intp], value: Floats, owner: Floats
) -> None:
    order = np.argsort(value, kind="stable")  # NumPy keeps the last of several values at a pixel
    at, value, owner = at[order], value[order], owner[order]
    flat_glow, flat_label = glow.reshape(-1), label.reshape(-1)
    wins = value > flat_glow[at]
    flat_glow[at[wins]] = value[wins]
    flat_label[at[wins]] = owner[wins]


def smooth(shape: tuple[int, int], sd_px: float, rng: np.random.Generator) -> Floats:
    """Return noise smoothed by a Gaussian of sd_px, with mean 0 and standard deviation 1."""
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    lowpass = np.exp(-2.0 * (np.pi * sd_px) ** 2 * (fy**2 + fx**2))
    lowpass[0, 0] = 0.0
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=shape)) * lowpass, s=shape)
    return np.asarray(noise / noise.std())
