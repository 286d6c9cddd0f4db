"""Read TOML files; a mistake in a file is refused with its line and a correction."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from rig.errors import Refused

T = TypeVar("T")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""The first bytes of a file written by Windows PowerShell with `>`."""
_CURLY_QUOTES = re.compile("[\u201c\u201d\u201e\u2018\u2019]")
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212"
_BACKSLASH_PATH = re.compile(r'"[^"]*\\[^"]*"')
_DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d+)")
_BOOLEAN = re.compile(r"(?i:true|yes|on|false|no|off)")
_BARE_TEXT = re.compile(r"([^=]+)=\s*([A-Za-z_][\w .-]*?)\s*(#.*)?")
_CONTROL = {"\t": r"\t", "\n": r"\n", "\r": r"\r", "\b": r"\b", "\f": r"\f", "\x1b": r"\e"}
_MAX_INTEGER = 2**63
"""Whole numbers in TOML must be smaller than this, and at least minus this."""
_USE_SLASHES = "write a path with / or in single quotes"


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; a byte order mark at its beginning is ignored.

    Raises Refused if the file does not exist, is not UTF-8 or not TOML, or if a text in it has a
    control character.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror}); check the path") from error
    text = _decoded(path, data)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Refused(_explain(path, text, str(error))) from error
    for key, value in _of_type(tree, "", str):
        if (escape := control_character(value)) is not None:
            raise Refused(
                f'{path}: in the value of {key}, {escape} within "..." is a control character, '
                f"not a backslash and a letter; {_USE_SLASHES}"
            )
    for key, number in _of_type(tree, "", int):
        if not _fits_64_bits(number):
            raise Refused(f"{path}: {key} has more than 64 bits; write a smaller whole number")
    return tree


def _fits_64_bits(number: int) -> bool:
    """Return True if a whole number has at most 64 bits, including its sign."""
    return -_MAX_INTEGER <= number < _MAX_INTEGER


def toml_value(text: str) -> Any:
    """Read one value as TOML; text that is not TOML is returned unchanged.

    Raises ValueError, with a sentence, if something else was probably meant.
    """
    text = text.strip()
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        advice = _advice_on_value(text)
        if advice is not None:
            raise ValueError(advice) from None
        return text
    if isinstance(value, str) and (escape := control_character(value)) is not None:
        raise ValueError(f'{escape} within "..." is a control character; {_USE_SLASHES}')
    if not all(_fits_64_bits(number) for _, number in _of_type(value, "", int)):
        raise ValueError("a whole number may have at most 64 bits; write a smaller one")
    return value


def control_character(text: str) -> str | None:
    """Return the TOML escape of the first control character of a text; None if there is none.

    It comes from a path such as "D:\\tif", in which TOML reads a tab.
    """
    return next((_CONTROL[letter] for letter in text if letter in _CONTROL), None)


def _decoded(path: Path, data: bytes) -> str:
    if data.startswith(_UTF16):
        raise Refused(f"{path} is UTF-16 text; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused(f"{path}, line {line}: this is not valid UTF-8; save it as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _explain(path: Path, text: str, error: str) -> str:
    """Return the error for a file that is not TOML: what is wrong, where, and what to do."""
    at = re.search(r" ?\(at line (\d+), column \d+\)", error)
    if at is None:
        reason = error.removesuffix(" (at end of document)")
        advice = _advice("", reason) if reason.startswith("Cannot") else "complete the last line"
        return f"{path} is not valid TOML: {reason}; {advice} (at the end of the file)"
    number = int(at.group(1))
    line = text.splitlines()[number - 1].strip() if number <= len(text.splitlines()) else ""
    reason = error[: at.start()]
    advice = _advice(line, reason)
    return f"{path}, line {number} is not valid TOML: {advice}: {line}"


def _advice(line: str, reason: str) -> str:
    """Return how to correct a line that is not TOML."""
    if reason.startswith("Cannot declare"):
        return "this table is in the file already; merge the two"
    if reason.startswith("Cannot overwrite"):
        return "this key is set already; remove one of the two lines"
    value = line.partition("=")[2].split("#")[0].strip()
    advice = _advice_on_characters(line) or _advice_on_value(value)
    if advice is None and (bare := _BARE_TEXT.fullmatch(line)):
        advice = f'put text in quotes, as in {bare.group(1).strip()} = "{bare.group(2)}"'
    return advice or f"{reason[:1].lower()}{reason[1:]}; correct this line"


def _advice_on_characters(line: str) -> str | None:
    """Return how to correct characters that look like others, as copied from a document."""
    code = line.partition("#")[0]
    space = next((c for c in code if c.isspace() and c not in " \t"), None)
    if space is not None:
        return f"replace the no-break or wide space (U+{ord(space):04X}) by an ordinary one"
    dash = next((c for c in code if c in _DASHES), None)
    return f'replace the dash "{dash}" by an ordinary minus sign (-)' if dash else None


def _advice_on_value(value: str) -> str | None:
    if _CURLY_QUOTES.search(value):
        return 'use straight quotes (") in place of curly ones'
    if _BACKSLASH_PATH.search(value):
        return _USE_SLASHES
    if comma := _DECIMAL_COMMA.fullmatch(value):
        return f"use a decimal point, as in {comma.group(1)}.{comma.group(2)}"
    if value not in ("true", "false") and _BOOLEAN.fullmatch(value):
        return "write true or false, in lower case"
    return None


def _of_type(table: Any, path: str, kind: type[T]) -> Iterator[tuple[str, T]]:
    """Yield the dotted path and the value of each value in a table that has a type."""
    if isinstance(table, dict):
        for key, value in table.items():
            yield from _of_type(value, f"{path}.{key}" if path else key, kind)
    elif isinstance(table, list):
        for value in table:
            yield from _of_type(value, path, kind)
    elif isinstance(table, kind):
        yield path, table
