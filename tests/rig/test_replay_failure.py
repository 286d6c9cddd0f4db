"""A decider that failed fails again in replay, on the same word; its words are all compared."""

import sys
from pathlib import Path

import msgspec
import pytest

from rig.cli.main import main
from rig.messages import Ended, Fault, Message, Pulse, Start, Stop, Wheel
from rig.replay.replay import Report, replay
from rig.settings.config import Rig, SessionSettings
from tests.analysis.logs import MS, enveloped, write_log
from tests.faults.failing import LAST

WHY = "KeyError: 'leaf9'"
END = (LAST + 20) * MS


def session(schema: str = "2") -> dict[str, object]:
    nodes = {"failing": {"run": "tests.faults.failing"}}
    rig = Rig(name="test", disk_mb_s=0.0)
    chosen = SessionSettings(subject="X", seed=1, task_name="none", rig=rig, task={}, nodes=nodes)
    return dict(msgspec.to_builtins(msgspec.structs.replace(chosen, about={"schema": schema})))


def said_until(n: int) -> list[Message]:
    """Return what the failing decider says up to wheel n."""
    return [Pulse(t * MS, "frame") for t in range(1, n)]


def recorded(folder: Path, *of_failing: Message, schema: str = "2") -> Report:
    """Replay a log of wheels, and of what the decider is to have said."""
    wheels = [Wheel(t * MS, t, 0.0) for t in range(1, LAST + 20)]
    messages: list[tuple[str, Message]] = [("launch", Start(0, session(schema)))]
    messages += [("hardware", wheel) for wheel in wheels]
    messages += [("failing", message) for message in of_failing]
    messages.sort(key=lambda pair: pair[1].t)
    stop = Stop(END, WHY, ("hardware",))
    write_log(folder, enveloped([*messages, ("launch", stop)]))
    return replay(folder, [], {})


def failed(why: Fault) -> list[Message]:
    """Return the words of a decider that failed in that way."""
    return [
        *said_until(LAST),
        why,
        Pulse(LAST * MS, "last"),
        Ended(LAST * MS + 1, why.text, failed=True, messages={}),
    ]


def test_a_failure_is_said_again_with_the_words_before_and_after_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = recorded(tmp_path, *failed(Fault(LAST * MS, WHY)))
    assert (report.first, report.unproven) == (None, {})
    assert report.compared == {"failing": LAST + 1}
    assert (report.failed, report.ended_outside) == ({"failing": WHY}, {})
    monkeypatch.setattr(sys, "argv", ["rig", "replay", str(tmp_path), "--verify"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert f"failing failed as in the recording, on the same message: {WHY}" in said
    assert f"the same: {LAST + 1} messages" in said


def test_a_failure_that_said_otherwise_is_found(tmp_path: Path) -> None:
    report = recorded(tmp_path, *failed(Fault(LAST * MS, "KeyError: 'leaf8'")))
    assert report.first is not None
    assert (report.first.old, report.first.new) == (
        Fault(LAST * MS, "KeyError: 'leaf8'"),
        Fault(LAST * MS, WHY),
    )
    assert report.failed == {}
    assert "another version of rig" in report.recorded_by


def test_a_failure_that_was_none_then_is_found(tmp_path: Path) -> None:
    sound = [*said_until(LAST + 20), Pulse(END, "last"), Ended(END, "", failed=False, messages={})]
    report = recorded(tmp_path, *sound)
    assert report.first is not None
    assert report.first.new == Fault(LAST * MS, WHY)


def test_what_came_from_outside_is_no_failure_to_find(tmp_path: Path) -> None:
    silent = Fault(30 * MS, "the hub is silent", outside=True)
    said = [*said_until(30), silent, Ended(31 * MS, silent.text, failed=True, messages={})]
    report = recorded(tmp_path, *said)
    assert report.first is None
    assert report.compared == {"failing": 29}
    assert report.unproven == {"failing": LAST - 29 + 1}
    assert (report.failed, report.ended_outside) == ({}, {"failing": "the hub is silent"})


@pytest.mark.parametrize(("until", "code"), [(1, 1), (30, 0)])
def test_what_was_ended_from_outside_is_proved_if_it_said_anything_before(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    until: int,
    code: int,
) -> None:
    silent = Fault(until * MS, "the hub is silent", outside=True)
    end = Ended(until * MS, silent.text, failed=True, messages={})
    recorded(tmp_path, *said_until(until), silent, end)
    monkeypatch.setattr(sys, "argv", ["rig", "replay", str(tmp_path), "--verify"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == code
    said = capsys.readouterr().out
    assert "ended by something other than a message (the hub is silent); compared up to" in said
    assert ("nothing proved of failing" in said) == (code == 1)


def test_a_log_that_did_not_tell_faults_apart_is_compared_without_them(tmp_path: Path) -> None:
    report = recorded(tmp_path, *failed(Fault(LAST * MS, "'leaf9'")), schema="1")
    assert report.first is None
    assert report.compared == {"failing": LAST - 1}


def test_a_remark_of_the_wire_is_heard_and_not_compared(tmp_path: Path) -> None:
    garbled = Fault(20 * MS, "a word on the wire was garbled", outside=True)
    said = failed(Fault(LAST * MS, WHY))
    said.insert(20, garbled)
    report = recorded(tmp_path, *said)
    assert (report.first, report.compared) == (None, {"failing": LAST + 1})
