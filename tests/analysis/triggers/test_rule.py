"""Rules are parsed by their grammar, evaluated as written, and never executed as code."""

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.triggers.rule import Rule
from analysis.triggers.signals import Moment
from rig.errors import Refused

MS = 1_000_000


def moment(t_ms: float = 0.0, place: str = "texture", **values: Any) -> Moment:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return Moment(round(t_ms * MS), 0, named, place)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("position_m >= 2.0", {"position_m": 2.0}, True),
        ("position_m >= 2.0", {"position_m": 1.999}, False),
        ("2 < position_m", {"position_m": 2.5}, True),
        ("position_m > -1e-3", {"position_m": 0.0}, True),
        ('stimulus == "leaf1"', {"stimulus": "leaf1"}, True),
        ("stimulus != 'leaf1'", {"stimulus": "leaf1"}, False),
        ("moving", {"moving": True}, True),
        ("not moving", {"moving": True}, False),
        ("not moving or cued", {"moving": True, "cued": True}, True),
        ("not (moving and cued)", {"moving": True, "cued": False}, True),
        ("moving or cued and rewarded", {"moving": True, "cued": 0, "rewarded": 0}, True),
        ("(moving or cued) and rewarded", {"moving": True, "cued": 0, "rewarded": 0}, False),
        ("in texture", {}, True),
        ("in grey", {}, False),
        ("not in grey and in texture", {}, True),
        ("projection.medial > projection.V1", {"projection__medial": 2, "projection__V1": 1}, True),
        ("ramp>0.5 and licks<=1", {"ramp": 0.6, "licks": 1.0}, True),
    ],
)
def test_a_rule_is_evaluated(text: str, values: dict[str, Any], expected: bool) -> None:
    assert Rule(text).is_true(moment(**values)) is expected


@pytest.mark.parametrize(
    "text", ["ramp > 0", "not ramp > 0", "ramp != 1", "not (ramp < 1 or moving)"]
)
@pytest.mark.parametrize("undefined", [None, float("nan")])
def test_an_undefined_value_makes_neither_a_condition_nor_its_opposite_true(
    text: str, undefined: Any
) -> None:
    assert not Rule(text).is_true(moment(ramp=undefined, moving=False))


def test_an_undefined_value_does_not_matter_if_the_rest_decides() -> None:
    assert Rule("ramp > 0 or moving").is_true(moment(ramp=None, moving=True))
    assert Rule("not (ramp > 0 and moving)").is_true(moment(ramp=None, moving=False))


def test_for_counts_consecutive_frames_of_the_condition_before_it() -> None:
    rule = Rule("ramp > 0.5 for 2 frames and in texture")
    ramps = [(0.6, "texture"), (0.6, "grey"), (0.6, "texture"), (0.4, "texture"), (0.6, "texture")]
    found = [rule.is_true(moment(place=place, ramp=ramp)) for ramp, place in ramps]
    assert found == [False, False, True, False, False]
    assert rule.is_true(moment(ramp=0.6))
    rule.reset()
    assert not rule.is_true(moment(ramp=0.6))


def test_for_may_be_a_time_and_apply_to_a_bracket() -> None:
    rule = Rule("(moving and speed_cm_s > 10) for 200 ms")
    times = [(0, 20), (100, 20), (199, 20), (200, 20), (210, 5), (220, 20), (419, 20), (420, 20)]
    found = [rule.is_true(moment(t, moving=True, speed_cm_s=cm_s)) for t, cm_s in times]
    assert found == [False, False, False, True, False, False, False, True]


