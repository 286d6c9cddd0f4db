"""Inject faults into the simulated microscope, to test that they are detected."""

from typing import Annotated

import msgspec

Numbers = tuple[Annotated[int, msgspec.Meta(ge=1)], ...]


class InjectedFaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The faults, by the microscope's frame numbers, which count from 1."""

    pages_lost: Numbers = ()
    """Frames that are scanned, with an edge of the frame clock, and never saved."""
    pages_doubled: Numbers = ()
    edges_lost: Numbers = ()
    edges_doubled: Numbers = ()
    edges_late: Numbers = ()
    late_ms: Annotated[float, msgspec.Meta(gt=0.0, le=10_000.0)] = 60.0
    """Delay of a late edge, ms; a doubled edge is repeated after a third of this time."""
    silent_from: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Number of the frame before which the microscope stops scanning for silent_s; 0: never."""
    silent_s: Annotated[float, msgspec.Meta(gt=0.0, le=36_000.0)] = 5.0
    crashes_in: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Number of the frame during whose writing the microscope crashes; 0: never."""

    def edges_ms(self, number: int) -> tuple[float, ...]:
        """Return the delay of each edge of a frame, ms."""
        if number in self.edges_lost:
            return ()
        late_ms = self.late_ms if number in self.edges_late else 0.0
        if number in self.edges_doubled:
            return late_ms, late_ms + self.late_ms / 3.0
        return (late_ms,)

    def pages(self, number: int) -> int:
        """Return the number of times that a frame is saved."""
        if number in self.pages_lost:
            return 0
        return 2 if number in self.pages_doubled else 1
