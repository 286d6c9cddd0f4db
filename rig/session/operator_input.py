"""What the operator asks for, by the terminal's keys and on the live page, in one place."""

from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console
from rich.text import Text

from rig.session.live_page import LivePage
from rig.session.operator_keys import OperatorKeys

_VERBS = frozenset({"pause", "resume", "note", "stop", "water", "quit"})
_MOST_NOTE = 500


class OperatorInput(AbstractContextManager["OperatorInput"]):
    """Keys and page; whatever comes in by either is taken by the same code."""

    def __init__(self, page: LivePage, console: Console) -> None:
        """Take the keys of this terminal, and the requests of a page."""
        self._keys, self._page, self._console = OperatorKeys(), page, console
        self._address = ""

    @property
    def is_there(self) -> bool:
        """True if an operator can answer: there are keys, or a page."""
        return self._keys.taken or bool(self._page.address)

    @property
    def question(self) -> str:
        """What the next key answers; empty if it is a command."""
        return self._keys.question

    def poll(self) -> list[tuple[str, str]]:
        """Return what was asked for since the last call: (verb, text of a note)."""
        asked = self._keys.poll()
        for verb, text in self._page.poll():
            if verb in _VERBS and len(text) <= _MOST_NOTE:
                asked.append((verb, text))
        if self._page.address != self._address:
            self._address = self._page.address
            self._console.print(Text(f"live page: {self._address}"), soft_wrap=True)
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
