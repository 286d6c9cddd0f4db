"""Everything that went wrong in a session is in its findings, and first in its report."""

import ast
import fnmatch
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import get_args

import pytest

from acquisition.timing import frame_clock_alignment
from analysis.report import explanations
from analysis.report.write import report
from analysis.session import Session
from analysis.session.findings import findings
from analysis.session.summary import summarise
from rig.messages import Ended, Fault, Flip, Integrity, Lick, Message, Stop, TrialVerdict
from rig.transport.log import Completeness
from tests.analysis.logs import MS, START, enveloped, write_log
from tests.analysis.test_report import Messages, Page, _trial, made

ROOT = Path(__file__).parents[2]
WHOLE: Messages = [START, *_trial(0, "leaf1"), *_trial(1, "circle1")]
GOOD_END: Messages = [
    Stop(4000 * MS, "all trials done", ()),
    ("task", Ended(4001 * MS, "all trials done", False, {})),
]


def _flip(t_ms: int, number: int, late: bool = False) -> Message:
    return Flip(t_ms * MS, number, 0.0, 0, t_ms * MS, late)


def _stale(t_ms: int) -> Message:
    return Integrity(t_ms * MS, 0, None, False, ("picture stale",), False, 3, 3, "flip 7 is old")


WRONG: dict[str, tuple[Messages, tuple[str, str, int]]] = {
    "integrity": ([_stale(3000), *GOOD_END], ("integrity", "picture stale", 1)),
    "counts": (
        [
            Integrity(3000 * MS, 0, None, False, ("counts differ",), False, 9, 7, "9 edges"),
            Integrity(3000 * MS, 4, None, True, ("page lost",), False, 9, 7, "frame 4"),
            Integrity(3001 * MS, 5, None, True, ("page lost",), False, 9, 7, "frame 5"),
            *GOOD_END,
        ],
        ("integrity", "page lost", 2),
    ),
    "referee": (
        [("referee", TrialVerdict(3000 * MS, 1, ("two rewards", "no cue"))), *GOOD_END],
        ("referee", "two rewards", 1),
    ),
    "fault": (
        [("display", Fault(3000 * MS, "the window is gone")), *GOOD_END],
        ("display", "fault", 1),
    ),
    "late flips": (
        [_flip(100, 0), _flip(116, 1), _flip(150, 2, True), _flip(190, 3, True), *GOOD_END],
        ("display", "late flip", 2),
    ),
    "failed process": (
        [*GOOD_END, ("online", Ended(4002 * MS, "not enough memory", True, {}))],
        ("online", "process failed", 1),
    ),
    "hung": (
        [Stop(4000 * MS, "recorder hung: no heartbeat for 1.4 s", ()), *GOOD_END[1:]],
        ("launch", "session failed", 1),
    ),
    "launch died": ([], ("launch", "session failed", 1)),
}


@pytest.mark.parametrize(("messages", "wanted"), WRONG.values(), ids=WRONG)
def test_everything_that_went_wrong_is_first_on_the_page(
    tmp_path: Path, messages: Messages, wanted: tuple[str, str, int]
) -> None:
    page = made(tmp_path, [*WHOLE, *messages])
    listed = findings(Session(tmp_path))
    assert wanted in [(one.process, one.name, one.count) for one in listed]
    assert "Nothing went wrong" not in page.text
    for one in listed:
        assert page.text.index(one.name) < page.text.index("µl water")
        assert explanations.EXPLANATIONS[one.name].action in page.text
    summary = summarise(tmp_path, 0)
    assert len(summary["findings"]) == len(listed) > 0


def test_a_session_without_findings_says_so(tmp_path: Path) -> None:
    sound = Integrity(3000 * MS, 1, 0, True, (), True, 1, 1)
    page = made(tmp_path, [*WHOLE, _flip(100, 0), _flip(116, 1), sound, *GOOD_END])
    assert findings(Session(tmp_path)) == []
    assert "Nothing went wrong" in page.text
    assert "0 faults" in page.text


