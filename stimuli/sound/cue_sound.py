"""The sound cue: what a speaker must be able to do, its tone, and when it was heard.

An external sounder needs none of this: it is an output of the hardware that is raised by the cue.
"""

from collections import deque
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from rig.messages import Cue, CueOnset, Fault, Message, Start
from rig.node import Publish

_UNHEARD_NS = 500_000_000
"""A cue that has not begun after so long is a Fault."""


class Tone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every speaker's table may say of the cue."""

    tone_hz: Annotated[float, msgspec.Meta(ge=20.0, le=96_000.0)] = 10_000.0
    tone_ms: Annotated[float, msgspec.Meta(ge=1.0, le=5_000.0)] = 100.0
    ramp_ms: Annotated[float, msgspec.Meta(ge=0.0, le=1_000.0)] = 5.0
    """How long it swells and how long it dies away, so that it does not click."""
    volume: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 0.5
    """Of the loudest that the device can do."""
    sample_hz: Annotated[int, msgspec.Meta(ge=8_000, le=384_000)] = 48_000


class Speaker(Protocol):
    """Plays the cue. Real and simulated speakers behave alike, except that one is heard."""

    Settings: ClassVar[type[Tone]]
    simulated: ClassVar[bool]
    """True if nothing can be heard. Each class declares this itself."""

    def __init__(self, settings: Any) -> None: ...

    def open(self, now: Callable[[], int]) -> None:
        """Take hold of the device, in silence; now is the session clock. Raises Refused."""

    def play(self) -> None:
        """Begin the cue as soon as the device can, anew if one still sounds; return at once."""

    def onsets(self) -> list[int]:
        """Return when (ns) each cue since the last call began to be heard, in order."""

    def broken(self) -> bool:
        """Return whether a cue had a hole in it since the last call: the device had run dry."""

    def close(self) -> None:
        """Fall silent and let go. Does nothing if nothing is open."""


def samples(tone: Tone) -> NDArray[np.float32]:
    """Return the cue as numbers from -1 to 1, one a sample. Raises Refused if it cannot be made."""
    if tone.tone_hz >= tone.sample_hz / 2:
        raise Refused(
            f"[nodes.display.sound]: a tone_hz of {tone.tone_hz:g} needs a sample_hz above "
            f"{2 * tone.tone_hz:g}; raise it, if the device can do that"
        )
    if 2 * tone.ramp_ms > tone.tone_ms:
        raise Refused(
            f"[nodes.display.sound]: two ramps of ramp_ms = {tone.ramp_ms:g} are longer than "
            f"tone_ms = {tone.tone_ms:g}; shorten them"
        )
    time_s = np.arange(round(tone.tone_ms / 1000 * tone.sample_hz)) / tone.sample_hz
    to_an_end_s = np.minimum(time_s, tone.tone_ms / 1000 - time_s)
    ramp = np.clip(to_an_end_s / max(tone.ramp_ms / 1000, 1e-9), 0, 1)
    wave = np.sin(np.pi / 2 * ramp) ** 2 * np.sin(2 * np.pi * tone.tone_hz * time_s)
    return (tone.volume * wave).astype(np.float32)


class Cues:
    """Plays the tone of each Cue that is heard, and says when it sounded."""

    def __init__(self, speaker: Speaker, publish: Publish) -> None:
        self._speaker, self._say = speaker, publish
        self._lack = ""
        self._trial = -1
        """Whose cue was the last to begin."""
        self._waiting: deque[Cue] = deque()

    def open(self, now: Callable[[], int], real_animal: bool) -> None:
        """Open the speaker. Without one a real animal is refused, a simulated one goes on."""
        try:
            self._speaker.open(now)
        except Refused as refusal:
            if real_animal:
                raise
            self._lack = str(refusal)

    def handle(self, message: Message) -> None:
        """Begin at once; say at the session's start if all cues will be silent."""
        match message:
            case Start() if self._lack:
                self._say(Fault(message.t, f"there is no sound: {self._lack}"))
            case Cue() if not self._lack:
                self._speaker.play()
                self._waiting.append(message)

    def tick(self, now: int) -> None:
        """Say which cues have begun, and which one should have."""
        if self._lack:
            return
        for t in self._speaker.onsets():
            if self._waiting:
                self._trial = self._waiting.popleft().trial
                self._say(CueOnset(t, self._trial))
        if self._speaker.broken():
            what = f"the cue of trial {self._trial} had a hole in it: the sound device ran dry"
            self._say(Fault(now, f"{what}; set latency_ms in [nodes.display.sound] higher"))
        while self._waiting and now - self._waiting[0].t > _UNHEARD_NS:
            late = self._waiting.popleft()
            what = f"the cue of trial {late.trial} was not heard within 500 ms"
            self._say(Fault(now, f"{what}; look at the sound device"))

    def close(self) -> None:
        """Fall silent."""
        self._speaker.close()
