"""A simulated speaker, which plays nothing but has the latency of a real speaker."""

from collections.abc import Callable
from typing import Annotated, ClassVar

import msgspec

from stimuli.sound.cue_sound import Tone, tone_samples


class SimulatedSpeaker:
    """A speaker without sound that reports each onset after a fixed latency."""

    simulated: ClassVar[bool] = True

    class Settings(Tone, frozen=True, kw_only=True):
        """The cue and the latency."""

        latency_ms: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 9.0
        """Time from `play` to the onset of the sound, ms."""

    def __init__(self, settings: Settings) -> None:
        tone_samples(settings)  # checks the settings
        self._latency_ns = round(settings.latency_ms * 1e6)
        self._onsets: list[int] = []
        self._now: Callable[[], int] | None = None

    def open(self, now: Callable[[], int]) -> None:
        self._now = now

    def play(self) -> None:
        assert self._now is not None, "open the speaker first"
        self._onsets.append(self._now() + self._latency_ns)

    def onsets(self) -> list[int]:
        now = 0 if self._now is None else self._now()
        begun = [t for t in self._onsets if t <= now]
        self._onsets = self._onsets[len(begun) :]
        return begun

    def underrun(self) -> bool:
        return False

    def close(self) -> None:
        self._now = None
