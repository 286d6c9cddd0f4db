"""The operator's keys: p pause or resume, w water, n note, s stop after this trial, q stop now."""

import os
import select
import sys
from types import TracebackType

HELP = (
    "p pause (ends the trial) or resume   w water   n note   s stop after this trial   q stop now"
)
_ESCAPE, _ERASE = "\x1b", "\b\x7f"


class OperatorKeys:
    """Single keys from the terminal, without Enter; none where there is no terminal."""

    def __init__(self) -> None:
        self.note: str | None = None
        """What has been typed of a note so far; None while none is being typed."""
        self.pouring = False
        """Whether water was asked for and is to be confirmed, by Enter."""
        self._saved: list[object] | None = None

    @property
    def question(self) -> str:
        """What the next key answers; empty if it is a command."""
        if self.pouring:
            return "WATER NOW?  Enter gives one reward by hand; any other key does not"
        return "" if self.note is None else f"note: {self.note}▌  (Enter keeps it, Esc drops it)"

    def __enter__(self) -> "OperatorKeys":
        if sys.stdin is not None and sys.stdin.isatty() and sys.platform != "win32":
            import termios
            import tty

            self._saved = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._saved is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]

    def poll(self) -> list[tuple[str, str]]:
        """Return what was asked for since the last call: (verb, text of the note)."""
        if self._saved is None:
            return []
        terminal = sys.stdin.fileno()
        if not select.select([terminal], [], [], 0.0)[0]:
            return []
        typed = os.read(terminal, 1024).decode(errors="replace")
        return [asked for key in typed for asked in self.press(key)]

    def press(self, key: str) -> list[tuple[str, str]]:
        """Take one key; return the verb it completes, if any."""
        if self.note is None:
            verbs = {"p": "pause", "s": "stop", "q": "quit"}
            # by another key: one that is leant on must not pour
            confirmed = self.pouring and key in "\r\n"
            self.pouring = key == "w"
            if confirmed:
                return [("water", "")]
            if key == "n":
                self.note = ""
            return [(verbs[key], "")] if key in verbs else []
        if key in "\r\n":
            text, self.note = self.note, None
            return [("note", text)] if text else []
        if key == _ESCAPE:
            self.note = None
        elif key in _ERASE:
            self.note = self.note[:-1]
        elif key.isprintable():
            self.note += key
        return []
