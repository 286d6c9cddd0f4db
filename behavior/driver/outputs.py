"""Raise and lower output lines at the right moments; publish the cameras' exposure counts."""

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
"""The message that raises an output, for each value of its key `on`."""
_COUNT_EVERY_NS = 1_000_000_000


class Outputs:
    """The output lines; each is raised at the event in its key `on`, and changes are published."""

    def __init__(self, outputs: dict[str, Output], lines: dict[str, Any], publish: Publish) -> None:
        """Check the outputs' tables.

        Raises:
            Refused: An output has the name of an input line, would never be lowered, or has
                sounds_cue = true without on = "cue".
        """
        for name, output in outputs.items():
            where = f"[nodes.hardware.outputs.{name}]"
            if name in lines:
                raise Refused(f"{where}: an input line has the same name; rename one of them")
            if output.settings.on in ("cue", "reward") and not output.settings.pulse_ms:
                raise Refused(
                    f'{where}: on = "{output.settings.on}" needs a pulse length, for example '
                    "pulse_ms = 5.0"
                )
            if output.settings.sounds_cue and output.settings.on != "cue":
                raise Refused(
                    f'{where}: sounds_cue = true needs on = "cue", but on = '
                    f'"{output.settings.on}"; correct one of them'
                )
        self._outputs, self._publish = outputs, publish
        self._down_at: dict[str, int] = {}
        self._up: set[str] = set()

    def handle(self, message: Message, now: int) -> None:
        """Raise or lower outputs for a message that the driver received or published."""
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
        """Lower the outputs whose pulse is over."""
        for name in [name for name, t in self._down_at.items() if now >= t]:
            self._set(name, now, up=False)

    def close(self, now: int) -> None:
        """Lower all outputs that are up."""
        for name in sorted(self._up):
            self._set(name, now, up=False)

    def _set(self, name: str, now: int, up: bool) -> None:
        self._down_at.pop(name, None)
        if up == (name in self._up):
            return
        self._up ^= {name}
        self._publish(Edge(self._outputs[name].set(now, up), name, up))


class Cameras:
    """The cameras: the number of exposures of each is published once a second."""

    def __init__(self, cameras: dict[str, Camera], publish: Publish) -> None:
        self._cameras, self._publish = cameras, publish
        self._due = 0

    def tick(self, now: int) -> None:
        """Publish the counts if a second has passed."""
        if now >= self._due:
            self._due = now + _COUNT_EVERY_NS
            self.close(now)

    def close(self, now: int) -> None:
        """Publish the final counts."""
        for name, camera in self._cameras.items():
            self._publish(Exposures(now, name, camera.exposures(now)))
