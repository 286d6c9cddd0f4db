"""The time of a page is the middle of its scan, however late it arrived."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.signals.frame_timing import FrameTiming
from rig.messages import Frame

PERIOD_NS = 333_333_333
MS = 1_000_000


def page(t: int, stamp_ns: int, number: int = 0) -> Frame:
    return Frame(t, 0, "imaging/a.tif", 0, 8, 8, stamp_ns / 1e9, number=number)


@given(
    starts=st.integers(0, 10**12),
    late=st.lists(st.integers(0, 3 * PERIOD_NS), min_size=1, max_size=30),
)
def test_once_a_page_came_in_time_the_others_may_come_late(starts: int, late: list[int]) -> None:
    times = FrameTiming()
    for k, late_ns in enumerate([0, 0, *late]):
        stamp = k * PERIOD_NS
        middle = times.middle(page(starts + stamp + PERIOD_NS + late_ns, stamp))
        if k:
            assert abs(middle - (starts + stamp + PERIOD_NS // 2)) <= 2


def test_the_duration_of_the_first_page_is_unknown() -> None:
    assert FrameTiming().middle(page(900, 100)) == 900


def test_clocks_that_drift_are_followed() -> None:
    """A microscope's clock 100 ppm slow or fast; uncorrected, this is 30 ms in five minutes."""
    for ppm in (-100, 100):
        times = FrameTiming()
        for k in range(3000):
            truth = k * PERIOD_NS
            middle = times.middle(page(truth + PERIOD_NS, round(truth * (1 + ppm / 1e6))))
        assert abs(middle - (truth + PERIOD_NS // 2)) < 10 * MS


def test_a_microscope_that_starts_again_gets_a_new_clock_offset() -> None:
    times = FrameTiming()
    for start in (0, 10**11):
        for k in range(3):
            stamp = k * PERIOD_NS
            middle = times.middle(page(start + stamp + PERIOD_NS, stamp))
        assert abs(middle - (start + stamp + PERIOD_NS // 2)) <= 2


def test_a_file_without_times_is_dated_by_its_pages_alone() -> None:
    times = FrameTiming()
    assert [times.middle(page(t, 0)) for t in (10, 20, 30)] == [10, 20, 30]


@given(
    step_s=st.one_of(st.floats(-4000, -1), st.floats(1, 4000)),
    lost=st.integers(0, 20),
    late=st.lists(st.integers(0, PERIOD_NS), min_size=12, max_size=12),
    averaged=st.sampled_from([1, 4]),
)
def test_a_step_of_the_microscopes_clock_moves_no_page(
    step_s: float, lost: int, late: list[int], averaged: int
) -> None:
    """Even if pages are lost at the step, so that the timestamps still rise."""
    times, start = FrameTiming(), 10**13
    for k, late_ns in enumerate([0, 0, *late]):
        scanned = k + lost * (k >= 6)
        step_ns = round(step_s * 1e9) if k >= 6 else 0
        truth = start + scanned * PERIOD_NS
        stamp, number = scanned * PERIOD_NS + step_ns + 5 * 10**12, averaged * (scanned + 1)
        middle = times.middle(page(truth + PERIOD_NS + late_ns, stamp, number))
        if k:
            assert abs(middle - (truth + PERIOD_NS // 2)) <= 10 * MS
            assert abs(times.elapsed_s - scanned * PERIOD_NS / 1e9) < 0.01


def test_a_pause_of_the_microscope_is_not_a_step() -> None:
    times, pause_ns = FrameTiming(), 7 * 10**9
    for k in range(12):
        stamp = k * PERIOD_NS + pause_ns * (k >= 6)
        middle = times.middle(page(stamp + PERIOD_NS, stamp, k + 1))
        if k:
            assert abs(middle - (stamp + PERIOD_NS // 2)) <= 2


def test_a_page_that_comes_seconds_late_is_not_a_step() -> None:
    times = FrameTiming()
    for k in range(12):
        stamp = k * PERIOD_NS
        middle = times.middle(page(stamp + PERIOD_NS + 9 * 10**9 * (k == 6), stamp, k + 1))
        if k:
            assert abs(middle - (stamp + PERIOD_NS // 2)) <= 2
