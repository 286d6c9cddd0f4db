"""Compile all loops of the analysis before the first frame arrives."""

import msgspec
import numpy as np

from analysis.cells.model import disc, make_cells
from analysis.extraction.strip import PipelineSettings
from analysis.extraction.traces import Traces, TraceSettings
from analysis.extraction.volume import Volume
from analysis.registration.reference_images import ReferenceImages
from analysis.registration.rigid import MotionSettings
from analysis.signals.running_signals import RunningSignals
from analysis.signals.task_signals import TaskSignals
from rig.messages import Frame, Position, TrialStart


def compile_loops() -> None:
    """Run every compiled loop once on a tiny session, so that no frame waits for the compiler."""
    pixels = disc(8.0, 8.0, 2.0)
    cells = make_cells(["0"], [pixels], [np.ones(len(pixels))])
    position = Position(0, 0, 0.0, 0.0, True, "corridor")
    page = np.arange(256, dtype=np.int16).reshape(16, 16)
    task = TaskSignals(contrasts=(("a", "b"),))
    signals = RunningSignals(task, np.zeros(1, np.uint8), 0.3)
    signals.handle_trial(TrialStart(0, 0, "a", None, False, 1.0, 1.0, None, "none", 0.0))
    no_lag = TraceSettings(deconvolution_lag_frames=0)
    pipeline = PipelineSettings(no_lag, MotionSettings(), ReferenceImages())
    volume, traces = Volume(cells, (), (16, 16), pipeline), Traces(1, no_lag)
    for index in range(2):
        frame = Frame(0, index, "", 0, 16, 16, 0.0, pixels=page)
        values = volume.add_page(frame, float(index))
        activity = None if values is None else traces.add(values, float(index))
        if activity is not None:
            at = msgspec.structs.replace(position, position_m=0.5 * index)
            signals.add_frame(frame, at, activity, 0)
