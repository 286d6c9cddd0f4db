"""Measure the computations after a trial in the largest session, for rig bench analysis."""

import multiprocessing
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from analysis.signals.learning import Learning
from analysis.signals.learning_job import Result
from analysis.signals.learning_message import with_result
from analysis.signals.scratch import ScratchRows
from analysis.signals.task_signals import TaskSignals
from analysis.signals.trial_records import TrialRecord
from analysis.signals.tuning import Tuning
from rig.cli.bench.harness import Row, count, row, timed
from rig.cli.bench.imaging.memory import resident_mb_now
from rig.clock import SetClock
from rig.messages import LearningSignals
from rig.transport.envelope import Sender, pack

_PERIOD_MS = 1000.0 / 3.0
"""Time between two volumes, ms."""
_STIMULI = ("leaf1", "circle1", "leaf2")
_TASK = TaskSignals(
    contrasts=(("leaf1", "circle1"), ("leaf2", "circle1"), ("leaf1", "leaf2")),
    reference=("leaf1", "circle1"),
    rewarded="leaf1",
)
_SHARES = (0.02, 0.38, 0.2, 0.15, 0.25)
"""Fractions of the cells in no area, V1, medial, lateral and anterior areas."""
_PLACES = (0.02, 0.3, 0.6, 0.75, 0.98)
"""Positions of the moving frames of a trial, as fractions of the corridor."""
_MEASURED = 3
"""Number of trials after which the computations are measured."""


def measure_trial_end(cells: int, trials: int) -> list[Row]:
    """Return the CPU time per frame after a trial, the number of frames, and the memory.

    They are measured in a separate process, which computes only these signals.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    child = spawn.Process(target=_run, args=(cells, trials, theirs))
    child.start()
    theirs.close()
    rows: list[Row] = ours.recv()
    child.join()
    return rows


def _run(cells: int, trials: int, answer: Connection) -> None:
    answer.send(list(_measure(cells, trials)))


def _measure(cells: int, trials: int) -> Iterator[Row]:
    rng = np.random.default_rng(1)
    groups = rng.choice(len(_SHARES), cells, p=_SHARES).astype(np.uint8)
    pool = [rng.exponential(1, cells).astype(np.float32) for _ in range(8)]
    name = f"{cells} cells, {trials} trials"
    with closing(ScratchRows(None, cells)) as rows, closing(ScratchRows(None, cells)) as remainders:
        tuning = Tuning(cells, rows, _ignore, remainders)
        learning = Learning(_TASK, groups, tuning, rows, 0)
        measured_from = max(0, trials - _MEASURED)
        for trial in range(measured_from):
            learning.add_trial(_run_trial(learning, tuning, trial, pool))
            learning.commit()
        frames_ms: list[float] = []
        steps: list[int] = []
        log_mb = 0.0
        for trial in range(measured_from, trials):
            record = _run_trial(learning, tuning, trial, pool)
            taken, result = _frames_of_job(learning, record, pool[0].astype(np.float64))
            frames_ms += taken
            steps.append(len(taken))
            log_mb = _log_mb(result, groups, trial)
        held_mb = resident_mb_now()
        learning.close()
    under = {"max": _PERIOD_MS}
    yield row(f"{name}: work after a trial, each frame", frames_ms, "ms", under)
    yield count(f"{name}: frames until it is published", max(steps), "frames", most=30)
    yield count(f"{name}: memory of the process", held_mb, "MB", most=2000)
    yield count(f"{name}: message after the last trial", log_mb, "MB")


def _run_trial(
    learning: Learning, tuning: Tuning, trial: int, pool: list[NDArray[np.float32]]
) -> TrialRecord:
    """Run a trial of a few frames."""
    stimulus = _STIMULI[(trial * 7 // 3) % len(_STIMULI)]
    tuning.start_trial(trial)
    t = trial * 10_000_000_000
    for number, place in enumerate(_PLACES):
        activity = pool[(trial + number) % len(pool)]
        learning.add_moving_frame(trial, trial, stimulus, place < 0.66, activity)
        tuning.add_frame(trial, place, activity)
        learning.add_frame(activity, t + number * 2_000_000_000)
    cue_m = 0.5 + 3.0 * ((trial * 0.618) % 1.0)
    return TrialRecord(trial, stimulus, t + 4e9, cue_m, t + 5e9, True, trial % 2 == 0)


def _frames_of_job(
    learning: Learning, record: TrialRecord, d_prime: NDArray[np.float64]
) -> tuple[list[float], Result]:
    """Return the CPU time (ms) of each frame in the computations after a trial, and the result."""
    begin_ms, _ = timed(lambda: learning.end_trial(record, d_prime))
    taken: list[float] = []
    result = None
    while result is None:
        step_ms, result = timed(learning.step)
        taken.append(step_ms)
    taken[0] += begin_ms
    return taken, result


def _log_mb(result: Result, groups: NDArray[np.uint8], trial: int) -> float:
    """Return the size (MB) of the message with these signals, before the log compresses it."""
    d_prime = np.zeros((len(_TASK.contrasts), groups.size), "<f4").tobytes()
    base = LearningSignals(0, trial, trial + 1, False, _TASK.contrasts, d_prime, b"", (), ())
    envelope = Sender("online", SetClock()).wrap(with_result(base, 0, result, groups))
    return len(pack(envelope)) / 1e6


def _ignore(point: int, values: NDArray[np.float32]) -> None:
    """Ignore a grid point."""
