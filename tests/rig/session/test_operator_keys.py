"""The operator's keys and the status line."""

from rig.clock import SetClock
from rig.messages import Fault, Lick, Message, Position, TrialStart, Valve
from rig.session.operator_keys import OperatorKeys
from rig.session.status_line import StatusLine
from rig.transport.envelope import Sender


def typed(text: str) -> list[tuple[str, str]]:
    keys = OperatorKeys()
    return [asked for key in text for asked in keys.press(key)]


def test_each_key_is_a_verb_and_other_keys_are_ignored() -> None:
    assert typed("xp?sq") == [("pause", ""), ("stop", ""), ("quit", "")]


def test_a_note_takes_all_keys_until_enter() -> None:
    assert typed("nquiet mousr\x7fe\ns") == [("note", "quiet mouse"), ("stop", "")]
    assert typed("n\n") == []
    assert typed("noops\x1bs") == [("stop", "")]
    assert typed("na\x15b\n") == [("note", "ab")]


def test_water_is_confirmed_by_enter_and_dropped_by_any_other_key() -> None:
    assert typed("w\n") == [("water", "")]
    assert typed("wx\n") == []
    assert typed("wp\nw\r") == [("pause", ""), ("water", "")]
    assert typed("nw\n") == [("note", "w")]
    assert typed("wwwwwwww") == []  # the key is held down
    keys = OperatorKeys()
    keys.press("w")
    assert "Enter gives one manual reward" in keys.question
    keys.press("\n")
    assert keys.question == ""


def shown(*messages: Message, now: int = 0) -> str:
    line = StatusLine()
    sender = Sender("task", SetClock())
    for message in messages:
        line.handle(sender.wrap(message), message)
    return line.text(now, "").plain


def test_the_line_shows_the_newest_of_everything() -> None:
    trial = TrialStart(0, 7, "leaf1", None, True, 4.0, 2.0, 1.0, "active", 0.0)
    text = shown(
        trial,
        Position(1, 7, 1.25, 33.0, True, "corridor"),
        Lick(1_000_000_000, "centre"),
        Valve(1, 1, "centre", 60.0, 3.0),
        Valve(1, 2, "centre", 0.0, 0.0, None, "too soon"),
        now=3_000_000_000,
    )
    assert "trial 7 leaf1 (rewarded)  1.25 m   33 cm/s" in text
    assert "last lick 2.0 s ago  water 3.0 ul (1)  no faults" in text


def test_the_line_shows_pause_and_faults() -> None:
    assert "PAUSED" in shown(Position(1, -1, 0.0, 0.0, False, "paused"))
    assert "1 FAULTS: task: the spout is wet" in shown(Fault(1, "the spout is wet"))


def test_a_setting_is_typed_as_name_and_value() -> None:
    assert typed("treward_ul=2.5\n") == [("set", "reward_ul=2.5")]
    assert typed("t\x1b") == []
    assert typed("t\nnx\n") == [("note", "x")]
