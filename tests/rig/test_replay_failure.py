"""A decider that failed in the recording must fail on the same message in the replay."""

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


def session() -> dict[str, object]:
    nodes = {"failing": {"run": "tests.faults.failing"}}
    rig = Rig(name="test", disk_mb_s=0.0)
    chosen = SessionSettings(subject="X", seed=1, task_name="none", rig=rig, task={}, nodes=nodes)
    return dict(msgspec.to_builtins(msgspec.structs.replace(chosen, about={"commit": "installed"})))


def published_until(n: int) -> list[Message]:
    """Return what the failing decider publishes before wheel n."""
    return [Pulse(t * MS, "frame") for t in range(1, n)]


def recorded(folder: Path, *of_failing: Message) -> Report:
    """Replay a log of wheels and of the decider's recorded messages."""
    wheels = [Wheel(t * MS, t, 0.0) for t in range(1, LAST + 20)]
    messages: list[tuple[str, Message]] = [("launch", Start(0, session()))]
    messages += [("hardware", wheel) for wheel in wheels]
    messages += [("failing", message) for message in of_failing]
    messages.sort(key=lambda pair: pair[1].t)
    stop = Stop(END, WHY, ("hardware",))
    write_log(folder, enveloped([*messages, ("launch", stop)]))
    return replay(folder, [], {})


def failed(why: Fault) -> list[Message]:
    """Return the messages of a decider that failed with this Fault."""
    return [
        *published_until(LAST),
        why,
        Pulse(LAST * MS, "last"),
        Ended(LAST * MS + 1, why.text, failed=True, messages={}),
    ]


def test_a_failure_is_replayed_with_the_messages_around_it(
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
    output = capsys.readouterr().out
    assert f"failing failed on the same message as in the recording: {WHY}" in output
    assert f"identical: {LAST + 1} messages" in output


def test_a_failure_with_another_text_is_found(tmp_path: Path) -> None:
    report = recorded(tmp_path, *failed(Fault(LAST * MS, "KeyError: 'leaf8'")))
    assert report.first is not None
    assert (report.first.old, report.first.new) == (
        Fault(LAST * MS, "KeyError: 'leaf8'"),
        Fault(LAST * MS, WHY),
    )
    assert report.failed == {}
    assert "another version of rig" in report.recorded_by


def test_a_failure_that_was_not_recorded_is_found(tmp_path: Path) -> None:
    sound = [
        *published_until(LAST + 20),
        Pulse(END, "last"),
        Ended(END, "", failed=False, messages={}),
    ]
    report = recorded(tmp_path, *sound)
    assert report.first is not None
    assert report.first.new == Fault(LAST * MS, WHY)


def test_an_outside_failure_is_not_expected_again(tmp_path: Path) -> None:
    silent = Fault(30 * MS, "the hub is silent", outside=True)
    messages = [*published_until(30), silent, Ended(31 * MS, silent.text, failed=True, messages={})]
    report = recorded(tmp_path, *messages)
    assert report.first is None
    assert report.compared == {"failing": 29}
    assert report.unproven == {"failing": LAST - 29 + 1}
    assert (report.failed, report.ended_outside) == ({}, {"failing": "the hub is silent"})


@pytest.mark.parametrize(("until", "code"), [(1, 1), (30, 0)])
def test_messages_before_an_outside_failure_are_verified(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    until: int,
    code: int,
) -> None:
    silent = Fault(until * MS, "the hub is silent", outside=True)
    end = Ended(until * MS, silent.text, failed=True, messages={})
    recorded(tmp_path, *published_until(until), silent, end)
    monkeypatch.setattr(sys, "argv", ["rig", "replay", str(tmp_path), "--verify"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == code
    output = capsys.readouterr().out
    assert (
        "failing: compared only up to a failure that no message caused (the hub is silent)"
        in output
    )
    assert ("nothing verified of failing" in output) == (code == 1)


def test_an_outside_fault_is_not_compared(tmp_path: Path) -> None:
    garbled = Fault(20 * MS, "a message was damaged", outside=True)
    messages = failed(Fault(LAST * MS, WHY))
    messages.insert(20, garbled)
    report = recorded(tmp_path, *messages)
    assert (report.first, report.compared) == (None, {"failing": LAST + 1})
