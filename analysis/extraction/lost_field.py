"""Report once when the field is no longer found in the pages, and once when it is found again."""

from collections.abc import Sequence

from analysis.extraction.strip import Motion


class LostField:
    """Whether the field was found in the last volumes, within the largest measured shift."""

    def __init__(self, max_shift_px: int) -> None:
        """Start with the field found; max_shift_px is the largest shift that is measured."""
        self._max_shift_px = max_shift_px
        self._frames = 0

    def changed(self, index: int, motion: Sequence[Motion]) -> str:
        """Use the motion of a volume; return a sentence if the field is lost or back, else "".

        Args:
            index: Index of the volume's last frame.
            motion: Motion of each strip.
        """
        lost = [m for m in motion if not m.found]
        if lost:
            self._frames += 1
            if self._frames > 1:
                return ""
            correlation = min(m.correlation for m in lost)
            return (
                f"the field is not found within max_shift_px = {self._max_shift_px} px of its "
                f"reference (correlation {correlation:.2f} of 1): there are no signals from frame "
                f"{index} until it is back; check shutter, objective and focus"
            )
        if not self._frames:
            return ""
        frames, self._frames = self._frames, 0
        return f"the field is back at frame {index}; {frames} frames before it have no signals"
