"""Compute the cells' signals that the live page shows, from the messages of the analysis."""

import warnings
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rig.messages import CellSignals, LearningSignals

Row = dict[str, Any]
LATENCIES = 500
"""Number of the newest latencies from which percentiles are computed."""
_MOTION_FRAMES = 300
_BINS, _BINS_FROM_BEFORE = 60, 70
"""Number of 10 cm bins of a corridor, and of a corridor with the metre before it."""
_AREAS = 4
_D_PRIME_EDGES = np.linspace(-2.0, 2.0, 41)
"""Edges of the histogram of d'; values outside are counted in the outermost bins."""


class SignalState:
    """The newest signals of the cells, and those of the current trial."""

    def __init__(self) -> None:
        self.frames = 0
        """Number of frames with signals."""
        self.latency_ms: deque[float] = deque(maxlen=LATENCIES)
        """Times from a frame to its final signals."""
        self.d_prime: NDArray[np.float32] = np.empty(0, np.float32)
        """d' of each cell in the first contrast of the task: (cells,)."""
        self._motion: deque[tuple[int, float, float, float | None]] = deque(maxlen=_MOTION_FRAMES)
        """Frame, shift down and right (px), and drift of the focus (um); means of all strips."""
        self._current: tuple[int, dict[int, list[float | None]]] = (-1, {})
        """Projections of the current trial: its index among the completed, and values by bin."""
        self._current_ramp: tuple[int, list[tuple[float, float]]] = (-1, [])
        """Reward prediction of the current trial: its number, and position (m) and population
        signal of each frame in which the corridor moved."""
        self.selective: float | None = None
        """Fraction of selective cells."""
        self.undefined = ""
        """Why signals are undefined; empty if they are defined."""
        self._fractions: list[float | None] = []
        self._learning: Row = {"predicting": [], "ramp": {}, "projections": [], "similarity": {}}

    def add(self, signals: CellSignals, sent: int) -> None:
        """Add the signals of a frame.

        Args:
            signals: The signals.
            sent: When they were sent, ns of the session clock.
        """
        self.frames += 1
        self.latency_ms.append((sent - signals.t) / 1e6)
        if signals.fractions:
            values = np.frombuffer(signals.fractions, "<f4")
            self._fractions = [float(v) if np.isfinite(v) else None for v in values]
        self.selective, self.undefined = signals.selective_fraction, signals.undefined
        if signals.motion:
            down, right, _ = np.mean(signals.motion, axis=0)
            z_um = round(float(np.mean(signals.z_um)), 2) if signals.z_um else None
            self._motion.append(
                (signals.frame, round(float(down), 2), round(float(right), 2), z_um)
            )
        self._project(signals)
        if signals.ramp is not None and signals.moving and signals.trial >= 0:
            if signals.trial != self._current_ramp[0]:
                self._current_ramp = (signals.trial, [])
            point = (round(signals.position_m, 3), round(signals.ramp, 3))
            self._current_ramp[1].append(point)

    def learn(self, signals: LearningSignals, done: list[str]) -> None:
        """Store the signals after a trial; d' is that of the task's first contrast.

        Args:
            signals: The signals.
            done: The stimulus of each completed trial.
        """
        every = np.frombuffer(signals.d_prime, "<f4")
        self.d_prime = every[: every.size // max(1, len(signals.contrasts))]
        self._learning = {
            "predicting": _listed(np.frombuffer(signals.predicting, "<f4")),
            "ramp": _by_stimulus(np.frombuffer(signals.ramp_by_position, "<f4"), done, _BINS),
            "projections": _projections(signals, done),
            "similarity": _similarity(signals),
        }

    def row(self) -> Row:
        """Return the histogram of d', the fractions by area and the motion, for slow charts."""
        defined = self.d_prime[np.isfinite(self.d_prime)]
        clipped = np.clip(defined, _D_PRIME_EDGES[0], _D_PRIME_EDGES[-1])
        counts, _ = np.histogram(clipped, _D_PRIME_EDGES)
        return {
            "d_prime_edges": _D_PRIME_EDGES.tolist(),
            "d_prime_counts": counts.tolist(),
            "cells": int(self.d_prime.size),
            "defined": int(defined.size),
            "fractions": self._fractions,
            "motion": [list(point) for point in self._motion],
            "current": [[bin_, *areas] for bin_, areas in sorted(self._current[1].items())],
            "current_ramp": [list(point) for point in self._current_ramp[1]],
            **self._learning,
        }

    def _project(self, signals: CellSignals) -> None:
        """Add the projections of the current trial, at the positions that are known now."""
        if not signals.projection:
            return
        values = np.frombuffer(signals.projection, "<f4").reshape(len(signals.tuned), -1, _AREAS)
        for point, areas in zip(signals.tuned, values[:, 0], strict=True):
            index, bin_ = divmod(point, _BINS)
            if index != self._current[0]:
                self._current = (index, {})
            self._current[1][bin_] = _listed(areas)


def _projections(signals: LearningSignals, done: list[str]) -> list[Row]:
    """Return, for each area, the mean projection of the first contrast by stimulus."""
    values = np.frombuffer(signals.projections, "<f4")
    first = values[: values.size // max(1, len(signals.contrasts))]
    areas = first.reshape(_AREAS, -1) if first.size else np.empty((0, 0), np.float32)
    return [_by_stimulus(area, done, _BINS_FROM_BEFORE) for area in areas]


def _similarity(signals: LearningSignals) -> dict[str, list[float | None]]:
    """Return the signed similarity index of each stimulus in each area."""
    values = np.frombuffer(signals.similarity, "<f4")
    first = values[: values.size // max(1, len(signals.contrasts))]
    if not first.size:
        return {}
    table = first.reshape(_AREAS, len(signals.stimuli), 2)[:, :, 0]
    return {name: _listed(table[:, n]) for n, name in enumerate(signals.stimuli)}


def _by_stimulus(values: NDArray[np.float32], done: list[str], bins: int) -> Row:
    """Return the mean of each stimulus's completed trials, and the values of the last trial.

    Args:
        values: One row per completed trial, (trials * bins,).
        done: The stimulus of each completed trial.
        bins: Number of positions.
    """
    rows = values.reshape(-1, bins)
    if not len(rows) or len(rows) > len(done):
        return {}
    names = np.array(done[: len(rows)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a bin without values is NaN
        means = {n: _listed(np.nanmean(rows[names == n], axis=0)) for n in np.unique(names)}
    return {"means": means, "last": _listed(rows[-1]), "last_stimulus": str(names[-1])}


def _listed(values: NDArray[Any]) -> list[float | None]:
    return [round(float(v), 3) if np.isfinite(v) else None for v in values]
