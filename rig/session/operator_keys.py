"""The operator's keys: p pause or resume, w manual reward, n note, t setting, s and q stop."""

import os
import select
import sys
from types import TracebackType

HELP = "p pause or resume  w water  n note  t setting  s stop after trial  q stop now"
"""The help that is shown below the status line, in 80 columns."""
_ESCAPE, _ERASE = "\x1b", "\b\x7f"


class OperatorKeys:
    """Single keys from the terminal, read without Enter; none if there is no terminal."""

    def __init__(self) -> None:
        self.note: str | None = None
        """The text of the note or setting so far; None while none is being typed."""
        self._verb = "note"
        """The verb of the text that is being typed: "note" or "set"."""
        self.pouring = False
        """True if a manual reward was requested and Enter has to confirm it."""
        self._saved: list[object] | None = None

    @property
    def taken(self) -> bool:
        """True if keys are read, because there is a terminal."""
        return self._saved is not None

    @property
    def question(self) -> str:
        """The question that the next key answers; "" if the next key is a command."""
        if self.pouring:
            return "WATER NOW?  Enter gives one manual reward; any other key cancels"
        if self.note is None:
            return ""
        if self._verb == "set":
            return f"NAME=VALUE: {self.note}▌  (Enter changes it from the next trial, Esc cancels)"
        return f"note: {self.note}▌  (Enter saves it, Esc cancels)"

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
        if sys.platform != "win32" and self._saved is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]

    def poll(self) -> list[tuple[str, str]]:
        """Return the requests since the last call: (verb, text of the note)."""
        if self._saved is None:
            return []
        terminal = sys.stdin.fileno()
        if not select.select([terminal], [], [], 0.0)[0]:
            return []
        typed = os.read(terminal, 1024).decode(errors="replace")
        return [request for key in typed for request in self.press(key)]

    def press(self, key: str) -> list[tuple[str, str]]:
        """Handle one key; return the request that it completes, if any."""
        if self.note is None:
            verbs = {"p": "pause", "s": "stop", "q": "quit"}
            # A second, different key confirms: a key that is held down must not give water.
            confirmed = self.pouring and key in "\r\n"
            self.pouring = key == "w"
            if confirmed:
                return [("water", "")]
            if key in ("n", "t"):
                self.note, self._verb = "", "note" if key == "n" else "set"
            return [(verbs[key], "")] if key in verbs else []
        if key in "\r\n":
            text, self.note = self.note, None
            return [(self._verb, text)] if text else []
        if key == _ESCAPE:
            self.note = None
        elif key in _ERASE:
            self.note = self.note[:-1]
        elif key.isprintable():
            self.note += key
        return []
