"""When output lines go up and down, and how often cameras' exposures are counted."""

from typing import Any

from behavior.devices.protocols import Camera, Output
from rig.errors import Refused
from rig.messages import Acquire, Cue, Edge, Exposures, Message, Start, TrialEnd, TrialStart, Valve
from rig.node import Publish

_RAISED_BY: dict[str, type[Message]] = {
    "session": Start,
    "trial": TrialStart,
    "cue": Cue,
    "reward": Valve,
    "imaging": Acquire,
}
_COUNT_EVERY_NS = 1_000_000_000


class Outputs:
    """Raises each output for what its table names, and says an Edge for each change."""

    def __init__(self, outputs: dict[str, Output], lines: dict[str, Any], publish: Publish) -> None:
        """Raises Refused if a table contradicts itself, or has the name of an input line."""
        for name, output in outputs.items():
            where = f"[nodes.hardware.outputs.{name}]"
            if name in lines:
                raise Refused(f"{where}: there is an input line of that name; name one otherwise")
            if output.settings.on in ("cue", "reward") and not output.settings.pulse_ms:
                on = output.settings.on
                raise Refused(f'{where}: on = "{on}" has no end; give pulse_ms, as in 5.0')
        self._outputs, self._say = outputs, publish
        self._down_at: dict[str, int] = {}
        self._up: set[str] = set()

    def handle(self, message: Message, now: int) -> None:
        """Take a word that the driver heard, or a Valve that opened."""
        for name, output in self._outputs.items():
            if isinstance(message, Acquire) and not message.on:
                if output.settings.on == "imaging":
                    self._set(name, now, up=False)
            elif isinstance(message, _RAISED_BY[output.settings.on]):
                self._set(name, now, up=True)
                if output.settings.pulse_ms:
                    self._down_at[name] = now + round(output.settings.pulse_ms * 1e6)
            elif isinstance(message, TrialEnd) and output.settings.on == "trial":
                self._set(name, now, up=False)

    def tick(self, now: int) -> None:
        """Put down what was up for long enough."""
        for name in [name for name, t in self._down_at.items() if now >= t]:
            self._set(name, now, up=False)

    def close(self, now: int) -> None:
        """Put down what is up."""
        for name in sorted(self._up):
            self._set(name, now, up=False)

    def _set(self, name: str, now: int, up: bool) -> None:
        self._down_at.pop(name, None)
        if up == (name in self._up):
            return
        self._up ^= {name}
        self._say(Edge(self._outputs[name].set(now, up), name, up))


class Cameras:
    """Says how many exposures each camera has begun."""

    def __init__(self, cameras: dict[str, Camera], publish: Publish) -> None:
        self._cameras, self._say = cameras, publish
        self._due = 0

    def tick(self, now: int) -> None:
        """Say the counts if a second has passed."""
        if now >= self._due:
            self._due = now + _COUNT_EVERY_NS
            self.close(now)

    def close(self, now: int) -> None:
        """Say the counts."""
        for name, camera in self._cameras.items():
            self._say(Exposures(now, name, camera.exposures(now)))
