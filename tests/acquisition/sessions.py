"""Whole sessions of the simulated rig in virtual time: a minute of imaging in a second."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from behavior.hardware import Hardware
from rig import virtual_session
from rig.messages import Message
from rig.process import completed
from rig.settings.config import resolve
from rig.transport.envelope import Envelope
from tests.live import SETUP, SHORT, TASK

Kind = TypeVar("Kind", bound=Message)
Published = list[tuple[Envelope, Message]]
LEFT_OUT = ("display", "referee", "online")


def run(
    *sets: str,
    trials: int = 3,
    end_s: float | None = None,
    without: tuple[str, ...] = LEFT_OUT,
) -> Published:
    """Run a session in this folder; return the messages published."""
    answers = resolve(SETUP, TASK, "test", 1, [*SHORT, f"task.trials={trials}", *sets])
    for name, source in answers.files.items():
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy(source, name)
    nodes = {k: v for k, v in answers.session.nodes.items() if k not in without}
    if "mesoscope" in without:
        nodes["task"] = {k: v for k, v in nodes["task"].items() if k != "imaging"}
    session = completed(msgspec.structs.replace(answers.session, nodes=nodes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hardware, "period_s", 0.005)  # five times as fast
        return virtual_session.run(session, None if end_s is None else round(end_s * 1e9))


def of(published: Published, kind: type[Kind]) -> Sequence[Kind]:
    """Return the messages of a type."""
    return [message for _, message in published if isinstance(message, kind)]
