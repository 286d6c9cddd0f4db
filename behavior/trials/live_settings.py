"""Settings that the operator may change during a session, if the task file lists them in `live`.

A request is checked when it arrives, by the same rules as a task file, and takes effect when the
next trial starts.
"""

from typing import Any, NamedTuple, TypeVar

import msgspec

from behavior.trials.task_settings import TaskSettings
from behavior.trials.task_validation import check_without_order
from rig.errors import Refused
from rig.messages import OperatorRequest, SettingChange
from rig.settings.config import convert

_Settings = TypeVar("_Settings", bound=TaskSettings)


class _Pending(NamedTuple):
    """A requested change that waits for the next trial."""

    request: OperatorRequest
    name: str
    settings: TaskSettings
    """The settings with this change and all earlier changes."""


class LiveSettings:
    """The settings of a task, and the changes that wait for the next trial."""

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings
        """The settings of the current trial."""
        self._most_ul = max(block.reward_ul for block in settings.in_blocks())
        self._pending: list[_Pending] = []

    def request(self, request: OperatorRequest, t: int) -> SettingChange | None:
        """Check a request, such as "reward_ul=2.5"; return a refusal, or None if it is accepted.

        Args:
            request: The operator's request.
            t: Time of the refusal, ns.
        """
        name, _, text = (part.strip() for part in request.text.partition("="))
        latest = self._pending[-1].settings if self._pending else self.settings
        try:
            changed = self._changed(latest, name, text)
        except Refused as refusal:
            return SettingChange(
                t, request.id, name[:40], "", text[:40], request.by, -1, str(refusal)
            )
        self._pending.append(_Pending(request, name, changed))
        return None

    def apply(self, t: int, trial: int, block: int) -> list[SettingChange]:
        """Carry out the waiting changes, for the trial that starts at t (ns) in a block."""
        changes = []
        for pending in self._pending:
            request, name = pending.request, pending.name
            old, new = (_value(of, block, name) for of in (self.settings, pending.settings))
            changes.append(SettingChange(t, request.id, name, old, new, request.by, trial))
            self.settings = pending.settings
        self._pending.clear()
        return changes

    def _changed(self, settings: TaskSettings, name: str, text: str) -> TaskSettings:
        """Return the settings with one value changed in all blocks.

        Raises:
            Refused: The change is not allowed.
        """
        if name not in settings.live:
            choice = ", ".join(settings.live) or "none: list them in `live` in the task file"
            raise Refused(f'"{name[:40]}" may not be changed in this session (live: {choice})')
        changed = _with_value(settings, name, _parsed(text))
        check_without_order(changed)
        if max(block.reward_ul for block in changed.in_blocks()) > self._most_ul:
            raise Refused(
                f"reward_ul = {text}: valve and daily limit were checked for rewards of up to "
                f"{self._most_ul:g} ul; give that or less, or start a new session"
            )
        return changed


def _with_value(settings: _Settings, name: str, value: Any) -> _Settings:
    table: dict[str, Any] = msgspec.to_builtins(settings)
    table[name] = value
    table["blocks"] = [{k: v for k, v in own.items() if k != name} for own in table["blocks"]]
    return convert(table, type(settings), "the task")


def _parsed(text: str) -> Any:
    try:
        return msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        return text  # a word, such as a mode


def _value(settings: TaskSettings, block: int, name: str) -> str:
    """Return the value of a setting in a block as JSON."""
    return msgspec.json.encode(getattr(settings.in_blocks()[block], name)).decode()
