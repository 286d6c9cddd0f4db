"""Settings that the operator changes during a session, from the next trial on."""

from typing import Any

import msgspec
import pytest

from behavior.task import Task
from rig.messages import Arm, Fault, Message, OperatorRequest, SettingChange, TrialEnd, TrialStart
from tests.behavior.judging.refereed import EAGER, check_sound, plant, refereed, run
from tests.behavior.sessions import S, of, walker

LIVE = ["reward_ul", "reward_mode", "cue_from_m", "cue_to_m", "rescue_after_misses"]


def asked(t: int, text: str, number: int = 1) -> OperatorRequest:
    return OperatorRequest(t, number, t + 5 * S, "set", text, by="terminal of test")


def test_a_change_applies_from_the_next_trial_on_and_is_published_before_it() -> None:
    published, walk = walker(trials=4, live=LIVE, cue_from_m=1.0, cue_to_m=1.0)
    walk.run(8)
    walk.node.handle(asked(walk.t, "cue_to_m=2.0"))
    walk.node.handle(asked(walk.t, "cue_from_m = 2.0", 2))
    walk.run(60)
    starts = of(TrialStart, published)
    assert [start.cue_position_m for start in starts[:3]] == [1.0, 2.0, 2.0]
    changes = of(SettingChange, published)
    assert changes[0] == SettingChange(
        starts[1].t, 1, "cue_to_m", "1.0", "2.0", "terminal of test", 1
    )
    assert [(c.name, c.trial) for c in changes] == [("cue_to_m", 1), ("cue_from_m", 1)]
    assert published.index(changes[1]) < published.index(starts[1])


def test_a_change_applies_in_every_block() -> None:
    blocks: list[dict[str, Any]] = [{"trials": 1}, {"trials": 2, "cue_to_m": 3.0}]
    published, walk = walker(live=LIVE, blocks=blocks, cue_from_m=0.5)
    walk.run(8)
    walk.node.handle(asked(walk.t, "cue_to_m=0.5"))
    walk.run(60)
    assert [start.cue_position_m for start in of(TrialStart, published)][1:] == [0.5, 0.5]
    (change,) = of(SettingChange, published)
    assert (change.old, change.new) == ("3.0", "0.5")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("trials=5", '"trials" may not be changed in this session (live: reward_ul'),
        ("zone_from_m=1", '"zone_from_m" may not be changed'),
        ("reward_ul", "reward_ul"),
        ("reward_ul=-1", "reward_ul"),
        ("reward_ul=2,5", "reward_ul"),
        ("reward_ul=4", "up to 3 ul"),
        ("reward_mode=sometimes", "reward_mode"),
        ("reward_mode=none", "contradict each other"),
        ("cue_to_m=5", "not inside the texture"),
        ("", "may not be changed"),
    ],
)
def test_a_change_that_a_task_file_could_not_hold_is_refused_at_once(text: str, why: str) -> None:
    published, walk = walker(trials=2, live=LIVE)
    walk.run(8)
    walk.node.handle(asked(walk.t, text))
    (change,) = of(SettingChange, published)
    assert why in change.refused
    assert change.trial == -1
    walk.run(60)
    assert len(of(SettingChange, published)) == 1
    assert [end.outcome for end in of(TrialEnd, published)] == ["done", "done"]


def test_without_a_list_in_the_task_file_nothing_may_be_changed() -> None:
    published, walk = walker(trials=2, live=[])
    walk.run(8)
    walk.node.handle(asked(walk.t, "reward_ul=2"))
    (change,) = of(SettingChange, published)
    assert "list them in `live` in the task file" in change.refused


class AsksForLess(Task):
    """Asks, as an operator would, for smaller rewards and rescues after the first trial."""

    def publish_request(self, number: int, text: str) -> None:
        t = self._now
        self.publish(OperatorRequest(t, number, t + S, "set", text, by="the operator"))

    def _complete_trial(self, t: int) -> None:
        if self._plan.next_number == 1:
            self.publish_request(1, "reward_ul=1.5")
            self.publish_request(2, "rescue_after_misses=2")
        super()._complete_trial(t)


class ChangesUnasked(Task):
    """A task with a bug: it changes the reward without a request."""

    def _complete_trial(self, t: int) -> None:
        if self._plan.next_number == 1:
            self._live.request(asked(t, "reward_ul=1.5"), t)
        super()._complete_trial(t)


def session_of(kind: type[Task], monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    plant(kind, monkeypatch)
    return run(refereed(3, EAGER, trials=6, live=LIVE, reward_mode="active"))


def test_the_referee_judges_by_what_the_operator_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    published = session_of(AsksForLess, monkeypatch)
    assert [change.name for change in of(SettingChange, published)] == LIVE[:1] + LIVE[-1:]
    assert 1.5 in {arm.volume_ul for arm in of(Arm, published)}
    check_sound(published)


def test_the_referee_reports_an_unrequested_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults = of(Fault, session_of(ChangesUnasked, monkeypatch))
    assert any("reward_ul was set to 1.5, but nobody requested it" in f.text for f in faults)


def test_settings_named_live_are_settings_of_a_trial() -> None:
    with pytest.raises(msgspec.ValidationError):
        walker(live=["minutes"])
