"""The recorder's verdict on its log: whole only from the start to the end of launch."""

from pathlib import Path

import pytest

from rig.clock import SetClock
from rig.messages import Ended, Message, Start, Stop
from rig.process import RECORDER
from rig.recorder import Recorder
from rig.settings.config import convert
from rig.transport.envelope import Sender
from rig.transport.log import LOG_FILE, read_completeness
from tests.hubs import SESSION

START = Start(0, {"nodes": {"hardware": {}, RECORDER: {}}})
ENDED = Ended(1, "done", False, {})
STOPS = (Stop(2, "done", ("hardware",)), Stop(3, "done", (RECORDER,)))


@pytest.mark.parametrize(
    ("launch", "hardware", "missing"),
    [
        ((START, *STOPS), (ENDED,), ""),
        ((START, STOPS[0]), (ENDED,), "the end of launch"),
        ((START, *STOPS), (), "the end of hardware"),
        ((), (), "the end of launch"),
    ],
)
def test_a_log_is_whole_only_if_every_process_was_recorded_to_its_end(
    launch: tuple[Message, ...],
    hardware: tuple[Message, ...],
    missing: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    recorder = Recorder(convert({}, Recorder.Settings, "recorder"), list[Message]().append)
    recorder.open()
    for name, messages in (("launch", launch), ("hardware", hardware)):
        sender = Sender(name, SetClock(), session=SESSION)
        for message in messages:
            recorder.handle((sender.wrap(message), message))
    recorder.close()
    completeness = read_completeness(tmp_path / LOG_FILE)
    assert completeness is not None
    assert (completeness.whole, completeness.missing) == (not missing, missing)
