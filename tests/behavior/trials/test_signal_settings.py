"""The [signals] table of what the analysis compares: it is checked, and Start contains it."""

from typing import Any

import msgspec
import pytest

from behavior.trials.task_settings import SignalSettings
from rig.errors import Refused
from rig.settings.config import SessionSettings, convert
from rig.settings.toml import read_toml
from tests.behavior.sessions import ROOT, session, task

FILES = {path.stem: read_toml(path) for path in (ROOT / "behavior" / "tasks").glob("*.toml")}
PAIR = ["leaf1", "circle1"]
STUDY = [PAIR, ["leaf2", "circle1"], ["leaf1", "leaf2"]]
GRATINGS = [["grating_45", "grating_135"]]
CONTRASTS = {
    "train1": [PAIR],
    "test1": STUDY,
    "train2": STUDY,
    "test2": STUDY,
    "test3": STUDY,
    "closed_loop": [PAIR],
    "gratings": GRATINGS,
    "pretraining_gratings": GRATINGS,
    "pretraining_exposure": [PAIR],
    "pretraining_passive": [PAIR],
    "pretraining_active": [PAIR],
}


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_task_compares_the_pairs_of_its_stage(name: str) -> None:
    signals = convert(FILES[name]["signals"], SignalSettings, name)
    contrasts = [list(pair) for pair in signals.contrasts]
    assert contrasts == CONTRASTS.get(name, [])
    assert list(signals.reference or []) == (contrasts[0] if contrasts else [])
    assert signals.rewarded == ("leaf1" if PAIR in contrasts else "")


def test_start_carries_the_resolved_table() -> None:
    chosen = session(1, base=FILES["train1"])
    read_back = msgspec.json.decode(msgspec.json.encode(chosen), type=SessionSettings)
    assert read_back.task["signals"] == {
        "contrasts": [PAIR],
        "reference": PAIR,
        "rewarded": "leaf1",
    }
    assert session(1).task["signals"] == {"contrasts": [], "reference": None, "rewarded": ""}


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ({"contrasts": [["leaf1", "leaf9"]]}, 'never shows a corridor "leaf9".*leaf1, circle1'),
        ({"contrasts": [["leaf1", "leaf1"]]}, "not a new pair of two different stimuli"),
        ({"contrasts": [PAIR, PAIR[::-1]]}, "not a new pair of two different stimuli"),
        ({"contrasts": [PAIR]}, "reference must be one of the contrasts; choose one of"),
        ({"contrasts": [PAIR], "reference": PAIR[::-1]}, "must be one of the contrasts"),
        ({"reference": PAIR}, "to contrasts, or remove it"),
        ({"rewarded": "circle1"}, "not a rewarded corridor of this task; choose one of: leaf1"),
        ({"rewarded": "leaf9"}, "not a rewarded corridor of this task; choose one of: leaf1"),
    ],
)
def test_a_contrast_that_cannot_be_computed_is_refused(
    signals: dict[str, Any], expected: str
) -> None:
    with pytest.raises(Refused, match=expected):
        task([], signals=signals)


def test_stimuli_of_any_block_can_be_compared_but_only_corridors() -> None:
    signals = {"contrasts": [["leaf1", "rock1"]], "reference": ["leaf1", "rock1"]}
    rock = {"stimuli": ["rock1"], "shares": [], "rewarded": []}
    task([], signals=signals, blocks=[{}, rock])
    with pytest.raises(Refused, match='never shows a corridor "rock1"'):
        task([], signals=signals, blocks=[{}, {**rock, "picture": "image", "show_s": 1.0}])


def test_reward_prediction_needs_no_reward_where_no_corridor_is_rewarded() -> None:
    task([], rewarded=[], signals={"rewarded": "circle1"})
