"""Make every console able to print everything, whatever its character encoding."""

import codecs
import sys
import unicodedata

_PLAIN = str.maketrans({"≠": "!=", "≥": ">=", "≤": "<=", "±": "+/-", "µ": "u", "█": "#", "│": "|"})
"""What is printed for a character that the encoding lacks. For others: the letter without its
accent, else "?"."""
_HANDLER = "rig.plain"


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


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(map(_plain, missing)), error.end


def _plain(character: str) -> str:
    bare = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return bare or "?"
