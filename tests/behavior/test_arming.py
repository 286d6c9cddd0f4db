"""A valve waits for a lick only as long as the task wants it to and is there."""

from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.arming import LEASE_NS, OLDEST_LICK_NS, Arming, Fire, Refusal
from rig.messages import Arm

MS = 1_000_000
S = 1_000 * MS


def _arm(id_: int, t: int, on: str = "lick", lasts: int = 60 * S, line: str = "centre") -> Arm:
    assert on in ("now", "lick")
    return Arm(t, id_, t + lasts, line, "now" if on == "now" else "lick", 3.0)


def _leased(now: int = 0) -> Arming:
    arming = Arming()
    arming.renew(now)
    return arming


def test_the_first_lick_after_the_wish_fires_once() -> None:
    arming = _leased()
    wish = _arm(1, 100)
    assert arming.take(wish, 150) is None
    assert arming.lick("centre", 99, 160) is None
    assert arming.lick("left", 170, 170) is None
    assert arming.lick("centre", 170, 180) == Fire(wish, 170)
    assert arming.lick("centre", 190, 190) is None


def test_a_lick_while_the_wish_was_on_its_way_fires() -> None:
    arming = _leased()
    assert arming.lick("centre", 120, 121) is None
    wish = _arm(1, 100)
    assert arming.take(wish, 150) == Fire(wish, 120)


def test_water_at_once() -> None:
    wish = _arm(1, 100, "now")
    assert _leased().take(wish, 150) == Fire(wish, None)


def test_a_repeated_wish_does_nothing() -> None:
    arming = _leased()
    wish = _arm(1, 100, "now")
    assert isinstance(arming.take(wish, 150), Fire)
    assert arming.take(wish, 160) is None
    assert arming.take(_arm(1, 170, "now"), 170) is None


def test_a_disarmed_wish_is_void_also_if_it_comes_later() -> None:
    arming = _leased()
    arming.take(_arm(1, 100), 100)
    arming.disarm(1)
    arming.disarm(2)
    assert arming.lick("centre", 110, 110) is None
    assert arming.take(_arm(2, 120, "now"), 120) is None


def test_a_stale_wish_is_refused() -> None:
    verdict = _leased().take(_arm(1, 100, "now", lasts=50), 151)
    assert isinstance(verdict, Refusal)
    assert "deadline" in verdict.reason


def test_nothing_is_armed_past_its_deadline() -> None:
    arming = _leased()
    arming.take(_arm(1, 0, lasts=50), 0)
    assert arming.lick("centre", 40, 51) is None
    assert arming.lapse(51) == []
    assert arming.take(_arm(2, 52), 52) is None
    assert isinstance(arming.lick("centre", 60, 60), Fire)


def test_one_spout_is_armed_once() -> None:
    arming = _leased()
    arming.take(_arm(1, 100), 100)
    verdict = arming.take(_arm(2, 110), 110)
    assert isinstance(verdict, Refusal)
    assert "still armed by wish 1" in verdict.reason
    assert arming.take(_arm(3, 110, line="left"), 110) is None


def test_a_silent_task_loses_its_armed_valves() -> None:
    arming = _leased(0)
    wish = _arm(1, 0)
    arming.take(wish, 0)
    assert arming.lapse(LEASE_NS) == []
    assert [refusal.arm for refusal in arming.lapse(LEASE_NS + 1)] == [wish]
    arming.renew(LEASE_NS + 2)
    assert arming.lick("centre", LEASE_NS + 3, LEASE_NS + 3) is None


def test_without_a_sign_of_life_nothing_is_granted() -> None:
    assert isinstance(Arming().take(_arm(1, 0, "now"), 0), Refusal)


def test_an_old_lick_is_no_reason_for_water() -> None:
    arming = _leased()
    arming.take(_arm(1, 0), 0)
    arming.renew(2 * S)
    assert arming.lick("centre", 2 * S - OLDEST_LICK_NS - 1, 2 * S) is None
    assert isinstance(arming.lick("centre", 2 * S - OLDEST_LICK_NS, 2 * S), Fire)


acts = st.tuples(
    st.sampled_from(["arm", "arm now", "lick", "disarm", "renew", "wait"]),
    st.integers(1, 12),
    st.integers(0, 700),
    st.integers(-300, 100),
)


@settings(max_examples=300)
@given(st.lists(acts, max_size=120))
def test_whatever_comes_no_wish_fires_twice_or_void_or_unleased(
    script: list[tuple[str, int, int, int]],
) -> None:
    arming = Arming()
    now, renewed = 0, None
    answered: list[int] = []
    void: set[int] = set()
    for act, wish, wait_ms, off_ms in script:
        now += wait_ms * MS
        verdicts: list[Fire | Refusal | None] = []
        if act.startswith("arm"):
            on = "now" if act == "arm now" else "lick"
            verdicts = [arming.take(_arm(wish, now + off_ms * MS, on, lasts=S), now)]
        elif act == "lick":
            verdicts = [arming.lick("centre", now + min(0, off_ms) * MS, now)]
        elif act == "disarm":
            arming.disarm(wish)
            void.add(wish)
        elif act == "renew":
            arming.renew(now)
            renewed = now
        else:
            verdicts = list(arming.lapse(now))
        for verdict in verdicts:
            if verdict is None:
                continue
            answered.append(verdict.arm.id)
            if isinstance(verdict, Fire):
                assert verdict.arm.id not in void
                assert renewed is not None
                assert now - renewed <= LEASE_NS
                assert now <= verdict.arm.deadline
                assert verdict.lick_t is None or verdict.lick_t >= verdict.arm.t
    assert len(answered) == len(set(answered))
