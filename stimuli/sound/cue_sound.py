"""The sound cue: its tone, the Protocol of a speaker, and the report of its onsets.

This is not used for an external sounder, which is an output of [nodes.hardware] with on = "cue".
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

_TIMEOUT_NS = 500_000_000
"""A cue that has not sounded after this time is reported as a Fault, ns."""


class Tone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of the cue; every speaker has them."""

    tone_hz: Annotated[float, msgspec.Meta(ge=20.0, le=96_000.0)] = 10_000.0
    tone_ms: Annotated[float, msgspec.Meta(ge=1.0, le=5_000.0)] = 100.0
    ramp_ms: Annotated[float, msgspec.Meta(ge=0.0, le=1_000.0)] = 5.0
    """Length of the ramps at the start and the end of the tone, which prevent clicks, ms."""
    volume: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 0.5
    """Amplitude as a fraction of the device's maximum."""
    sample_hz: Annotated[int, msgspec.Meta(ge=8_000, le=384_000)] = 48_000


class Speaker(Protocol):
    """A device that plays the cue. Each class has `Settings`, a subclass of Tone."""

    simulated: ClassVar[bool]
    """True if nothing can be heard. Each class declares this itself."""

    def __init__(self, settings: Any) -> None: ...

    def open(self, now: Callable[[], int]) -> None:
        """Open the device in silence; `now` returns the session time (ns).

        Raises:
            Refused: There is no such device.
        """

    def play(self) -> None:
        """Start the cue as soon as possible, again if one is still playing; return immediately."""

    def onsets(self) -> list[int]:
        """Return the session times (ns) of the onsets of cues since the last call."""

    def underrun(self) -> bool:
        """Return True if a cue was interrupted since the last call, for lack of data."""

    def close(self) -> None:
        """Stop and close the device; do nothing if it is not open."""


def tone_samples(tone: Tone) -> NDArray[np.float32]:
    """Return the samples of the cue, from -1 to 1. Raises Refused if its settings conflict."""
    if tone.tone_hz >= tone.sample_hz / 2:
        raise Refused(
            f"[nodes.display.sound]: tone_hz = {tone.tone_hz:g} needs a sample_hz above "
            f"{2 * tone.tone_hz:g}; increase sample_hz if the device supports it, or lower tone_hz"
        )
    if 2 * tone.ramp_ms > tone.tone_ms:
        raise Refused(
            f"[nodes.display.sound]: two ramps of ramp_ms = {tone.ramp_ms:g} are longer than "
            f"tone_ms = {tone.tone_ms:g}; decrease ramp_ms"
        )
    time_s = np.arange(round(tone.tone_ms / 1000 * tone.sample_hz)) / tone.sample_hz
    to_nearest_end_s = np.minimum(time_s, tone.tone_ms / 1000 - time_s)
    ramp = np.clip(to_nearest_end_s / max(tone.ramp_ms / 1000, 1e-9), 0, 1)
    wave = np.sin(np.pi / 2 * ramp) ** 2 * np.sin(2 * np.pi * tone.tone_hz * time_s)
    return (tone.volume * wave).astype(np.float32)


class CuePlayer:
    """A player that plays the tone for each Cue message and publishes its onset."""

    def __init__(self, speaker: Speaker, publish: Publish) -> None:
        self._speaker, self._publish = speaker, publish
        self._unavailable = ""
        """Why there is no sound; "" if there is."""
        self._trial = -1
        """Trial of the last cue that began to sound."""
        self._waiting: deque[Cue] = deque()
        """Cues that were started but have not begun to sound."""

    def open(self, now: Callable[[], int], real_animal: bool) -> None:
        """Open the speaker.

        Raises:
            Refused: Opening fails and there is a real animal. A simulated animal continues without
                sound.
        """
        try:
            self._speaker.open(now)
        except Refused as refusal:
            if real_animal:
                raise
            self._unavailable = str(refusal)

    def handle(self, message: Message) -> None:
        """Start the cue at a Cue message; at Start, publish a Fault if there is no sound."""
        match message:
            case Start() if self._unavailable:
                self._publish(Fault(message.t, f"there is no sound: {self._unavailable}"))
            case Cue() if not self._unavailable:
                self._speaker.play()
                self._waiting.append(message)

    def tick(self, now: int) -> None:
        """Publish the cues that have begun, and a Fault for each that failed."""
        if self._unavailable:
            return
        for t in self._speaker.onsets():
            if self._waiting:
                self._trial = self._waiting.popleft().trial
                self._publish(CueOnset(t, self._trial))
        if self._speaker.underrun():
            text = f"the cue of trial {self._trial} was interrupted: the sound device had no data"
            self._publish(Fault(now, f"{text}; increase latency_ms in [nodes.display.sound]"))
        while self._waiting and now - self._waiting[0].t > _TIMEOUT_NS:
            late = self._waiting.popleft()
            text = f"the cue of trial {late.trial} did not sound within 500 ms"
            self._publish(Fault(now, f"{text}; check the sound device"))

    def close(self) -> None:
        """Stop and close the speaker."""
        self._speaker.close()