def test_a_condition_after_or_keeps_counting_while_another_is_true() -> None:
    rule = Rule("moving or ramp > 0 for 3 frames")
    for moving in (True, True):
        assert rule.is_true(moment(moving=moving, ramp=1.0))
    assert rule.is_true(moment(moving=False, ramp=1.0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 'a signal or a value is expected in place of "the end"'),
        ("postion_m > 1", 'no signal "postion_m"; did you mean "position_m"'),
        ("pupil > 1", 'no signal "pupil"; choose one of: position_m'),
        ("projection > 1", '"projection" needs an area, as in projection.anterior'),
        ("projection.frontal > 1", 'no area "frontal"; choose one of: V1, medial, lateral'),
        ("projection.all > 1", 'no area "all"'),
        ("activity.madial > 1", 'did you mean "medial"'),
        ("projection.V1.leaf1 > 1", "has too many parts; write projection.AREA, or"),
        ("activity.V1.leaf1.leaf2 > 1", "has too many parts; write activity.AREA, or"),
        ("in textur", 'no place "textur" after "in"; did you mean "texture"'),
        ("position_m", 'not compared with anything; add, for example, "> 0"'),
        ("position_m > 0,5", "use a decimal point"),
        ("position_m = 0.5", 'write "==" for equal'),
        ("position_m > 1 position_m < 2", "not expected there; join conditions by and, or"),
        ("(position_m > 1", 'a bracket is not closed before "the end"'),
        ("position_m > ", 'expected in place of "the end"'),
        ("stimulus == leaf1", 'no signal "leaf1"'),
        ("stimulus == 1", '"stimulus" is a text; compare it with a text in quotes'),
        ('stimulus > "leaf1"', "texts are compared by == or !="),
        ('position_m > "leaf1"', "compare it with a text in quotes, not with a number"),
        ("moving == 1", '"moving" is true or false; write it alone'),
        ("1 < 2", '"1 < 2" compares no signal'),
        ("ramp > 0 for 2", 'as in "for 2 frames" or "for 200 ms"'),
        ("ramp > 0 for 1.5 frames", 'not "1.5 frames"'),
        ("ramp > 0 for two frames", 'not "two frames"'),
        ("moving for 2 frames", "needs a signal of imaging frames; give a time in ms or s"),
        ('stimulus == "leaf1', "between two straight quotes"),
        ("__import__('os').system('x')", "not a part of a rule"),
        ("__class__", 'no signal "__class__"'),
        ("moving; moving", "not a part of a rule"),
        ("not " * 400 + "moving", "1000 characters at most"),
        ("not " * 200 + "moving", "50 brackets and nots at most"),
        ("(" * 400 + "moving" + ")" * 400, "50 brackets and nots at most"),
        ("position_m > 1e999", '"1e999" is too large a number'),
    ],
)
def test_a_wrong_rule_is_refused_with_what_to_write(text: str, expected: str) -> None:
    with pytest.raises(Refused) as refused:
        Rule(text)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=60) | st.lists(st.sampled_from(
    ["moving", "and", "or", "not", "(", ")", "for", "2", "frames", "in", "texture", ">", "ramp"]
), max_size=12).map(" ".join))  # fmt: skip
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    try:
        rule = Rule(text)
    except Refused as refused:
        assert str(refused)
        return
    rule.is_true(moment(moving=True, ramp=1.0))


FLAGS = ("moving", "cued", "rewarded")
flags = st.sampled_from(FLAGS)
trees = st.recursive(
    flags,
    lambda inner: (
        st.tuples(st.sampled_from(["and", "or"]), inner, inner) | st.tuples(st.just("not"), inner)
    ),
    max_leaves=12,
)


def _text(tree: Any) -> str:
    if isinstance(tree, str):
        return tree
    if tree[0] == "not":
        return f"not ({_text(tree[1])})"
    return f"({_text(tree[1])}) {tree[0]} ({_text(tree[2])})"


def _value(tree: Any, values: dict[str, bool]) -> bool:
    if isinstance(tree, str):
        return values[tree]
    if tree[0] == "not":
        return not _value(tree[1], values)
    join = {"and": operator.and_, "or": operator.or_}[tree[0]]
    return bool(join(_value(tree[1], values), _value(tree[2], values)))


@given(tree=trees, drawn=st.tuples(*[st.booleans()] * len(FLAGS)))
def test_conditions_are_joined_as_in_logic(tree: Any, drawn: tuple[bool, ...]) -> None:
    values = dict(zip(FLAGS, drawn, strict=True))
    found = Rule(_text(tree)).is_true(Moment(0, 0, {**values}, "texture"))
    assert found is _value(tree, values)
