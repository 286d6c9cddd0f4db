"""Printing changes nothing: whatever the text, the encoding of the terminal, or the pipe.

Notes, names and file names may hold square brackets, which rich would take for its markup, control
characters, which a terminal would obey, and letters that the encoding lacks; nobody may be reading
a pipe any more.
"""

import codecs
import os
import sys
import traceback
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from rig.errors import Refused
from rig.session.provenance import about
from rig.transport.private_folder import private_folder

_PLAIN = str.maketrans({"≠": "!=", "≥": ">=", "≤": "<=", "±": "+/-", "µ": "u", "█": "#", "│": "|"})
"""What is printed for a character that the encoding lacks. For others: the letter without its
accent, else "?"."""
_HANDLER = "rig.plain"
_CONTROL = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], "?")
"""What is printed for a control character, other than a tab or the end of a line."""
del _CONTROL[ord("\t")], _CONTROL[ord("\n")]


def new_console(stderr: bool = False, file: TextIO | None = None) -> Console:
    """Return a console that prints text as it is: colours are given by `Text` and `style`."""
    return _Console(stderr=stderr, file=file, markup=False, emoji=False, highlight=False)


class _Console(Console):
    """A console whose text holds no control characters; colours and cursor are rich's own."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(segment.text.translate(_CONTROL), segment.style)


def make_printable() -> None:
    """Let stdout and stderr replace what their encoding lacks, in place of an error.

    A Windows console or a redirected file may be in cp1252, a terminal in ASCII; a file name may
    hold bytes that are text in no encoding. All consoles of the command line, rich's and click's,
    print through these two streams.
    """
    codecs.register_error(_HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a test may have put another kind of stream there
            stream.reconfigure(errors=_HANDLER)


def protect_output() -> None:
    """Let commands go on when nobody reads their output any more."""
    sys.stdout = cast(TextIO, _Output(sys.stdout))
    sys.stderr = cast(TextIO, _Output(sys.stderr))


def report_error(error: Exception) -> str:
    """Write a report on an unexpected error; return the sentence to print."""
    text = "".join(traceback.format_exception(error))
    kind = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    path = _saved(f"{sys.argv}\n{about()}\n\n{text}")
    if path is None:
        return f"unexpected error, a fault of this program ({kind}):\n{text}"
    return (
        f"unexpected error, a fault of this program ({kind}); please send the report {path} to "
        "its authors; if a session was running, run rig recover on its folder"
    )


def _saved(text: str) -> Path | None:
    """Save a report in the user's state folder, else in the private one; None if both are full."""
    name = f"error-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    for folder in (_state_folder, private_folder):
        try:
            path = folder() / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except (OSError, RuntimeError, Refused):  # RuntimeError: there is no home folder
            continue
        return path
    return None


def _state_folder() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "rig"


class _Output:
    """A stream that drops what nobody can read any more."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError:
            self._drop()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        """Send to nowhere what is still to be written, also when the interpreter exits."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(map(_plain, missing)), error.end


def _plain(character: str) -> str:
    bare = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return bare or "?"
