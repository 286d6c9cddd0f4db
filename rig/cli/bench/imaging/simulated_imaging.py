"""Run a whole imaging session of a simulated mouse in one process and in virtual time."""

import contextlib
import shutil
from pathlib import Path

import msgspec

from rig import virtual_session
from rig.messages import Message, kind
from rig.process import completed
from rig.session.provenance import about
from rig.settings.config import resolve
from rig.subjects.session_identity import save_settings
from rig.transport.envelope import Envelope, pack
from rig.transport.log import LOG_FILE, Completeness, LogWriter

_NODES = ("hardware", "task", "mesoscope", "stream", "online")
"""The nodes that the analysis needs; screens are left out because they take time."""
_BEGAN = "2026-01-05T12:00:00+00:00"
"""The date of every such session, so that the same seed gives the same log on any day."""
_TICK_S = 0.02
"""Interval between wheel samples, seconds; 1 ms on a rig."""


def run_imaging_session(
    setup: Path, task: Path, folder: Path, seed: int, changes: list[str], tick_s: float = _TICK_S
) -> None:
    """Run a session of a simulated setup and write its log, settings and imaging files to a folder.

    Args:
        setup: The setup.
        task: The task.
        folder: An empty folder.
        seed: Random seed of the session.
        changes: Settings to change, as after --set.
        tick_s: Interval between wheel samples, s; a rig has 0.001.

    Raises:
        Refused: A setting is not valid.
    """
    resolved = resolve(setup, task, "simulated", seed, changes)
    nodes = {name: dict(resolved.session.nodes[name]) for name in _NODES}
    session = msgspec.structs.replace(resolved.session, nodes=nodes, began=_BEGAN, about=about())
    for name, source in resolved.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / name)
    session = completed(session)
    save_settings(folder, session)
    writer = LogWriter(folder / LOG_FILE)

    def keep(envelope: Envelope, message: Message) -> None:
        writer.append(kind(message), envelope, pack(envelope))

    with contextlib.chdir(folder):
        virtual_session.run(session, keep=keep, tick_s=tick_s)
    writer.close(Completeness(True, writer.count))
