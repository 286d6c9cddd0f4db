"""Bad input gets one clear sentence and exit code 2, before anything moves, and leaves nothing."""

import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rig.cli.chaos.session_process import behavior_alone, free_port
from rig.messages import Wheel
from rig.session.locks import RigLock
from rig.settings.config import resolve
from rig.transport.hub import Hub
from tests.live import SETUP, TASK, Live
from tests.refusals import Try, refused

LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("task.no_such_key=1", "task train1: .*no_such_key"),
        ("task.corridor_cm_s=-1", "task train1: .*corridor_cm_s"),
        ("task.corridor_cm_s=fast", "task train1: .*corridor_cm_s"),
        ("task.trials=0", "task train1: .*trials"),
        ("task.reward_delay_ms=900", "leave the texture"),
        ("task.shares=[0.5, 0.6]", "shares add up to 1.1"),
        ("task.max_repeats=1", "strict alternation"),
        ("task.cohort=pretrained", "stage train1 is not for cohort pretrained"),
        ("task.water_for=['naive']", "cohort naive must never get water"),
        ("task.signals.reference=['leaf1','leaf2']", "reference must be one of the contrasts"),
        ("task.images_folder=nowhere", "there is no file in .*nowhere"),
        ("rig.hub_port=80", "simulated.toml: .*rig.hub_port"),
        ("rig.nothing=1", "simulated.toml: .*nothing"),
        ("nodes.display.refresh_hz=0", r"\[nodes.display\]: .*refresh_hz"),
        ("nodes.stream.colour=1", r"\[nodes.stream\]: .*colour"),
        ("nodes.stream.run=acquisition.nowhere", "acquisition.nowhere"),
        ("nodes.hardware.wheel.is=behavior.devices.simulated:Nothing", "Nothing"),
        ("nodes.hardware.wheel.cm_per_count=no", "cm_per_count"),
        ("nodes.hardware.valve.centre.ul_per_ms=0", "ul_per_ms"),
        ("nodes.nobody.x=1", "there is no table 'nobody'"),
        ("nonsense", "write SECTION.KEY=VALUE"),
        ("reward_ul=5", "reward_ul is in no section; .* as in task.reward_ul=5"),
    ],
)
def test_a_wrong_setting(attempt: Try, change: str, sentence: str) -> None:
    assert re.search(sentence, attempt("--set", change))


def test_a_setting_that_each_block_overrides(attempt: Try) -> None:
    task = TASK.with_name("running_training.toml")
    assert "the tables of [[blocks]] have their own trials" in attempt("--trials", "5", task=task)


def test_a_missing_key(attempt: Try, tmp_path: Path) -> None:
    setup = tmp_path / "mine.toml"
    shutil.copy(SETUP.parent / "simulated_cells.csv", tmp_path)
    setup.write_text(SETUP.read_text().replace("disk_mb_s", "#"))
    assert "disk_mb_s" in attempt(setup=setup)


