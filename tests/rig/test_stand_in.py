"""A recorded session stands in for the rig: live processes run on it, at any speed."""

import json
import time
from pathlib import Path

import msgspec
import pytest

from analysis.session import Session
from behavior.hardware import Hardware
from rig import virtual_session
from rig.cli.sessions import replay as replay_command
from rig.messages import Arm, CellSignals, Flip, Message, Start, TrialStart, Wheel, kind
from rig.process import completed
from rig.replay.replay import replay
from rig.replay.stand_in import play
from rig.session.provenance import about
from rig.transport.log import LOG_FILE, read
from tests.acquisition import sessions
from tests.analysis.logs import write_log
from tests.behavior.judging.refereed import EAGER, refereed
from tests.behavior.sessions import S
from tests.command import refusal, rig

SCREEN = "nodes.display.screen={is='stimuli.window:SimulatedScreen'}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of task, referee and a simulated screen: three trials in ten seconds."""
    chosen = refereed(3, EAGER, trials=3)
    nodes = {
        **chosen.nodes,
        "display": {"run": "stimuli.display", "screen": {"is": "stimuli.window:SimulatedScreen"}},
    }
    chosen = completed(msgspec.structs.replace(chosen, nodes=nodes, about=about()))
    folder = tmp_path_factory.mktemp("data") / "sub-X" / "ses-20260304_1"
    folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hardware, "period_s", 0.01)
        return write_log(folder, virtual_session.run(chosen, round(60 * S)))


def of_sender(folder: Path, sender: str) -> list[Message]:
    return [m for e, m in read(folder / LOG_FILE) if e.sender == sender and kind(m) != "Ended"]


def test_live_deciders_on_a_recording_repeat_it(folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "again"
    played = play(folder, ("task", "referee"), about(), to=to)
    assert played.live == ("task", "referee")
    assert played.published["task"] == played.recorded["task"]
    for sender in ("task", "referee", "hardware", "display"):
        assert of_sender(to, sender) == of_sender(folder, sender)
    assert replay(to, [], about()).first is None


def test_live_messages_take_the_place_of_the_recorded_ones(folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "smaller"
    play(folder, ("task", "referee"), about(), ["task.reward_ul=2.0"], to=to)
    arms = [m for m in of_sender(to, "task") if isinstance(m, Arm)]
    assert {arm.volume_ul for arm in arms} == {2.0}
    (start,) = [m for m in of_sender(to, "launch") if isinstance(m, Start)]
    assert start.session["task"]["reward_ul"] == 2.0
    assert of_sender(to, "hardware") == of_sender(
        folder, "hardware"
    )  # the other messages are the recorded ones
    verdicts = [m for m in of_sender(to, "referee") if getattr(m, "violations", ())]
    assert verdicts  # the recorded water differs, which the live referee reports


def test_the_display_runs_live_on_the_recording(folder: Path) -> None:
    done = rig("replay", folder, "--display", "--speed", "8")
    assert done.exit_code == 0, done.output
    flips = int(done.output.partition("display: ")[2].split()[0])
    assert flips > 20


def test_the_analysis_runs_again_on_recorded_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sub-X" / "ses-20260304_1"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    write_log(folder, sessions.run(trials=3, without=("display", "referee")))
    again, other = tmp_path / "again", tmp_path / "other"
    play(folder, ("online",), about(), to=again)
    assert of_sender(again, "online") == of_sender(folder, "online")
    assert rig("replay", folder, "--only", "online", "--verify").exit_code == 0
    play(folder, ("online",), about(), ["nodes.online.selective_at=1.5"], to=other)
    signals = [m for m in of_sender(other, "online") if isinstance(m, CellSignals)]
    old = [m for m in of_sender(folder, "online") if isinstance(m, CellSignals)]
    assert len(signals) == len(old) > 5
    assert [m.traces for m in signals] == [m.traces for m in old]
    assert [m.selective_fraction for m in signals] != [m.selective_fraction for m in old]
    assert Session(other).pixels(0).shape == Session(folder).pixels(0).shape
    for path in (folder / "imaging").glob("*.tif"):
        path.unlink()
    failed = tmp_path / "failed"
    assert "of frame 0 are missing; restore" in refusal("replay", folder, "--to", failed)
    assert not failed.exists()


def test_a_live_task_moves_the_live_display(folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "faster"
    sets = ["task.corridor_cm_s=100"]
    play(folder, ("task", "display"), about(), sets, speed=8.0, to=to)
    shown = [flip.position_m for flip in of_sender(to, "display") if isinstance(flip, Flip)]
    starts = [m for m in of_sender(to, "task") if isinstance(m, TrialStart)]
    assert max(shown) > 1.0
    assert len(starts) < 3  # in the same time the mouse ran half as far


def test_time_passes_at_the_speed_that_was_asked_for(folder: Path) -> None:
    wheels = [m.t for m in of_sender(folder, "hardware") if isinstance(m, Wheel)]
    began = time.monotonic()
    played = play(folder, ("referee",), about(), speed=20.0)
    assert played.session_s == pytest.approx((wheels[-1] - wheels[0]) / 1e9, rel=0.1)
    assert time.monotonic() - began >= played.session_s / 20.0
    assert play(folder, ("referee",), about()).took_s < played.session_s


def test_only_the_named_deciders_are_compared(folder: Path) -> None:
    output = rig("replay", folder, "--only", "referee", "--verify").output
    assert "referee:" in output
    assert "task:" not in output


def test_the_result_is_shown_on_the_page_and_can_be_reported(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[int] = []

    def serve(shown: Path, browser: bool) -> None:
        served.append(
            sum(isinstance(m, Arm) and m.volume_ul == 2.0 for _, m in read(shown / LOG_FILE))
        )

    monkeypatch.setattr(replay_command, "serve_replay", serve)
    change = ("--set", "task.reward_ul=2.0")
    assert rig("replay", folder, "--only", "task", *change, "--monitor").exit_code == 0
    assert served[0] > 0
    assert rig("replay", folder, "--to", tmp_path / "new").exit_code == 0
    assert rig("report", tmp_path / "new").exit_code == 0
    settings = json.loads((tmp_path / "new" / "settings.json").read_text())
    assert settings["subject"] == "X"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--only", "hardware", "--speed", "1"], "hardware drives devices, so it is never run"),
        (["--only", "cat", "--speed", "1"], "no process 'cat' to run; choose from task, referee"),
        (["--only", "cat"], "no process 'cat' whose decisions can be compared"),
        (["--speed", "fast"], "--speed fast: "),
        (["--speed", "0"], "--speed 0: use 0.01 to 1000, or max"),
        (["--speed", "max", "--display"], "no time in which to show anything"),
        (["--verify", "--display"], "--verify compares decisions"),
        (["--display", "--set", "nodes.display.screen={is='a:B'}"], "a:B"),
    ],
)
def test_bad_input_gets_one_sentence(folder: Path, arguments: list[str], sentence: str) -> None:
    assert sentence in refusal("replay", folder, *arguments)


def test_a_result_is_never_written_beside_the_session(folder: Path, tmp_path: Path) -> None:
    beside = folder.with_name("ses-20260304_2")
    assert "is beside the recorded session" in refusal("replay", folder, "--to", beside)
    assert not beside.exists()
    assert "exists" in refusal("replay", folder, "--to", tmp_path)


def test_a_session_that_was_never_closed_is_not_played(folder: Path, tmp_path: Path) -> None:
    log = (folder / LOG_FILE).read_bytes()
    (tmp_path / LOG_FILE).write_bytes(log[: len(log) // 2])
    assert "is not closed" in refusal("replay", tmp_path, "--speed", "max")
