"""One acquisition of the simulated microscope: its file, its ground truth and its frames."""

from collections import deque

from acquisition.simulation.ground_truth import TruthWriter
from acquisition.simulation.injected_faults import InjectedFaults
from acquisition.simulation.position_history import PositionHistory
from acquisition.simulation.scanimage_writer import Writer
from acquisition.simulation.simulated_brain import SimulatedBrain


class SimulatedAcquisition:
    """An acquisition that scans frames, at each depth in turn, and saves each frame at its end."""

    def __init__(
        self,
        brain: SimulatedBrain,
        writer: Writer,
        truth: TruthWriter,
        faults: InjectedFaults,
        piece_bytes: int,
        positions: PositionHistory,
    ) -> None:
        """Begin a file; pages are written in pieces of piece_bytes, or whole if it is 0."""
        self._brain, self._writer, self._truth = brain, writer, truth
        self._faults, self._piece_bytes, self._positions = faults, piece_bytes, positions
        self._number = 0
        self._scanning: deque[tuple[int, int]] = deque()
        """(number, start in ns) of the frames that are not saved yet."""
        self._first_t: int | None = None
        self._scanned_t: dict[int, int] = {}
        """Time at which each depth was last scanned, ns."""
        self._page_t: int | None = None
        self._silent_until: int | None = None
        self._begins = False
        self._dead = self._stopping = False

    def begin(self, now: int) -> list[int]:
        """Begin the next frame, unless the microscope is silent; return the times of its edges."""
        self._begins = not (self._dead or self._stopping or self._silent(now))
        if not self._begins:
            return []
        self._number += 1
        self._scanning.append((self._number, now))
        return [now + round(ms * 1e6) for ms in self._faults.edges_ms(self._number)]

    def stop(self) -> None:
        """Begin no more frames."""
        self._stopping = True

    @property
    def is_over(self) -> bool:
        """True if the acquisition was stopped and all frames are saved."""
        return self._stopping and not self._scanning

    def save(self) -> None:
        """Save all frames except the one that has just begun."""
        while len(self._scanning) > int(self._begins):
            self._save(*self._scanning.popleft())

    def close(self) -> None:
        """Save the scanned frames, and finish the file."""
        self._begins = False
        self.save()
        self._truth.close()
        if not self._dead:
            self._writer.close()

    def _silent(self, now: int) -> bool:
        if self._silent_until is None and self._number + 1 == self._faults.silent_from:
            self._silent_until = now + round(self._faults.silent_s * 1e9)
        return self._silent_until is not None and now < self._silent_until

    def _save(self, number: int, t: int) -> None:
        if self._dead:
            return
        plane = (number - 1) % self._brain.depths
        self._first_t = t if self._first_t is None else self._first_t
        age_s = (t - self._first_t) / 1e9
        position = self._positions.at_middle(t)
        scanned = self._brain.scan(
            plane, position, age_s, self._since(self._page_t, t), self._since_plane(plane, t)
        )
        self._page_t = self._scanned_t[plane] = t
        for _ in range(self._faults.pages(number)):
            pieces = self._piece_bytes or None
            if number == self._faults.crashes_in:
                pieces, self._dead = self._piece_bytes or scanned.page.nbytes // 2, True
            for _ in self._writer.pieces(scanned.page, age_s, number, pieces):
                if self._dead:
                    self._writer.abandon()
                    return
        self._truth.append(number, t, plane, scanned.light, scanned.spikes, scanned.moved_px)

    def _since_plane(self, plane: int, t: int) -> float:
        return self._since(self._scanned_t.get(plane), t)

    def _since(self, last_t: int | None, t: int) -> float:
        """Return the time since last_t, s; 1 ms if last_t is None."""
        return 1e-3 if last_t is None else (t - last_t) / 1e9
