"""When the file is polled often: around the expected time of each frame."""

from itertools import accumulate, cycle, islice

from hypothesis import given
from hypothesis import strategies as st

from acquisition.follow.poll_scheduler import PollScheduler

MS = 1_000_000


def after(gaps: list[int]) -> tuple[PollScheduler, int]:
    due, t = PollScheduler(), 0
    due.page_arrived(0)
    for t in accumulate(gaps):
        due.page_arrived(t)
    return due, t


@given(
    volume=st.lists(st.integers(10 * MS, 300 * MS), min_size=1, max_size=8),
    jitter=st.floats(0.9, 1.1),
)
def test_every_frame_of_a_volume_is_awaited(volume: list[int], jitter: float) -> None:
    """Whatever the times between the frames of a volume, if they repeat."""
    due, t = after(list(islice(cycle(volume), 2 * 8 * len(volume))))
    for gap in volume:
        assert due.is_near(t + round(jitter * gap))
        t += gap
        due.page_arrived(t)


@given(gap=st.integers(10 * MS, 2000 * MS))
def test_between_frames_the_file_is_polled_slowly(gap: int) -> None:
    due, t = after([gap] * 9)
    assert not due.is_near(t) and not due.is_near(t + gap // 2)
    assert not due.is_near(t + 2 * gap)


def test_before_the_second_frame_the_period_is_unknown() -> None:
    due = PollScheduler()
    assert not due.is_near(5)
    due.page_arrived(5)
    assert not due.is_near(5)
