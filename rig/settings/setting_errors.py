"""Explain a wrong setting to the person who wrote it.

msgspec reports a wrong value only as an English sentence that ends with the path of the value. The
patterns below parse these sentences; a test checks them with the installed version of msgspec.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, get_args, get_type_hints

import msgspec

from rig.errors import Refused

_NAMES = {
    "float": "a number",
    "int": "a whole number",
    "str": "text",
    "bool": "true or false",
    "object": "a table",
    "array": "a list",
    "null": "nothing",
}
_AT = re.compile(r" - at `\$\.?(.*?)`$")
_EXPECTED = re.compile(r"Expected `([^`]+)`(.*)")
_GOT = re.compile(r", got `([^`]+)`")


class WrongSetting(Refused):
    """Raised for a wrong setting; `path` is its dotted path in the session, as in --set."""

    def __init__(self, text: str, path: str) -> None:
        super().__init__(text)
        self.path = path


def wrong_setting(error: msgspec.ValidationError, kind: Any, where: str) -> WrongSetting:
    """Return the refusal of wrong settings.

    Args:
        error: The error of msgspec.
        kind: The type that the settings should have.
        where: The table or file of the settings.
    """
    text, at = str(error), ""
    if found := _AT.search(text):
        text, at = text[: found.start()], found.group(1)
    if unknown := re.match(r"Object contains unknown field `(.*)`", text):
        name = unknown.group(1)
        like = get_close_matches(name, _keys(kind, at), 1, 0.6)
        hint = f"did you mean `{like[0]}`?" if like else "correct it or remove it"
        return _wrong(f"{where}: there is no key `{_joined(at, name)}`; {hint}", where, at, name)
    if missing := re.match(r"Object missing required field `(.*)`", text):
        name = missing.group(1)
        return _wrong(f"{where}: the key `{_joined(at, name)}` is missing; add it", where, at, name)
    what = f"`{at}` {_must(text)}" if at else f"the table {_must(text)}"
    return _wrong(f"{where}: {what}; {_remedy(text)}", where, at, "")


@contextmanager
def blamed_on(sets: Sequence[str]) -> Iterator[None]:
    """Within this context, add the --set text to the refusal of a setting that it has set."""
    try:
        yield
    except WrongSetting as wrong:
        for text in sets:
            path = text.partition("=")[0].strip()
            if _within(wrong.path, path) or _within(path, wrong.path):
                raise Refused(f"{wrong} (it came from --set {text})") from wrong
        raise


def _must(text: str) -> str:
    """Return what a value must be, from msgspec's sentence."""
    if choice := re.match(r"Invalid enum value (.*)", text):
        return f"cannot be {choice.group(1)}"
    expected = _EXPECTED.match(text)
    if expected is None:
        return f"is wrong: {text[0].lower()}{text[1:]}"
    kinds = " or ".join(_named(name) for name in expected.group(1).split(" | "))
    rest, got = expected.group(2), _GOT.search(expected.group(2))
    if got is None:
        return f"must be {kinds}{rest}"
    return f"must be {kinds}, not {_named(got.group(1))}"


def _remedy(text: str) -> str:
    """Return what to do about a wrong value: often text instead of a number, or the reverse."""
    expected, got = _EXPECTED.match(text), _GOT.search(text)
    if expected is None or got is None:
        return "correct that key"
    kinds = expected.group(1).split(" | ")
    if got.group(1) == "str" and {"int", "float", "bool"} & set(kinds):
        return "write it without quotes"
    if kinds[0] == "str" and got.group(1) in ("int", "float", "bool"):
        return 'put it in quotes ("...")'
    return "correct that key"


def _named(name: str) -> str:
    return _NAMES.get(name, f"`{name}`")


def _wrong(text: str, where: str, at: str, name: str) -> WrongSetting:
    table = re.fullmatch(r"\[(.+)\]", where)
    prefix = table.group(1) if table else "task" * where.startswith("task ")
    return WrongSetting(text, _joined(prefix, _joined(at, name)))


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path and key else path or key


def _within(path: str, table: str) -> bool:
    """Return True if a dotted path is a table or within it; `[...]` matches any key."""
    parts, tables = (re.sub(r"\[", ".[", text).split(".") for text in (path, table))
    pairs = zip(parts, tables, strict=False)
    return bool(table) and len(parts) >= len(tables) and all(_alike(a, b) for a, b in pairs)


def _alike(a: str, b: str) -> bool:
    return a == b or "[" in (a[:1], b[:1])


def _keys(kind: Any, at: str) -> list[str]:
    """Return the keys of the table at a path in a settings type; empty if it is not a table."""
    for part in filter(None, re.split(r"\.|(\[[^]]*\])", at)):
        kind = _inside(kind, part)
    found = _struct(kind)
    return [] if found is None else list(found.__struct_encode_fields__)


def _inside(kind: Any, part: str) -> Any:
    if part.startswith("["):
        return next(iter(get_args(_bare(kind))[-1:]), None)
    found = _struct(kind)
    return None if found is None else get_type_hints(found, include_extras=True).get(part)


def _struct(kind: Any) -> Any:
    options = [kind, *get_args(_bare(kind))]
    return next((o for o in options if isinstance(o, type) and issubclass(o, msgspec.Struct)), None)


def _bare(kind: Any) -> Any:
    """Return a type without its bounds."""
    return get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
