"""A valve stays armed only while the task wants it to and renews its request."""

from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.water.arming import LEASE_NS, OLDEST_LICK_NS, Arming, Fire, Rejection
from rig.messages import Arm

MS = 1_000_000
S = 1_000 * MS


def _arm(id_: int, t: int, on: str = "lick", lasts: int = 60 * S, line: str = "centre") -> Arm:
    assert on in ("now", "lick")
    return Arm(t, id_, t + lasts, line, "now" if on == "now" else "lick", 3.0)


def test_the_first_lick_after_the_request_fires_once() -> None:
    arming = Arming()
    request = _arm(1, 100)
    assert arming.request(request, 150) is None
    assert arming.lick("centre", 99, 160) is None
    assert arming.lick("left", 170, 170) is None
    assert arming.lick("centre", 170, 180) == Fire(request, 170)
    assert arming.lick("centre", 190, 190) is None


def test_a_lick_while_the_request_was_on_its_way_fires() -> None:
    arming = Arming()
    assert arming.lick("centre", 120, 121) is None
    request = _arm(1, 100)
    assert arming.request(request, 150) == Fire(request, 120)


def test_a_request_for_now_fires_at_once() -> None:
    request = _arm(1, 100, "now")
    assert Arming().request(request, 150) == Fire(request, None)


def test_a_repeated_request_does_nothing() -> None:
    arming = Arming()
    request = _arm(1, 100, "now")
    assert isinstance(arming.request(request, 150), Fire)
    assert arming.request(request, 160) is None
    assert arming.request(_arm(1, 170, "now"), 170) is None


def test_a_disarmed_request_never_fires_even_if_it_arrives_later() -> None:
    arming = Arming()
    arming.request(_arm(1, 100), 100)
    arming.disarm(1)
    arming.disarm(2)
    assert arming.lick("centre", 110, 110) is None
    assert arming.request(_arm(2, 120, "now"), 120) is None


def test_a_request_after_its_deadline_is_rejected() -> None:
    verdict = Arming().request(_arm(1, 100, "now", lasts=50), 151)
    assert isinstance(verdict, Rejection)
    assert "deadline" in verdict.reason


def test_nothing_stays_armed_past_its_deadline() -> None:
    arming = Arming()
    arming.request(_arm(1, 0, lasts=50), 0)
    assert arming.lick("centre", 40, 51) is None
    assert arming.expire(51) == []
    assert arming.request(_arm(2, 52), 52) is None
    assert isinstance(arming.lick("centre", 60, 60), Fire)


def test_one_spout_is_armed_once() -> None:
    arming = Arming()
    arming.request(_arm(1, 100), 100)
    verdict = arming.request(_arm(2, 110), 110)
    assert isinstance(verdict, Rejection)
    assert "still armed by request 1" in verdict.reason
    assert arming.request(_arm(3, 110, line="left"), 110) is None


def test_requests_that_are_not_renewed_are_rejected() -> None:
    arming = Arming()
    request = _arm(1, 0)
    arming.request(request, 0)
    assert arming.expire(LEASE_NS) == []
    assert [refusal.arm for refusal in arming.expire(LEASE_NS + 1)] == [request]
    assert arming.request(request, LEASE_NS + 2) is None
    assert arming.lick("centre", LEASE_NS + 3, LEASE_NS + 3) is None


def test_a_lick_after_the_lease_is_rejected_once() -> None:
    arming = Arming()
    arming.request(_arm(1, 0), 0)
    verdict = arming.lick("centre", LEASE_NS + 1, LEASE_NS + 1)
    assert isinstance(verdict, Rejection)
    assert "stopped renewing" in verdict.reason
    assert arming.expire(LEASE_NS + 1) == []


def test_a_renewed_request_stays_armed_for_a_second_from_its_arrival() -> None:
    arming = Arming()
    request = _arm(1, 0)
    for received in (0, LEASE_NS, 2 * LEASE_NS):
        assert arming.request(request, received) is None
        assert arming.expire(received + LEASE_NS) == []
    assert arming.lick("centre", 3 * LEASE_NS, 3 * LEASE_NS) == Fire(request, 3 * LEASE_NS)


def test_a_request_does_not_renew_another_spout() -> None:
    arming = Arming()
    arming.request(_arm(1, 0), 0)
    arming.request(_arm(2, S, line="left"), S)
    arming.request(_arm(3, S, "now", line="right"), S)
    assert [refusal.arm.id for refusal in arming.expire(LEASE_NS + 1)] == [1]
    assert isinstance(arming.lick("left", S + 2, S + 2), Fire)


def test_an_old_lick_fires_nothing() -> None:
    arming = Arming()
    for received in (0, 2 * S):
        arming.request(_arm(1, 0), received)
    assert arming.lick("centre", 2 * S - OLDEST_LICK_NS - 1, 2 * S) is None
    assert isinstance(arming.lick("centre", 2 * S - OLDEST_LICK_NS, 2 * S), Fire)


acts = st.tuples(
    st.sampled_from(["arm", "arm now", "lick", "disarm", "wait"]),
    st.integers(1, 12),
    st.integers(0, 700),
    st.integers(-300, 100),
)


@settings(max_examples=300)
@given(st.lists(acts, max_size=120))
def test_no_request_fires_twice_or_after_it_ended(
    script: list[tuple[str, int, int, int]],
) -> None:
    arming = Arming()
    now = 0
    received: dict[int, int] = {}
    answered: list[int] = []
    void: set[int] = set()
    for act, request, wait_ms, off_ms in script:
        now += wait_ms * MS
        verdicts: list[Fire | Rejection | None] = []
        if act.startswith("arm"):
            on = "now" if act == "arm now" else "lick"
            received[request] = now
            verdicts = [arming.request(_arm(request, now + off_ms * MS, on, lasts=S), now)]
        elif act == "lick":
            verdicts = [arming.lick("centre", now + min(0, off_ms) * MS, now)]
        elif act == "disarm":
            arming.disarm(request)
            void.add(request)
        else:
            verdicts = list(arming.expire(now))
        for verdict in verdicts:
            if verdict is None:
                continue
            answered.append(verdict.arm.id)
            if isinstance(verdict, Fire):
                assert verdict.arm.id not in void
                assert now - received[verdict.arm.id] <= LEASE_NS
                assert now <= verdict.arm.deadline
                assert verdict.lick_t is None or verdict.lick_t >= verdict.arm.t
    assert len(answered) == len(set(answered))
