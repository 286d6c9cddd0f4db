"""Only one process uses a rig at a time, whatever port or name is set."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rig.errors import Refused
from rig.session import locks
from rig.session.locks import RigLock, SubjectLock
from rig.settings.config import SessionSettings
from rig.transport.private_folder import private_folder
from tests.rig.animals import REAL, SIMULATED, session


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "locks"
    made.mkdir(mode=0o700)
    monkeypatch.setattr(locks, "private_folder", lambda: made)
    return made


def rig(
    module: str = REAL, name: str = "test", hub_port: int = 5571, **board: Any
) -> SessionSettings:
    one = session(module)
    one.nodes["hardware"]["boards"] = {"b": {"is": f"{module}:Board", **board}}
    return msgspec.structs.replace(
        one, rig=msgspec.structs.replace(one.rig, name=name, hub_port=hub_port)
    )


def harp(port: str) -> dict[str, Any]:
    return {"is": "behavior.devices.harp:Board", "model": "rig-avr", "port": port}


def refused(taken: SessionSettings, asked: SessionSettings, hand: str = "") -> bool:
    """Return whether a rig cannot be taken; "first" or "second" of the two is a person's hand."""
    with RigLock(taken, "a session of subject VR2", by_hand=hand == "first"):
        try:
            RigLock(asked, by_hand=hand == "second").release()
        except Refused as refusal:
            assert f"in use by a session of subject VR2, process {os.getpid()}" in str(refusal)
            return True
    RigLock(asked, by_hand=hand == "second").release()
    return False


@pytest.mark.parametrize(
    ("asked", "same"),
    [
        (rig(hub_port=6001), True),
        (
            rig(name="other"),
            True,
        ),  # the same class of board, without an address that distinguishes them
        (rig(name="other", **harp("/dev/ttyACM0")), False),
        (rig(SIMULATED, name="other"), False),
    ],
)
def test_two_rigs_cannot_use_one_board_whatever_their_port_or_name(
    asked: SessionSettings, same: bool
) -> None:
    assert refused(rig(), asked) == same


def test_a_board_is_identified_by_its_port_through_any_link(tmp_path: Path) -> None:
    (tmp_path / "ttyACM0").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyACM0")
    one = rig(name="one", **harp(str(tmp_path / "ttyACM0")))
    assert refused(one, rig(name="two", **harp(str(tmp_path / "by-id"))))
    assert not refused(one, rig(name="two", **harp(str(tmp_path / "ttyACM1"))))


def test_a_card_is_identified_by_its_device_alone() -> None:
    card: dict[str, Any] = {"is": "behavior.devices.nidaq:Board"}
    one = rig(name="one", **card)
    assert refused(one, rig(name="two", **card, device="Dev1", port="port1"))
    assert refused(one, rig(name="two", **card, device="dev1"))  # NI-DAQmx ignores case
    assert refused(one, rig(name="two", **card, address="localhost:31763"))
    assert not refused(one, rig(name="two", **card, address="other:31763"))
    assert not refused(one, rig(name="two", **card, device="Dev2"))


def test_simulated_rigs_of_other_ports_run_beside_each_other() -> None:
    assert refused(rig(SIMULATED), rig(SIMULATED))
    assert not refused(rig(SIMULATED), rig(SIMULATED, hub_port=6001))


@pytest.mark.parametrize("hand", ["first", "second"])
def test_a_running_simulated_rig_cannot_be_operated_by_hand_whatever_its_port(hand: str) -> None:
    assert refused(rig(SIMULATED), rig(SIMULATED, hub_port=6001), hand)
    assert refused(rig(SIMULATED), rig(SIMULATED), hand)
    assert not refused(rig(SIMULATED), rig(SIMULATED, name="test-2", hub_port=6001), hand)
    assert not refused(rig(SIMULATED, name="test-2"), rig(SIMULATED, hub_port=6001), hand)


def test_a_link_in_place_of_the_lock_is_not_followed(folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "thesis.txt"
    victim.write_text("three years")
    (folder / "rig-test.lock").symlink_to(victim)
    with pytest.raises(Refused, match="cannot check whether rig test is free"):
        RigLock(rig())
    assert victim.read_text() == "three years"


def test_a_lock_holds_without_a_name_if_the_disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        taken = RigLock(rig())
    with taken, pytest.raises(Refused, match="in use by a command that has just begun"):
        RigLock(rig())


def test_the_folder_of_the_locks_is_the_users_own(tmp_path: Path) -> None:
    for _ in range(2):
        folder = private_folder(tmp_path)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    with pytest.raises(Refused, match="is open to other users; run: chmod 700"):
        private_folder(tmp_path)
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(Refused, match="is not a folder of this user"):
        private_folder(tmp_path)


HOLDER = """
import subprocess, sys, time
from pathlib import Path
from rig.session.locks import SubjectLock
held = SubjectLock(Path(sys.argv[1]), "VR2")
child = subprocess.Popen(["sleep", "1000"], pass_fds=held.descriptors())
print(child.pid, flush=True)
time.sleep(1000)
"""


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[int]:
    """Yield the process that a killed session left behind; it still holds the animal's lock."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as launch:
        try:
            assert launch.stdout is not None
            pid = int(launch.stdout.readline())
            with pytest.raises(Refused, match="is already running"):
                SubjectLock(tmp_path, "VR2")
        finally:
            launch.kill()
    yield pid
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see whether a process is dead")
def test_an_animal_stays_locked_until_the_last_process_of_a_killed_session_has_ended(
    orphan: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match=f"was killed, .* still run .* kill -9 {orphan}$"):
        SubjectLock(tmp_path, "VR2", patience_s=0)
    waits = []

    def end_the_process(wait_s: float) -> None:
        waits.append(wait_s)
        if len(waits) == 1:
            os.kill(orphan, signal.SIGKILL)

    monkeypatch.setattr(time, "sleep", end_the_process)
    SubjectLock(tmp_path, "VR2").release()
    assert waits
