"""Integrity: whole sessions report injected faults of the microscope, and nothing else."""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from acquisition.integrity import IntegrityCheck
from acquisition.simulation.ground_truth import read_truth
from rig.messages import Edge, Fault, Flip, Frame, Integrity, Message, Scan, Wheel
from rig.replay.replay import replay
from tests.acquisition.sessions import Published, of, run
from tests.analysis.logs import write_log

MS = 1_000_000
FAULTS = {
    "pages_lost=[9, 10, 17]": {9: ("page lost",), 10: ("page lost",), 17: ("page lost",)},
    "edges_lost=[1, 12]": {1: ("edge lost",), 12: ("edge lost",)},
    "edges_doubled=[11]": {11: ("edge doubled",)},
    "edges_late=[13, 14]": {13: ("edge late",), 14: ("edge late",)},
    "pages_doubled=[12]": {},
    "silent_from=14": {},
}


@pytest.fixture(autouse=True)
def session_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def messages(published: Published) -> list[Integrity]:
    return [message for _, message in published if isinstance(message, Integrity)]


def node(published: list[Message], **table: Any) -> IntegrityCheck:
    return IntegrityCheck(msgspec.convert(table, IntegrityCheck.Settings), published.append)


def test_a_sound_session_is_sound_and_every_frame_has_its_time() -> None:
    published = run()
    found = messages(published)
    frames = of(published, Frame)
    truth = read_truth(Path("imaging/field_00001.tif"))
    assert [w.frame for w in found[:-1]] == list(range(len(frames)))
    assert [w.t for w in found[:-1]] == truth.t_ns.tolist()
    assert all(w.sound and not w.findings for w in found)
    assert found[-1].edges == found[-1].pages == len(frames) > 15


@pytest.mark.parametrize("fault", FAULTS)
def test_injected_faults_are_named_and_shift_nothing(fault: str) -> None:
    key, _, value = fault.partition("=")
    # a silent frame clock pauses the session, and there is no operator to end it
    found = messages(run(f"nodes.mesoscope.injected_faults.{key}={value}", end_s=60.0))
    truth = read_truth(Path("imaging/field_00001.tif"))
    began = dict(zip(truth.number.tolist(), truth.t_ns.tolist(), strict=True))
    assert {w.number: w.findings for w in found if w.number and w.findings} == FAULTS[fault]
    for message in found[:-1]:
        assert abs(message.t - began[message.number]) < 10 * MS
    differs = key in ("pages_lost", "edges_lost", "edges_doubled")
    assert found[-1].findings == (("counts differ",) if differs else ())
    assert found[-1].sound == (not FAULTS[fault])


def test_a_microscope_that_dies_in_a_page_is_noticed() -> None:
    sets = ("nodes.mesoscope.injected_faults.crashes_in=8", "nodes.integrity.pages_behind_s=2")
    found = messages(run(*sets, end_s=30.0))
    names = [name for message in found for name in message.findings]
    assert names[0] == "pages behind"
    lost = [message.number for message in found if "page lost" in message.findings]
    assert lost == [8, 9]


def test_the_same_messages_give_the_same_findings() -> None:
    published = run(
        "nodes.mesoscope.injected_faults={pages_lost=[7],edges_late=[9],edges_lost=[12]}"
    )
    again: list[Message] = []
    check = node(again)
    for _, message in published:
        if isinstance(message, check.subscribes):
            check.handle(message)
    check.close()
    assert again == messages(published)


def test_it_reads_no_pixels_so_that_it_is_replayed_without_them(session_folder: Path) -> None:
    write_log(session_folder, run())
    shutil.rmtree("imaging")
    report = replay(session_folder, [], {})
    assert report.first is None and report.compared["integrity"] > 15


def test_a_frame_of_two_channels_has_one_edge() -> None:
    published: list[Any] = []
    check = node(published)
    for i in range(8):
        t = i * 300 * MS
        check.handle(Edge(t, "frame_clock", True))
        check.handle(Edge(t + 5 * MS, "frame_clock", False))
        check.handle(Edge(t + 7 * MS, "camera", True))
        for channel in (1, 2):
            where = ("a.tif", 0, 4, 4, i * 0.3)
            index = 2 * i + channel - 1
            check.handle(Frame(t + 310 * MS, index, *where, number=i + 1, channel=channel))
    check.close()
    assert published[-1].sound and published[-1].edges == published[-1].pages == 8


