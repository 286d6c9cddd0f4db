"""Print safely to every terminal, encoding and pipe.

Notes, names and file names may contain square brackets, which rich would interpret as markup,
control characters, which a terminal would execute, and letters that the encoding lacks. A pipe may
have no reader any more. None of these may cause an error.
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
"""Replacements of characters that the encoding lacks. Other such characters are replaced by the
letter without its accent, or else by "?"."""
_HANDLER = "rig.plain"
_CONTROL = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], "?")
"""Replacements of control characters other than a tab or the end of a line."""
del _CONTROL[ord("\t")], _CONTROL[ord("\n")]


def new_console(stderr: bool = False, file: TextIO | None = None) -> Console:
    """Return a console that prints text without markup; use `Text` and `style` for colours."""
    return _Console(stderr=stderr, file=file, markup=False, emoji=False, highlight=False)


class _Console(Console):
    """A console that replaces control characters in texts, but not those that rich adds."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(segment.text.translate(_CONTROL), segment.style)


def make_printable() -> None:
    """Make stdout and stderr replace characters that their encoding lacks, without an error.

    A Windows console or a redirected file may be in cp1252, a terminal in ASCII; a file name may
    contain bytes that are not valid text. All consoles of the command line, those of rich and of
    click, print to these two streams.
    """
    codecs.register_error(_HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a test may use another kind of stream
            stream.reconfigure(errors=_HANDLER)


def protect_output() -> None:
    """Make commands continue if the reader of their output has ended, or if there is none.

    A stream that is closed, as a service or a command with `>&-` may find it, becomes the null
    device; otherwise the next file to be opened would get its descriptor.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
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
    """Save a report in the user's state folder, or else in the private one; None if both fail."""
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
    """A stream that drops its output if the reader has ended."""

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
        """Discard all further output, including that at the exit of the interpreter."""
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
