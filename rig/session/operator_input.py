"""Collect the operator's requests from the terminal's keys and from the live page."""

import getpass
from contextlib import AbstractContextManager
from types import TracebackType
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from rig.session.live_page import LivePage
from rig.session.operator_keys import OperatorKeys

_VERBS = frozenset({"pause", "resume", "note", "stop", "water", "quit", "set"})
_MOST_NOTE = 500
_MOST_BY = 100


class Asked(NamedTuple):
    """A request of the operator."""

    verb: str
    text: str
    """A note, or a setting and its value."""
    by: str
    """The source of the request: the terminal and its user, or the page and its address."""


class OperatorInput(AbstractContextManager["OperatorInput"]):
    """The operator's keys and the live page; requests of both are handled by the same code."""

    def __init__(self, page: LivePage, console: Console) -> None:
        """Read the keys of this terminal, and the requests of a page."""
        self._keys, self._page, self._console = OperatorKeys(), page, console
        self._address = ""
        self._user = f"terminal of {_user()}"

    @property
    def is_there(self) -> bool:
        """True if an operator can answer, because there are keys or a page."""
        return self._keys.taken or bool(self._page.address)

    @property
    def question(self) -> str:
        """The question that the next key answers; empty if the next key is a command."""
        return self._keys.question

    def poll(self) -> list[Asked]:
        """Return the requests since the last call."""
        asked = [Asked(verb, text, self._user) for verb, text in self._keys.poll()]
        for verb, text, by in self._page.poll():
            if verb in _VERBS and len(text) <= _MOST_NOTE:
                asked.append(Asked(verb, text, by[:_MOST_BY]))
        if self._page.address != self._address:
            self._address = self._page.address
            shown = self._address or "it failed too often and is not started again"
            self._console.print(Text(f"live page: {shown}"), soft_wrap=True)
        return asked

    def __enter__(self) -> "OperatorInput":
        self._keys.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._keys.__exit__(kind, error, at)
        self._page.end()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container the user may have no name
        return "unknown user"
