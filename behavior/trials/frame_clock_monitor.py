"""What the task knows of the microscope by its frame clock: it starts, watches and stops it."""

from collections import deque
from itertools import pairwise
from statistics import median
from typing import Annotated

from msgspec import Meta, Struct

from rig.errors import Refused
from rig.messages import Acquire, Edge, Fault
from rig.node import Publish

_RECENT = 10
"""The time between frames is the median of so many: a lost or doubled edge does not change it."""
_AT_LEAST = 4
"""Of fewer edges nobody knows how often they come."""
_UNKNOWN_NS = 1_000_000_000
_CEASED = 3.0
"""Once stopped, it has ceased if no edge came for so many times the time between frames."""
_CEASES_NS = 5_000_000_000
"""After its stop the microscope may go on for so long before somebody must look at it."""


class Imaging(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the microscope takes part in a session."""

    line: Annotated[str, Meta(min_length=1)]
    """The input line of its frame clock."""
    first_frame_s: Annotated[float, Meta(gt=0, le=600)] = 10.0
    """From its start it has so long until its first frame."""
    grey_frames: Annotated[int, Meta(ge=1, le=1000)] = 15
    """So many frames are scanned in grey before the first trial, and after the last one."""
    silent_periods: Annotated[float, Meta(ge=2, le=100)] = 3.0
    """A frame clock without an edge for so many times the time between frames is silent."""


class Microscope:
    """Counts its frames, and says when they fail to come. Times are ns of the session clock.

    Without a table (None) there is no microscope, and nothing is waited for.
    """

    def __init__(self, imaging: Imaging | None, publish: Publish) -> None:
        self._imaging, self._say = imaging, publish
        self._times: deque[int] = deque(maxlen=_RECENT + 1)
        self._between_ns = 0.0
        self._frames = self._mark = self._resumed = 0
        self._due = 0
        """Before then no silence is held against it."""
        self._stop_t: int | None = None
        self.is_silent = False

    def start(self, t: int) -> None:
        """Have it scan from t on."""
        if self._imaging is not None:
            self.resume(t)
            self._say(Acquire(t, on=True))

    def resume(self, t: int) -> None:
        """The operator has seen to it: it has time until its next frame, which trials wait for."""
        if self._imaging is not None:
            self._resumed = self._frames
            self._due = t + round(self._imaging.first_frame_s * 1e9)
            self._times.clear()
            self.is_silent = False

    def edge(self, edge: Edge) -> None:
        """Take a change of an input line."""
        if self._imaging is None or not edge.up or edge.line != self._imaging.line:
            return
        self._frames += 1
        self._times.append(edge.t)
        if len(self._times) >= _AT_LEAST:
            gaps = [b - a for a, b in pairwise(self._times)]
            self._between_ns = median(gaps)

    def mark(self) -> None:
        """Count the frames of grey from here."""
        self._mark = self._frames

    @property
    def grey_is_enough(self) -> bool:
        """Whether enough frames have begun since the mark."""
        return self._imaging is None or self._frames - self._mark >= self._imaging.grey_frames

    def grey_is_over(self, passed_ns: int, lasts_s: float) -> bool:
        """Whether the grey before a trial was long enough, and has enough frames."""
        scans = self._imaging is None or self._frames > self._resumed
        return scans and self.grey_is_enough and passed_ns >= lasts_s * 1e9

    def watch(self, t: int) -> None:
        """Say once when it falls silent. Raises Refused if it never began."""
        if self._imaging is None or self.is_silent or self._stop_t is not None:
            return
        silent_ns = self._silent_ns(t)
        if silent_ns and not self._frames:
            raise Refused(
                f"the microscope did not begin to scan: no edge of {self._imaging.line} within "
                f"{self._imaging.first_frame_s:g} s; arm its acquisition with the external start "
                "trigger, check that line, and start anew"
            )
        self.is_silent = silent_ns > 0
        if self.is_silent:
            what = (
                f"the frame clock is silent for {silent_ns / 1e9:.1f} s: the next grey is a pause; "
                "resume when the microscope scans again, or stop"
            )
            self._say(Fault(t, what))

    def has_ended(self, t: int) -> bool:
        """Stop it once there was enough grey; return whether it has stopped."""
        if self._imaging is None:
            return True
        if self._stop_t is None:
            if self.grey_is_enough or self.is_silent:
                self._stop_t = t
                self._say(Acquire(t, on=False))
            return False
        if t - self._stop_t > _CEASES_NS:
            self._say(Fault(t, "the microscope scans on after its stop; stop it by hand"))
            return True
        ceased_ns = _CEASED * self._between_ns or _UNKNOWN_NS
        return t - max([self._stop_t, *self._times]) > ceased_ns

    def _silent_ns(self, t: int) -> int:
        if self._imaging is None or len(self._times) < _AT_LEAST:
            return max(0, t - self._due)
        silent_ns = t - self._times[-1]
        return silent_ns if silent_ns > self._imaging.silent_periods * self._between_ns else 0