def test_a_file_that_is_not_toml_or_missing(attempt: Try, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[rig\n")
    assert "broken.toml, line 1 is not valid TOML" in attempt(setup=broken)
    assert "no file" in attempt(task=tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no file"),
        (b"", "empty"),
        (gzip.compress(b"a,b\n1,2\n" * 4), "column"),
        (gzip.compress(b"lap,time_ms\n" + b"1,2\n" * 9999)[:-20], "truncated"),
    ],
    ids=["missing", "empty", "no column", "truncated"],
)
def test_a_bad_mouse_file(
    attempt: Try, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    mouse = tmp_path / "mouse.csv.gz"
    if content is not None:
        mouse.write_bytes(content)
    port = free_port()
    assert sentence in attempt("--mouse", mouse, "--set", f"rig.hub_port={port}")


def test_missing_or_invalid_files(attempt: Try, tmp_path: Path) -> None:
    assert "there are: " in attempt(setup=tmp_path / "simulated")
    assert "avr.toml" in attempt(setup=tmp_path / "simulated")
    assert "train1.toml" in attempt(task=tmp_path / "train1")
    assert "is a setup, not a task; name the setup first" in attempt(task=SETUP)
    assert "is not a setup" in attempt(setup=TASK)
    wrong = tmp_path / "task.toml"
    wrong.write_text("trials = 3\nreward_mode = active\n")
    sentence = attempt(task=wrong)
    assert 'put text in quotes, as in reward_mode = "active"' in sentence


def test_a_data_folder_that_cannot_be_created(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    attempt = Try(capsys, monkeypatch, blocked / "data")
    assert "is not writable" in attempt()
    assert blocked.read_text() == "not a folder"


def test_a_full_disk(attempt: Try) -> None:
    sentence = attempt("--minutes", "60", "--set", "rig.disk_mb_s=1e9")
    assert "MB free and the session may need" in sentence


@pytest.mark.session
def test_a_second_session_on_the_same_rig(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    setup, name = behavior_alone(tmp_path), f"rig_{free_port()}"  # not the rig of another test
    setup.write_text(setup.read_text().replace('name = "simulated"', f'name = "{name}"'))
    with Live(tmp_path / "first", "task.grey_before_s=600", setup=setup) as live:
        live.until(Wheel)
        given = ["run", setup, TASK, "--subject", "other", "--data", tmp_path / "second"]
        given += ["--set", f"rig.hub_port={live.port}"]
        sentence = refused(capsys, monkeypatch, *given)
        assert sentence == (
            f"rig {name} is in use by a session of subject test, "
            f"process {live.process.pid}; end that first"
        )
        assert not (tmp_path / "second").exists()
        for by_hand in (["flush"], ["check"], ["calibrate", "valve"]):  # the setup has another port
            again = refused(capsys, monkeypatch, *by_hand, setup, "--yes")
            assert again.startswith(f"rig {name} is in use by a session of subject test, ")
        os.kill(live.process.pid, signal.SIGKILL)
        live.end()
    session = resolve(setup, TASK, "other", 1, [f"rig.hub_port={live.port}"]).session
    RigLock(session).release()  # its holder is dead, so the rig is free


def test_a_port_in_use(attempt: Try) -> None:
    port = free_port()
    other = Hub(port)
    try:
        sentence = attempt("--set", f"rig.hub_port={port}")
    finally:
        other.close()
    assert f"hub {port} on this machine is in use" in sentence


@pytest.mark.parametrize("verb", ["replay", "info", "recover", "report"])
def test_a_folder_that_is_not_a_session(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verb: str
) -> None:
    def sentence(folder: Path) -> str:
        return refused(capsys, monkeypatch, verb, folder)

    assert sentence(tmp_path / "x") == f"folder {tmp_path / 'x'} does not exist; check the path"
    assert f"{tmp_path} is not a session folder" in sentence(tmp_path)
    session = tmp_path / "sub-VR2" / "ses-20260101_1"
    (session / "imaging").mkdir(parents=True)
    for above in (tmp_path, session.parent):
        assert f"choose one of them, for example the newest: {session}" in sentence(above)
    (session / "log.mcap").write_text("")
    assert f"is inside a session folder; use {session}" in sentence(session / "imaging")


@pytest.mark.session
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide a library from a process")
def test_no_display(tmp_path: Path) -> None:
    """A machine without EGL and without a screen: libEGL is hidden in a mount namespace."""
    data = tmp_path / "data"
    command = [sys.executable, "-c", "from rig.cli.main import main; main()", "run"]
    command += [str(SETUP), str(TASK), "--subject", "test", "--data", str(data)]
    command += ["--set", f"rig.hub_port={free_port()}"]
    found = [path for folder in LIBRARIES for path in Path(folder).glob("libEGL.so.1")]
    hide = "".join(f"mount --bind /dev/null {path.resolve()}; " for path in found)
    run = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{hide} exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "DISPLAY"},
    )
    assert run.returncode == 2, run.stderr
    assert "apt-get install" in run.stderr
    assert not data.exists()
