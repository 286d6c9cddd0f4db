"""Raise the lines of the closed loop for a limited time, and answer each request."""

import msgspec

from behavior.devices.protocols import TriggerLine, TriggerLineSettings
from rig.errors import Refused
from rig.messages import Edge, Trigger, TriggerOutput, TriggerRelease
from rig.node import Publish


class _Up(msgspec.Struct, frozen=True):
    """A line that is up."""

    id: int
    """The id of the Trigger that raised it."""
    until: int
    """Time at which its device lowers the line, ns."""


class TriggerLines:
    """The trigger lines: each Trigger is answered by one TriggerOutput; the device ends each pulse.

    A Trigger can raise only a line of the table [nodes.hardware.trigger_lines], never a valve: only
    the water guard opens valves.
    """

    def __init__(
        self, lines: dict[str, TriggerLine], taken: dict[str, str], publish: Publish
    ) -> None:
        """Check the names of the lines.

        Args:
            lines: The trigger lines by name.
            taken: The kind of each other device, by the device's name.
            publish: Called with each message.

        Raises:
            Refused: A trigger line has the name of another device, or is not a trigger line.
        """
        for name, line in lines.items():
            where = f"[nodes.hardware.trigger_lines.{name}]"
            if name in taken:
                raise Refused(f"{where}: {taken[name]} has the same name; rename the trigger line")
            if not isinstance(line.settings, TriggerLineSettings):
                raise Refused(
                    f"{where}: {type(line).__name__} is not a trigger line; choose a class "
                    "TriggerLine (only the water guard opens a valve)"
                )
        self._lines, self._publish = lines, publish
        self._up: dict[str, _Up] = {}
        self._last_id = 0

    def handle(self, message: Trigger | TriggerRelease, now: int) -> None:
        """Carry out or end a request. A repeated request does nothing."""
        if isinstance(message, TriggerRelease):
            for name in [name for name, up in self._up.items() if up.id == message.id]:
                self._end(name, now)
        elif message.id > self._last_id:
            self._last_id = message.id
            self._answer(message, now)

    def tick(self, now: int) -> None:
        """Publish the end of each pulse that is over."""
        for name in [name for name, up in self._up.items() if now >= up.until]:
            self._publish(Edge(self._up.pop(name).until, name, up=False))

    def close(self, now: int) -> None:
        """Lower all lines that are up."""
        for name in sorted(self._up):
            self._end(name, now)

    def _answer(self, trigger: Trigger, now: int) -> None:
        self.tick(now)
        name, id_ = trigger.line, trigger.id
        if refused := self._why_not(trigger, now):
            self._publish(TriggerOutput(now, id_, name, 0.0, trigger.sham, refused))
            return
        if trigger.sham:
            self._publish(TriggerOutput(now, id_, name, 0.0, sham=True))
            return
        t = self._lines[name].pulse(now, trigger.up_ms)
        self._up[name] = _Up(id_, t + round(trigger.up_ms * 1e6))
        self._publish(TriggerOutput(t, id_, name, trigger.up_ms))
        self._publish(Edge(t, name, up=True))

    def _why_not(self, trigger: Trigger, now: int) -> str:
        """Return why a request is refused; "" if it is not."""
        line = self._lines.get(trigger.line)
        if line is None:
            return "there is no such trigger line"
        if now > trigger.deadline:
            return "too late"
        if not 0.0 < trigger.up_ms <= line.settings.longest_ms:
            return "longer than longest_ms of the line"
        if trigger.line in self._up:
            return "the line is up"
        return ""

    def _end(self, name: str, now: int) -> None:
        t = min(self._lines[name].end(now), self._up.pop(name).until)
        self._publish(Edge(t, name, up=False))
