"""Create the files of frame rings, and remove them when the process that created them is gone."""

import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from rig.errors import Refused
from rig.settings.config import SessionSettings
from rig.transport.frame_ring import Ring, RingPlan

_SHM = Path("/dev/shm")
_PROC = Path("/proc")
_NAME = re.compile(r"rig-ring-(\d+)-(\d+)-")
"""Pattern of a ring's name: process id of its creator, and start of that process, as ids repeat."""
_BEGAN_FIELD = 19
"""Index of the start time in /proc/PID/stat, counted from the state (field 22 in man 5 proc)."""


def check_room(session: SessionSettings) -> None:
    """Check that the session's ring fits into shared memory. Raises Refused if it does not.

    Rings of crashed sessions are removed first, as otherwise they occupy memory until the computer
    restarts.
    """
    if "stream" not in session.nodes:
        return
    where = _where()
    sweep(where)
    needed_mb = session.rig.ring_slots * session.rig.ring_slot_mb
    free_mb = shutil.disk_usage(where).free / 1e6
    if free_mb < needed_mb:
        raise Refused(
            f"{where} has {free_mb:.0f} MB free and the ring of imaging frames needs "
            f"{needed_mb:.0f} MB; make room there, or set rig.ring_slots lower"
        )


def make_ring(session: SessionSettings, folder: Path) -> RingPlan | None:
    """Create the session's ring, empty; return None if no node streams frames.

    All memory of the ring is allocated now. Raises Refused if there is not enough.
    """
    if "stream" not in session.nodes:
        return None
    where = _where()
    maker = os.getpid()
    name = f"rig-ring-{maker}-{process_start(maker) or 0}-{folder.parent.name}-{folder.name}"
    plan = RingPlan(
        str(where / name), session.rig.ring_slots, int(session.rig.ring_slot_mb * 1_000_000)
    )
    try:
        Ring(plan, create=True).close()
    except OSError as error:
        Path(plan.path).unlink(missing_ok=True)
        raise Refused(
            f"the ring of imaging frames cannot be made in {where} ({error.strerror}); make room "
            "there, or set rig.ring_slots lower"
        ) from error
    return plan


def sweep(where: Path) -> None:
    """Remove the rings of processes that are gone; without /proc nothing is removed."""
    if process_start(os.getpid()) is None:
        return
    for ring in where.glob("rig-ring-*"):
        maker = _NAME.match(ring.name)
        if maker is not None and process_start(int(maker[1])) != int(maker[2]):
            with suppress(PermissionError):  # the ring of another user
                ring.unlink(missing_ok=True)


def _where() -> Path:
    return _SHM if os.access(_SHM, os.W_OK) else Path(tempfile.gettempdir())


def process_start(pid: int) -> int | None:
    """Return the start of a process, in clock ticks since boot; None if it ended, or no /proc."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[_BEGAN_FIELD])