@pytest.mark.parametrize("header", [{"averaged": 2}, {"flyback_frames": 1}])
def test_edges_of_frames_that_are_not_saved_give_no_finding(header: dict[str, Any]) -> None:
    published: list[Any] = []
    check = node(published)
    check.handle(Scan(0, "a.tif", header, (0.0,)))
    for i in range(20):
        check.handle(Edge(i * 300 * MS, "frame_clock", True))
        if i % 2 == 0:
            frame = Frame(i * 300 * MS + 350 * MS, i // 2, "a.tif", 0, 4, 4, i * 0.3, number=i + 1)
            check.handle(frame)
        check.handle(Wheel(i * 300 * MS + 299 * MS, 0, 0.0))
    check.close()
    assert [w.findings for w in published if "wheel silent" not in w.findings] == [()] * 11


def flip(number: int, t: int, wheel_t: int) -> Flip:
    return Flip(t, number, 0.0, wheel_t, t, False)


@pytest.mark.parametrize(
    ("received", "finding"),
    [
        ([Wheel(0, 0, 0.0), Wheel(300 * MS, 0, 0.0)], "wheel silent"),
        ([Wheel(0, 0, 0.0), Wheel(1 * MS, 500, 6.75)], "wheel jumped"),
        ([Wheel(5 * MS, 0, 0.0), flip(0, 6 * MS, 5 * MS), flip(2, 9 * MS, 5 * MS)], "flip lost"),
        ([Wheel(5 * MS, 0, 0.0), flip(0, 600 * MS, 5 * MS)], "picture stale"),
        ([Wheel(5 * MS, 0, 0.0), flip(0, 9 * MS, 6 * MS)], "picture of no wheel"),
        ([Edge(0, "frame_clock", True), Wheel(6_000 * MS, 0, 0.0)], "pages behind"),
    ],
)
def test_each_disagreement_is_reported_once(received: list[Message], finding: str) -> None:
    published: list[Any] = []
    check = node(published)
    for message in received:
        check.handle(message)
    found = [message for message in published if message.findings]
    assert [message.findings for message in found] == [(finding,)]
    assert not found[0].sound and found[0].text


def test_flips_and_wheel_that_agree_give_no_finding() -> None:
    published: list[Any] = []
    check = node(published)
    for i in range(30):
        check.handle(Wheel(i * MS, i, i * 0.0135))
        check.handle(flip(i, i * MS + 5, i * MS if i else 0))
    check.close()
    assert [message.findings for message in published] == [()]


def test_a_lost_file_makes_the_session_unsound_within_two_seconds() -> None:
    published: list[Message] = []
    check = node(published)
    text = "imaging/a.tif was deleted during the session"
    check.handle(Fault(5 * MS, "something else"))
    check.handle(Fault(7 * MS, text, finding="file lost"))
    check.close()
    (found, last) = [message for message in published if isinstance(message, Integrity)]
    assert (found.t, found.findings, found.text) == (7 * MS, ("file lost",), text)
    assert not found.sound and not last.sound


def test_a_step_of_the_microscopes_clock_is_a_fault_within_a_second() -> None:
    published: list[Message] = []
    check = node(published)
    for i in range(12):
        t, step_s = i * 300 * MS, 5.0 if i >= 8 else 0.0
        check.handle(Edge(t, "frame_clock", True))
        check.handle(Wheel(t + 299 * MS, 0, 0.0))
        where = ("a.tif", 0, 4, 4, i * 0.3 + step_s)
        check.handle(Frame(t + 310 * MS, i, *where, number=i + 1))
        check.handle(Wheel(t + 335 * MS, 0, 0.0))
        if i == 8:
            (fault,) = [message for message in published if isinstance(message, Fault)]
            assert fault.text.startswith("frame 9: clock step (the times of ScanImage's frames")
            assert "step by +5.000 s" in fault.text
    check.close()
    frames = [message for message in published if isinstance(message, Integrity) and message.number]
    assert [message.t for message in frames] == [i * 300 * MS for i in range(12)]
    assert {m.number: m.findings for m in frames if m.findings} == {9: ("clock step",)}
