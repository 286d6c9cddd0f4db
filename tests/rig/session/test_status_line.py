"""The status line shows findings, and the end table the verdict of the integrity process."""

from io import StringIO

import msgspec
import pytest
from rich.console import Console

from rig.cli.sessions.end_summary import integrity_row
from rig.messages import Integrity
from rig.session.status_line import StatusLine
from rig.transport.envelope import Envelope

ENVELOPE = Envelope("integrity", 0, 0, 0, 0, msgspec.Raw())


def shown(*messages: Integrity) -> str:
    line = StatusLine()
    for message in messages:
        line.handle(ENVELOPE, message)
    console = Console(file=StringIO(), width=300)
    console.print(line.text(0, ""))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_last_finding_and_the_number_of_findings_are_shown() -> None:
    sound = Integrity(0, 1, 0, True, (), True, 1, 1)
    late = Integrity(0, 2, 1, True, ("edge late",), False, 2, 2, "frame 2: edge late")
    assert "NOT SOUND" not in shown(sound)
    assert "2 NOT SOUND: frame 2: edge late" in shown(sound, late, sound, late)


@pytest.mark.parametrize(
    ("verdict", "row"),
    [
        (None, "not checked: the setup has no integrity process"),
        (
            {"sound": True, "edges": 9, "pages": 9, "findings": {}},
            "sound: 9 edges of the frame clock, 9 frames saved",
        ),
        (
            {"sound": False, "edges": 9, "pages": 8, "findings": {"page lost": 1}},
            "NOT SOUND: page lost 1 (9 edges of the frame clock, 8 frames saved)",
        ),
    ],
)
def test_the_end_table_says_whether_it_was_sound(verdict: dict[str, object], row: str) -> None:
    assert integrity_row(verdict) == row
