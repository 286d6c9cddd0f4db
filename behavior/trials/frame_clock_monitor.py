"""Start and stop the microscope, and monitor its frame clock."""

from collections import deque
from itertools import pairwise
from statistics import median
from typing import Annotated

from msgspec import Meta, Struct

from rig.errors import Refused
from rig.messages import Acquire, Edge, Fault
from rig.node import Publish

_MEDIAN_OF = 10
"""Number of intervals whose median is the frame period; a median ignores a lost or doubled edge."""
_MIN_EDGES = 4
"""Smallest number of edges for an estimate of the frame period."""
_DEFAULT_STOP_NS = 1_000_000_000
"""Silence after which scanning has stopped if the frame period is not known, ns."""
_STOPPED_PERIODS = 3.0
"""Silence after which scanning has stopped, in frame periods."""
_STOP_TIMEOUT_NS = 5_000_000_000
"""Longest time for which the microscope may continue to scan after its stop, ns."""


class ImagingSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [nodes.task.imaging] of a setup: how the task works with the microscope."""

    line: Annotated[str, Meta(min_length=1)]
    """The input line of the microscope's frame clock."""
    first_frame_s: Annotated[float, Meta(gt=0, le=600)] = 10.0
    """Longest time from the start of the acquisition to its first frame, s."""
    grey_frames: Annotated[int, Meta(ge=1, le=1000)] = 15
    """Smallest number of frames in grey before the first trial, and after the last trial."""
    silent_periods: Annotated[float, Meta(ge=2, le=100)] = 3.0
    """Number of frame periods without an edge after which the frame clock counts as silent."""


class FrameClockMonitor:
    """The count of frames, and the report of a silent frame clock.

    All times are ns of the session clock. With imaging = None there is no microscope, and no method
    waits for frames.
    """

    def __init__(self, imaging: ImagingSettings | None, publish: Publish) -> None:
        self._imaging, self._publish = imaging, publish
        self._edges: deque[int] = deque(maxlen=_MEDIAN_OF + 1)
        self._period_ns = 0.0
        self._frames = 0
        self._frames_at_grey = 0
        self._frames_at_resume = 0
        self._deadline = 0
        """Time before which silence is not reported, because the microscope is starting."""
        self._stop_t: int | None = None
        self.is_silent = False

    def start(self, t: int) -> None:
        """Start the microscope at t."""
        if self._imaging is not None:
            self.resume(t)
            self._publish(Acquire(t, on=True))

    def resume(self, t: int) -> None:
        """Watch again from t on; the next trial waits for a frame, for up to first_frame_s."""
        if self._imaging is not None:
            self._frames_at_resume = self._frames
            self._deadline = t + round(self._imaging.first_frame_s * 1e9)
            self._edges.clear()
            self.is_silent = False

    def count_edge(self, edge: Edge) -> None:
        """Count a rising edge of the frame clock; other edges are ignored."""
        if self._imaging is None or not edge.up or edge.line != self._imaging.line:
            return
        self._frames += 1
        self._edges.append(edge.t)
        if len(self._edges) >= _MIN_EDGES:
            self._period_ns = median(b - a for a, b in pairwise(self._edges))

    def start_grey(self) -> None:
        """Start to count the frames of the last grey."""
        self._frames_at_grey = self._frames

    @property
    def has_grey_frames(self) -> bool:
        """True if there were enough frames since start_grey, or since the start of the session."""
        if self._imaging is None:
            return True
        return self._frames - self._frames_at_grey >= self._imaging.grey_frames

    def is_grey_over(self, elapsed_ns: int, duration_s: float) -> bool:
        """Return True if the grey before a trial was long enough and has enough frames."""
        scans = self._imaging is None or self._frames > self._frames_at_resume
        return scans and self.has_grey_frames and elapsed_ns >= duration_s * 1e9

    def watch(self, t: int) -> None:
        """Publish one Fault when the clock becomes silent. Raises Refused if it never started."""
        if self._imaging is None or self.is_silent or self._stop_t is not None:
            return
        silent_ns = self._silent_ns(t)
        if silent_ns and not self._frames:
            raise Refused(
                f"the microscope did not start to scan: no edge on {self._imaging.line} within "
                f"{self._imaging.first_frame_s:g} s; arm its acquisition with the external start "
                "trigger, check that line, and start the session again"
            )
        self.is_silent = silent_ns > 0
        if self.is_silent:
            text = (
                f"the frame clock is silent for {silent_ns / 1e9:.1f} s: the session pauses at the "
                "next grey; resume when the microscope scans again, or stop"
            )
            self._publish(Fault(t, text))

    def stop(self, t: int) -> bool:
        """Stop the microscope once it has enough grey frames; return True once it has stopped."""
        if self._imaging is None:
            return True
        if self._stop_t is None:
            if self.has_grey_frames or self.is_silent:
                self._stop_t = t
                self._publish(Acquire(t, on=False))
            return False
        if t - self._stop_t > _STOP_TIMEOUT_NS:
            text = "the microscope still scans after its stop; stop it by hand"
            self._publish(Fault(t, text))
            return True
        quiet_ns = t - max([self._stop_t, *self._edges])
        return quiet_ns > (_STOPPED_PERIODS * self._period_ns or _DEFAULT_STOP_NS)

    def _silent_ns(self, t: int) -> int:
        """Return for how long the clock has been silent at t; 0 if it is not silent."""
        if self._imaging is None or len(self._edges) < _MIN_EDGES:
            return max(0, t - self._deadline)
        silent_ns = t - self._edges[-1]
        return silent_ns if silent_ns > self._imaging.silent_periods * self._period_ns else 0
