"""Report once when the field is not found in the pages any more, and once when it is back."""

from collections.abc import Sequence

from analysis.extraction.strip import Motion


class LostField:
    """Follows whether the field of each volume was found within the reach of registration."""

    def __init__(self, max_shift_px: int) -> None:
        """Begin with the field in place."""
        self._max_shift_px = max_shift_px
        self._frames = 0

    def changed(self, index: int, motion: Sequence[Motion]) -> str:
        """Take in the motion of a volume; return a sentence if the field is lost or back, or "".

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
