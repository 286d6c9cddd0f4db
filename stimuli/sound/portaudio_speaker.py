"""The real speaker: a PortAudio stream that stays open during the whole session."""

from collections import deque
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np

from rig.errors import Refused
from stimuli.sound.cue_sound import Tone, tone_samples

APT_LINE = "apt-get install -y --no-install-recommends libportaudio2"


class PortaudioSpeaker:
    """A PortAudio stream of silence; after `play`, the cue starts in the next block."""

    simulated: ClassVar[bool] = False

    class Settings(Tone, frozen=True, kw_only=True):
        """The device and the settings of its stream."""

        device: str = ""
        """Part of the device's name, as listed by `python -m sounddevice`; "": the default."""
        channels: int = 2
        latency_ms: Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)] = 0.0
        """Length of the sound buffer, ms; increase it if cues are interrupted. 0: the minimum."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        tone = tone_samples(settings)[:, None]
        self._tone = np.ascontiguousarray(np.repeat(tone, settings.channels, axis=1))
        self._at: int | None = None
        """The next sample of the tone to play; None while there is silence."""
        self._onsets: deque[int] = deque()
        self._underrun = False
        self._stream: Any = None

    def open(self, now: Callable[[], int]) -> None:
        try:
            import sounddevice
        except Exception as error:
            if not isinstance(error, ImportError | OSError) and not _is_portaudio_error(error):
                raise
            raise Refused(
                f"the sound cue needs PortAudio ({error}); run: {APT_LINE}; "
                "pip install --no-deps -r requirements.txt"
            ) from error
        self._now = now
        settings = self._settings
        try:
            self._stream = sounddevice.OutputStream(
                samplerate=settings.sample_hz,
                channels=settings.channels,
                device=settings.device or None,
                dtype="float32",
                latency=settings.latency_ms / 1000 or "low",
                callback=self._fill,
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            self.close()
            raise Refused(
                f"no sound device can play {settings.channels} channels at {settings.sample_hz} Hz "
                f"({error}); connect one, or correct [nodes.display.sound]"
            ) from error

    def play(self) -> None:
        self._at = 0

    def onsets(self) -> list[int]:
        return [self._onsets.popleft() for _ in range(len(self._onsets))]

    def underrun(self) -> bool:
        underrun, self._underrun = self._underrun, False
        return underrun

    def close(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            stream.close()

    def _fill(self, out: Any, frames: int, time: Any, status: Any) -> None:
        """Fill the next block. PortAudio calls this from its own thread."""
        at = self._at
        if at is None:
            out.fill(0)
            return
        if at > 0 and status.output_underflow:
            self._underrun = True
        if at == 0:
            ahead_s = time.outputBufferDacTime - time.currentTime
            if ahead_s <= 0:  # some operating systems do not report this time
                ahead_s = self._stream.latency
            self._onsets.append(self._now() + round(ahead_s * 1e9))
        part = self._tone[at : at + frames]
        out[: len(part)] = part
        out[len(part) :] = 0
        end = at + frames
        if self._at == at:  # otherwise play() was called in the meantime
            self._at = end if end < len(self._tone) else None


def _is_portaudio_error(error: Exception) -> bool:
    """Return True if an import failed because PortAudio did not start.

    The class of that error cannot be imported, because the import has failed.
    """
    return type(error).__name__ == "PortAudioError"