def test_a_gap_in_the_log_is_a_finding(tmp_path: Path) -> None:
    pairs = enveloped([*WHOLE, Lick(2512 * MS, "centre"), Lick(2600 * MS, "centre"), *GOOD_END])
    lost = next(at for at, (_, message) in enumerate(pairs) if message.t == 2512 * MS)
    write_log(tmp_path, pairs[:lost] + pairs[lost + 1 :])
    (one,) = findings(Session(tmp_path))
    assert (one.process, one.name, one.count) == ("hardware", "messages lost", 1)


def test_an_incomplete_log_is_a_finding(tmp_path: Path) -> None:
    pairs = enveloped([*WHOLE, *GOOD_END])
    write_log(tmp_path, pairs, Completeness(False, len(pairs), "the end of display"))
    (one,) = findings(Session(tmp_path))
    assert (one.process, one.name) == ("recorder", "log incomplete")
    assert "the end of display" in one.text
    report(tmp_path, tmp_path / "report.html")
    assert "Nothing went wrong" not in Page(tmp_path / "report.html").text


def test_a_process_without_a_last_message_was_killed(tmp_path: Path) -> None:
    start = START.__class__(0, {**START.session, "nodes": {"task": {}, "display": {}}})
    write_log(tmp_path, enveloped([start, *WHOLE[1:], *GOOD_END]))
    (one,) = findings(Session(tmp_path))
    assert (one.process, one.name) == ("display", "process killed")


def test_a_violation_is_one_finding_although_the_referee_also_publishes_a_fault(
    tmp_path: Path,
) -> None:
    messages: Messages = [
        ("referee", Fault(2900 * MS, "trial 1: no cue: drawn for 1 m")),
        ("referee", TrialVerdict(3000 * MS, 1, ("no cue",))),
        ("integrity", Fault(3000 * MS, "flip 7 is old")),
        _stale(3000),
    ]
    write_log(tmp_path, enveloped([*WHOLE, *messages, *GOOD_END]))
    assert [one.name for one in findings(Session(tmp_path))] == ["no cue", "picture stale"]


def test_pages_that_were_not_streamed_are_a_finding(tmp_path: Path) -> None:
    write_log(tmp_path, enveloped([*WHOLE, *GOOD_END]))
    (one,) = findings(Session(tmp_path), frames_written=3)
    assert (one.name, one.count) == ("frames missed", 3)


def test_the_page_of_findings_is_up_to_date() -> None:
    written = (ROOT / "docs" / "reference" / "findings.md").read_text(encoding="utf-8")
    assert written == explanations.page(), "run: python -m analysis.report.explanations"


def test_every_finding_that_the_code_can_publish_is_explained() -> None:
    published = set(get_args(frame_clock_alignment.Finding))
    for path in ("acquisition/integrity.py", "acquisition/timing/photodiode_check.py"):
        published |= set(_named(ROOT / path, {"_find", "Finding"}))
    for file in [ROOT / "behavior" / "referee.py", *(ROOT / "behavior" / "judging").glob("*.py")]:
        published |= set(_named(ROOT / file, {"report", "append"}))
    assert len(published) > 40
    explained = set(explanations.EXPLANATIONS)
    assert [name for name in published if not fnmatch.filter(explained, name)] == []
    dated = set(explanations.INTEGRITY) | set(explanations.REFEREE)
    assert [name for name in dated if not any(fnmatchcase(name, p) for p in published)] == []


def _named(path: Path, calls: set[str]) -> Iterator[str]:
    """Yield the names of findings that a module can publish.

    They are the first text among the arguments of these calls (in a tuple or not), and the first
    of the two texts that a rule yields. A name that is put together ends in "*".
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            yield from _texts(node.value.elts[0])
        elif isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in calls:
                texts = [text for argument in node.args for text in _texts(argument)]
                yield from texts[:1]


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value
    elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
        yield f"{node.values[0].value!s}*"
    elif isinstance(node, ast.Tuple):
        for part in node.elts:
            yield from _texts(part)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
