"""The real speaker: one stream of sound that is always open; the only file that knows PortAudio."""

from collections import deque
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np

from rig.errors import Refused
from stimuli.sound.cue_sound import Tone, samples

APT_LINE = "apt-get install -y --no-install-recommends libportaudio2"


class PortaudioSpeaker:
    """Plays silence all the time, and into it, from one block to the next, the cue."""

    simulated: ClassVar[bool] = False

    class Settings(Tone, frozen=True, kw_only=True):
        """Which device, and which of its channels."""

        device: str = ""
        """A part of its name, as `python -m sounddevice` lists it; none: the system's own."""
        channels: int = 2
        latency_ms: Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)] = 0.0
        """How much sound lies ready; more where it breaks off. 0: the least the device offers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        tone = samples(settings)[:, None]
        self._tone = np.ascontiguousarray(np.repeat(tone, settings.channels, axis=1))
        self._at: int | None = None
        """How much of the tone was played; None: there is silence."""
        self._onsets: deque[int] = deque()
        self._broken = False
        self._stream: Any = None

    def open(self, now: Callable[[], int]) -> None:
        try:
            import sounddevice
        except Exception as error:
            if not isinstance(error, ImportError | OSError) and not _is_portaudio_s(error):
                raise
            raise Refused(
                f"the sound cue needs PortAudio ({error}); run: {APT_LINE}; "
                "pip install --no-deps -r requirements.txt"
            ) from error
        self._now = now
        asked = self._settings
        try:
            self._stream = sounddevice.OutputStream(
                samplerate=asked.sample_hz,
                channels=asked.channels,
                device=asked.device or None,
                dtype="float32",
                latency=asked.latency_ms / 1000 or "low",
                callback=self._fill,
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            self.close()
            raise Refused(
                f"no sound device plays {asked.channels} channels at {asked.sample_hz} Hz "
                f"({error}); connect one, or correct [nodes.display.sound]"
            ) from error

    def play(self) -> None:
        self._at = 0

    def onsets(self) -> list[int]:
        return [self._onsets.popleft() for _ in range(len(self._onsets))]

    def broken(self) -> bool:
        broken, self._broken = self._broken, False
        return broken

    def close(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            stream.close()

    def _fill(self, out: Any, frames: int, time: Any, status: Any) -> None:
        """Fill the next block; runs in a thread of PortAudio's, once a block."""
        at = self._at
        if at is None:
            out.fill(0)
            return
        if at > 0 and status.output_underflow:
            self._broken = True
        if at == 0:
            ahead_s = time.outputBufferDacTime - time.currentTime
            if ahead_s <= 0:  # some systems do not tell
                ahead_s = self._stream.latency
            self._onsets.append(self._now() + round(ahead_s * 1e9))
        part = self._tone[at : at + frames]
        out[: len(part)] = part
        out[len(part) :] = 0
        end = at + frames
        if self._at == at:  # else play() was called anew meanwhile
            self._at = end if end < len(self._tone) else None


def _is_portaudio_s(error: Exception) -> bool:
    """Whether PortAudio did not start, which happens at the import: its error has no name then."""
    return type(error).__name__ == "PortAudioError"
