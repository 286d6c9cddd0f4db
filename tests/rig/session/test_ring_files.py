"""Frame rings of sessions: those of dead processes are removed, those of live ones are not."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from rig.errors import Refused
from rig.session import ring_files
from rig.session.session_folder import check_space, make
from rig.settings.config import ResolvedSession, Rig, SessionSettings

MAKES = """
import sys
from pathlib import Path
from rig.session import ring_files
from tests.rig.session.test_ring_files import session
ring_files._SHM = Path(sys.argv[1])
print(ring_files.make_ring(session(), Path("sub-test/ses-20260102_1")).path, flush=True)
sys.stdin.read()
"""


def session(node: str = "stream") -> SessionSettings:
    small = Rig(name="test", disk_mb_s=0.0, ring_slots=2, ring_slot_mb=10.0)
    return SessionSettings(
        subject="test", seed=1, task_name="t", rig=small, task={"minutes": 1.0}, nodes={node: {}}
    )


@contextmanager
def maker(where: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """Have another process make a ring and keep running; return it and the ring."""
    command = [sys.executable, "-c", MAKES, str(where)]
    pipe = subprocess.PIPE
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=root) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())


def test_a_killed_makers_ring_goes_as_the_next_session_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring_files, "_SHM", tmp_path)
    with maker(tmp_path) as (process, ring):
        assert ring.is_file()
        ring_files.sweep(tmp_path)
        assert ring.is_file()  # its maker lives
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        check_space(tmp_path, session())
        assert list(tmp_path.iterdir()) == []  # its maker is still a zombie
        assert process.wait() == -signal.SIGKILL


def test_a_reused_process_id_keeps_no_ring(tmp_path: Path) -> None:
    with maker(tmp_path) as (process, ring):
        began = ring.name.split("-")[3]
        before = tmp_path / f"rig-ring-{process.pid}-{int(began) - 1}-sub-test-ses-20260101_1"
        before.touch()
        ring_files.sweep(tmp_path)
        assert list(tmp_path.iterdir()) == [ring]
        process.kill()


def test_without_proc_no_ring_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_files, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(ring_files, "_SHM", tmp_path)
    left = tmp_path / "rig-ring-1-1-sub-test-ses-20260101_1"
    left.touch()
    check_space(tmp_path, session())
    plan = ring_files.make_ring(session(), tmp_path / "sub-test" / "ses-20260102_1")
    assert plan is not None and left.exists() and Path(plan.path).exists()


def test_a_ring_that_does_not_fit_into_shared_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring_files, "_SHM", tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=19e6))
    with pytest.raises(Refused, match=r"19 MB free and the ring .* needs 20 MB.*rig\.ring_slots"):
        check_space(tmp_path, session())
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=21e6))
    check_space(tmp_path, session())


def test_shared_memory_that_fills_up_before_the_ring_is_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int, offset: int, size: int) -> None:
        assert (offset, size) == (0, os.fstat(file).st_size) and size > 20e6
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    data, shm = tmp_path / "data", tmp_path / "shm"
    (data / "sub-test").mkdir(parents=True)
    shm.mkdir()
    monkeypatch.setattr(ring_files, "_SHM", shm)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(Refused, match=r"No space left on device.*rig\.ring_slots lower") as refused:
        make(ResolvedSession(session(), {}), data, 1, "2026-01-02T10:00:00.000+01:00", {})
    assert "\n" not in str(refused.value)
    assert list(shm.iterdir()) == [] and not list(data.rglob("ses-*"))


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    names = {"rig-ring-notes", "rig-ring-1-x-sub", "rig-lock-1-1-sub"}
    for name in names:
        (tmp_path / name).touch()
    ring_files.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_session_without_a_stream_has_no_ring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring_files, "_SHM", tmp_path)
    assert ring_files.make_ring(session("hardware"), tmp_path) is None
    assert list(tmp_path.iterdir()) == []
