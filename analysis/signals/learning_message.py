"""Put the result of a LearningJob into the message LearningSignals."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from analysis.signals.learning_job import Result
from analysis.signals.reward_prediction import fractions_by_area
from rig.messages import LearningSignals


def with_result(
    base: LearningSignals, t: int, result: Result, groups: NDArray[np.uint8]
) -> LearningSignals:
    """Return a message with the signals of all trials, published at t (ns).

    Args:
        base: The message with the signals that are computed without a job.
        t: Time of the message that completed the job.
        result: The signals.
        groups: Index of each cell's group in areas.NAMES: (cells,).
    """
    return msgspec.structs.replace(
        base,
        t=t,
        undefined=(*base.undefined, *result.undefined),
        late_early=_bytes(result.late_early),
        predicting=_bytes(fractions_by_area(result.predicts, groups)),
        folds=tuple(result.folds.tolist()),
        population=tuple(own.size for own in result.population),
        ramp_by_position=_bytes(result.by_position),
        ramp_from_cue=_bytes(result.from_cue),
        ramp_from_lick=_bytes(result.from_lick),
        ramp_by_lick=_bytes(result.by_lick),
        projections=_bytes(result.projections),
        stimuli=result.stimuli,
        similarity=_bytes(result.similarity),
        comparisons=result.comparisons,
        top=tuple(tuple(own.top.tolist()) for own in result.sets),
        bottom=tuple(tuple(own.bottom.tolist()) for own in result.sets),
        sequence=tuple(_bytes(np.array(by_area)) for by_area in result.sequence),
    )


def _bytes(values: NDArray[np.floating]) -> bytes:
    return values.astype("<f4").tobytes()
