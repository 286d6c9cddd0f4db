"""Sessions in virtual time: the log agrees with what was displayed and played."""

from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from rig import virtual_session
from rig.messages import Cue, CueOnset, Fault, Flip, Message, TextureHashes, TrialEnd, TrialStart
from rig.process import completed
from rig.settings.config import SessionSettings
from rig.settings.toml import read_toml
from stimuli.scene.open_loop import Bar
from stimuli.scene.screen import Scene
from stimuli.textures.cache import load_textures, sha256
from stimuli.window.simulated_screen import SimulatedScreen
from tests.behavior.sessions import ROOT, session
from tests.stimuli.test_photographs import photograph

HERE = "tests.stimuli.test_sessions"
RETINOTOPY = read_toml(ROOT / "behavior" / "tasks" / "retinotopy.toml")
ALWAYS: dict[str, Any] = {
    "motion": "always",
    "trials": 4,
    "grey_before_s": 1.0,
    "grey_after_s": 1.0,
}
MS = 1_000_000


class RecordingScreen(SimulatedScreen):
    """Records every scene that was shown."""

    scenes: ClassVar[list[Scene]] = []

    def flip(self) -> None:
        super().flip()
        assert self.shown is not None
        self.scenes.append(self.shown)


def shown(base: SessionSettings) -> tuple[list[Message], list[Scene]]:
    """Run a session with a display; return the messages, and the scene of each Flip."""
    display = {
        "run": "stimuli.display",
        "screen": {"is": f"{HERE}:RecordingScreen"},
        "sound": {"is": "stimuli.sound:SimulatedSpeaker", "latency_ms": 9.0},
    }
    RecordingScreen.scenes.clear()
    whole = msgspec.structs.replace(base, nodes={**base.nodes, "display": display})
    messages = [message for _, message in virtual_session.run(completed(whole))]
    flips = sum(isinstance(message, Flip) for message in messages)
    assert flips > 100
    assert not [message for message in messages if isinstance(message, Fault)]
    after_the_check = len(RecordingScreen.scenes) - flips
    return messages, RecordingScreen.scenes[after_the_check:]


def of(messages: list[Message], kind: Any) -> list[Any]:
    return [message for message in messages if isinstance(message, kind)]


def test_every_cue_sounds_within_a_frame_and_its_latency() -> None:
    messages, _ = shown(session(3, **ALWAYS))
    cues, onsets = of(messages, Cue), of(messages, CueOnset)
    assert [onset.trial for onset in onsets] == [cue.trial for cue in cues] == [0, 1, 2, 3]
    for cue, onset in zip(cues, onsets, strict=True):
        assert 9 * MS <= onset.t - cue.t <= (9 + 20) * MS


def test_the_log_has_the_hashes_of_all_textures() -> None:
    messages, _ = shown(session(3, **{**ALWAYS, "trials": 2}))
    (message,) = of(messages, TextureHashes)
    expected = {
        name: sha256(picture) for name, picture in load_textures(["leaf1", "circle1"]).items()
    }
    assert message.sha256 == expected


def test_a_photograph_of_a_new_name_is_a_stimulus_of_a_session(tmp_path: Path) -> None:
    photograph(tmp_path / "moss1.png", (2400, 400))
    (tmp_path / "Thumbs.db").write_text("")
    task: dict[str, Any] = {**ALWAYS, "stimuli": ["leaf1", "moss1"], "signals": {"contrasts": []}}
    folder: dict[str, Any] = {"images_folder": str(tmp_path), "images_files": ["moss1.png"]}
    messages, scenes = shown(session(3, **task, **folder))
    (hashes,) = of(messages, TextureHashes)
    expected = load_textures(["leaf1", "moss1"], str(tmp_path))
    assert hashes.sha256 == {name: sha256(texture) for name, texture in expected.items()}
    assert {start.stimulus for start in of(messages, TrialStart)} == {"leaf1", "moss1"}
    assert {s.laps[1].stimulus for s in scenes if s.laps is not None} == {"leaf1", "moss1"}


def test_the_log_gives_the_position_of_each_bar() -> None:
    facts: dict[str, Any] = {
        "show_s": 2.0,
        "blank_s": 1.0,
        "trials": 4,
        "grey_before_s": 1.0,
        "grey_after_s": 1.0,
    }
    messages, scenes = shown(session(3, base=RETINOTOPY, **facts))
    trial: TrialStart | None = None
    flips = iter(scenes)
    seen: dict[str, list[float]] = {}
    for message in messages:
        match message:
            case TrialStart():
                trial = message
            case TrialEnd():
                trial = None
            case Flip():
                bar = next(flips).open_loop
                if bar is not None:
                    assert isinstance(bar, Bar)
                    assert trial is not None
                    share = (message.wheel_t - trial.t) / 2e9
                    assert 0 <= share < 1
                    forth = trial.stimulus in ("bar_0", "bar_90")
                    middle = share if forth else 1 - share
                    low, high = (-145, 145) if bar.upright else (-36.6, 55)
                    assert bar.upright == (trial.stimulus in ("bar_0", "bar_180"))
                    assert bar.middle_deg == pytest.approx(low + middle * (high - low), abs=1)
                    seen.setdefault(trial.stimulus, []).append(bar.middle_deg)
    assert set(seen) == {"bar_0", "bar_90", "bar_180", "bar_270"}
    assert all(110 <= len(places) <= 121 for places in seen.values())
