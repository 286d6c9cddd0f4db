"""Recognize texts that can be stored, sent and printed on every terminal."""

import re

_NOT_PLAIN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters: a terminal would obey them
    "\u2028-\u202e\u2066-\u2069"  # line separators; reversed order of the letters
    "\ud800-\udfff]"  # half of a character, which cannot be encoded
)


def is_plain(text: str) -> bool:
    """Return True if a text is one line of characters that can be encoded and printed."""
    return _NOT_PLAIN.search(text) is None


def as_plain(text: str) -> str:
    """Return a text in which every character that is not plain is replaced by U+FFFD."""
    return _NOT_PLAIN.sub("\ufffd", text)
