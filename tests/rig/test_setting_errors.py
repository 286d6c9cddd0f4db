"""A wrong setting is reported in plain English, with its source and the probable key."""

import re
from typing import Annotated, Any, Literal

import msgspec
import pytest

from rig.errors import Refused
from rig.settings.config import convert
from rig.settings.setting_errors import WrongSetting, blamed_on


class _Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class Inner(_Settings, kw_only=True):
    speed_cm_s: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    trials: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    mode: Literal["active", "passive"] = "active"
    names: list[str] = []
    share: Annotated[float, msgspec.Meta(gt=0)] | None = None


class Outer(_Settings, kw_only=True):
    must: int
    inner: Inner = msgspec.field(default_factory=Inner)
    by_name: dict[str, Inner] = {}
    rows: list[Inner] = []


SENTENCES: list[tuple[dict[str, Any], str]] = [
    ({"inner": {"speed_cm_s": "fast"}}, "`inner.speed_cm_s` must be a number, not text"),
    ({"inner": {"speed_cm_s": -1}}, "`inner.speed_cm_s` must be a number >= 0.0"),
    ({"inner": {"trials": 1.5}}, "`inner.trials` must be a whole number, not a number"),
    ({"inner": {"trials": True}}, "`inner.trials` must be a whole number, not true or false"),
    ({"inner": {"mode": "actve"}}, "`inner.mode` cannot be 'actve'"),
    ({"inner": {"names": [1]}}, "`inner.names[0]` must be text, not a whole number"),
    ({"inner": {"share": "x"}}, "`inner.share` must be a number or nothing, not text"),
    ({"inner": 3}, "`inner` must be a table, not a whole number"),
    ({"inner": {"trails": 1}}, "there is no key `inner.trails`; did you mean `trials`?"),
    ({"iner": {}}, "there is no key `iner`; did you mean `inner`?"),
    ({"by_name": {"k": {"tirals": 1}}}, "did you mean `trials`?"),
    ({"rows": [{"tirals": 1}]}, "did you mean `trials`?"),
    ({"qqqq": 1}, "there is no key `qqqq`; correct it or remove it"),
]


@pytest.mark.parametrize(("table", "sentence"), SENTENCES, ids=[s for _, s in SENTENCES])
def test_errors_are_in_plain_english(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        convert({"must": 1, **table}, Outer, "mine.toml")
    assert str(refused.value).startswith("mine.toml: ")
    assert sentence in str(refused.value)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(Refused, match=r"mine\.toml: the key `must` is missing; add it"):
        convert({}, Outer, "mine.toml")


@pytest.mark.parametrize(
    ("where", "table", "sets", "blamed"),
    [
        ("task train1", {"must": "x"}, ["rig.name=y", "task.must=x"], True),
        ("task train1", {"must": "x"}, ["task.inner.trials=2"], False),
        ("task train1", {"must": "x"}, ["nodes.task.must=x"], False),
        ("[nodes.display]", {"must": 1, "iner": 1}, ["nodes.display.iner=1"], True),
        ("[nodes.display]", {"must": 1, "inner": {"q": 1}}, ["nodes.display.inner={q=1}"], True),
        ("[nodes.display]", {"must": 1, "rows": [{"q": 1}]}, ["nodes.display.rows=[{q=1}]"], True),
        ("simulated.toml", {"must": 1, "by_name": {"a": 1}}, ["by_name.a=1"], True),
        ("simulated.toml", {"must": 1, "by_name": {"a": 1}}, [], False),
    ],
)
def test_a_value_of_the_command_line_is_named_as_such(
    where: str, table: dict[str, Any], sets: list[str], blamed: bool
) -> None:
    with pytest.raises(Refused) as refused, blamed_on(sets):
        convert(table, Outer, where)
    assert ("(it came from --set " in str(refused.value)) == blamed
    assert blamed == (type(refused.value) is not WrongSetting)


@pytest.mark.parametrize(
    ("table", "remedy"),
    [
        ({"inner": {"speed_cm_s": "3.0"}}, "must be a number, not text; write it without quotes"),
        (
            {"inner": {"names": [2026]}},
            'must be text, not a whole number; put it in quotes ("...")',
        ),
    ],
)
def test_the_remedy_is_named(table: dict[str, Any], remedy: str) -> None:
    with pytest.raises(Refused, match=re.escape(remedy)):
        convert({"must": 1, **table}, Outer, "mine.toml")


def test_the_sentences_of_msgspec_are_those_that_are_parsed() -> None:
    """With another version, run this file's tests first: `setting_errors` reads its sentences."""
    assert msgspec.__version__.startswith("0.22.")
    for table, sentence in SENTENCES:
        with pytest.raises(Refused) as refused:
            convert({"must": 1, **table}, Outer, "mine.toml")
        assert "is wrong: " not in str(refused.value), sentence  # a sentence it could not read
