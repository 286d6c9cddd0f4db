"""The simulated brain, and the page that a scan of one of its depths shows."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from acquisition.simulation.brain_motion import BrainMotion
from acquisition.simulation.optics import Optics
from acquisition.simulation.population import draw_cells
from acquisition.simulation.simulated_cells import read_cells
from acquisition.simulation.simulated_tuning import Calcium, SimulatedTuning
from acquisition.simulation.strip_layout import Floats, StripLayout
from acquisition.simulation.tissue import MARGIN_PX, grow
from acquisition.simulation.vessels import vessels
from rig.messages import Position

_LASTING = 0.6
"""Fraction of the light that does not bleach."""
_NEUROPIL_FOLLOWS = 0.5
"""Relative brightness of the neuropil per mean dF/F of the cells."""
_NEUROPIL_WANDERS = 0.04
"""Standard deviation of the neuropil's own fluctuations, relative to rest."""
_NEUROPIL_S = 4.0
"""Time constant of the neuropil's own fluctuations, seconds."""


class Brain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the brain that the microscope images."""

    seed: Annotated[int, msgspec.Meta(ge=0)] = 1
    """Random seed of the vessels, and of the cells unless they are in a file."""
    cells: Annotated[int, msgspec.Meta(ge=1, le=90_000)] = 60
    """Number of cells to draw, over all depths, if no file lists them."""
    radius_px: Annotated[float, msgspec.Meta(ge=1.5, le=30.0)] = 4.0
    """Mean radius of a cell, px; vessels and neuropil scale with it."""
    texture_m: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] = 4.0
    """Length of the texture, m; drawn cells prefer a place in it."""
    learned: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 1.0
    """How much the animal has learned: 0: naive, 1: trained. Set it for each session."""
    motion_px: Annotated[float, msgspec.Meta(ge=0.0, le=3.0)] = 0.3
    """Standard deviation of the rigid motion at rest, px; 2.5 times as much while running."""
    warp_px: Annotated[float, msgspec.Meta(ge=0.0, le=3.0)] = 0.5
    """Standard deviation of the slow non-rigid motion, px."""
    bleach_s: Annotated[float, msgspec.Meta(ge=1.0, le=1e6)] = 3600.0
    """Time constant of bleaching, s."""


@dataclass(frozen=True)
class Scanned:
    """One scan of a depth: its page, which is valid until the next scan, and its ground truth."""

    page: NDArray[np.int16]
    spikes: Floats
    moved_px: Floats
    light: float


class SimulatedBrain:
    """Cells, tissue and motion of all depths."""

    def __init__(
        self, brain: Brain, layout: StripLayout, depths: int, cells_file: Path | None
    ) -> None:
        """Create the brain. Raises Refused if the cells cannot be read or do not fit."""
        shadows = [vessels(layout, brain.radius_px, brain.seed, i) for i in range(depths)]
        self.cells = (
            read_cells(cells_file, layout, depths)
            if cells_file is not None
            else draw_cells(
                layout, shadows, brain.cells, brain.radius_px, brain.texture_m, brain.seed
            )
        )
        self._tissues = [
            grow(layout, self.cells, shadow, brain.radius_px, brain.seed, i)
            for i, shadow in enumerate(shadows)
        ]
        self.tuning = SimulatedTuning(self.cells, brain.learned)
        self._brain, self._layout = brain, layout
        self._optics = Optics(layout)
        y, x = self._optics.centres
        self._blocks = y / layout.field_shape[0], x / layout.field_shape[1]
        self.blocks_px = layout.to_page(y, x)
        """The centre of each block that moves as a whole, in page rows and columns."""
        self.begin(0)

    def begin(self, seed: int) -> None:
        """Start a session with a random seed, without calcium and motion."""
        self._spikes, wander = (np.random.default_rng([seed, self._brain.seed, i]) for i in (0, 1))
        self._optics.rng = np.random.Generator(np.random.SFC64([seed, self._brain.seed]))
        self._motion = BrainMotion(self._brain.motion_px, self._brain.warp_px, wander)
        depths = range(len(self._tissues))
        self._planes = [_Plane(np.flatnonzero(self.cells.plane == i)) for i in depths]
        self._neuropil = _Neuropil(self._layout.field_shape[1] + 2 * MARGIN_PX, wander)

    @property
    def depths(self) -> int:
        """Number of depths."""
        return len(self._tissues)

    def scan(
        self,
        plane: int,
        position: Position | None,
        age_s: float,
        since_page_s: float,
        since_plane_s: float,
    ) -> Scanned:
        """Scan a depth.

        Args:
            plane: Index of the depth.
            position: Position of the animal; None if it is not known.
            age_s: Time since the light was switched on.
            since_page_s: Time since the last page of any depth.
            since_plane_s: Time since the last page of this depth.
        """
        here = self._planes[plane]
        rates_hz = self.tuning.rates_hz(position)[here.cells]
        spikes = self._spikes.poisson(rates_hz * since_plane_s).astype(np.float64)
        calcium = here.calcium.step(spikes, since_plane_s)
        self._motion.step(since_page_s, position is not None and position.moving)
        neuropil = self._neuropil.step(since_page_s, float(calcium.mean()) if calcium.size else 0.0)
        moved_px = self._motion.at(*self._blocks)
        light = _LASTING + (1.0 - _LASTING) * math.exp(-age_s / self._brain.bleach_s)
        everywhere, fired = np.zeros(len(self.cells)), np.zeros(len(self.cells))
        everywhere[here.cells], fired[here.cells] = calcium, spikes
        page = self._optics.page(self._tissues[plane], everywhere, neuropil, light, moved_px)
        return Scanned(page, fired, moved_px, light)


class _Plane:
    """The cells of one depth, and their calcium at its last scan."""

    def __init__(self, cells: NDArray[np.intp]) -> None:
        self.cells = cells
        self.calcium = Calcium(cells.size)


class _Neuropil:
    """Brightness of the neuropil: follows the mean activity of the cells, and fluctuates."""

    def __init__(self, columns: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self._wave = np.cos(np.linspace(0.0, 3.0 * math.pi, columns) + rng.uniform(0.0, 6.0))
        self._state = np.zeros(2)

    def step(self, passed_s: float, activity: float) -> Floats:
        """Return the brightness of each column of the field, relative to rest: (columns,)."""
        kept = math.exp(-passed_s / _NEUROPIL_S)
        kick = self._rng.normal(0.0, _NEUROPIL_WANDERS * math.sqrt(1.0 - kept**2), 2)
        self._state = self._state * kept + kick
        even = _NEUROPIL_FOLLOWS * activity + self._state[0]
        return np.asarray(np.maximum(even + self._state[1] * self._wave, -0.5))
