"""Lost, doubled and late edges and pages are reported, and no other frame gets a wrong edge."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.timing.frame_clock_alignment import AlignedFrame, FrameClockAlignment, SavedPage

PERIOD = 333_000_000
LATE_MS = 10.0
FIRST_T = 5_000_000_000
DRIFT = 60e-6
"""How much faster the microscope's clock goes: more than two quartz clocks differ."""


@dataclass
class World:
    """An acquisition of n frames, and what goes wrong in it, by frame number."""

    frames: int
    edges_lost: set[int] = field(default_factory=set)
    edges_doubled: dict[int, float] = field(default_factory=dict)
    edges_late: dict[int, float] = field(default_factory=dict)
    pages_lost: set[int] = field(default_factory=set)
    jitter: list[float] = field(default_factory=list)
    page_lag: float = 0.02
    """From the end of a frame to its page, in frames."""
    steps: dict[int, float] = field(default_factory=dict)
    """Seconds by which the microscope's clock steps before a frame, by its number."""

    def t(self, number: int) -> int:
        return FIRST_T + (number - 1) * PERIOD

    def edges(self) -> list[int]:
        times = []
        for number in range(1, self.frames + 1):
            if number in self.edges_lost:
                continue
            jitter = self.jitter[number % len(self.jitter)] if self.jitter else 0.0
            late = self.edges_late.get(number, jitter)
            times.append(self.t(number) + round(late * PERIOD))
            if number in self.edges_doubled:
                times.append(self.t(number) + round(self.edges_doubled[number] * PERIOD))
        return times

    def pages(self) -> list[SavedPage]:
        pages: list[SavedPage] = []
        for number in range(1, self.frames + 1):
            if number not in self.pages_lost:
                step_s = sum(s for first, s in self.steps.items() if first <= number)
                tau = round((number - 1) * PERIOD * (1 + DRIFT) + step_s * 1e9)
                seen_t = self.t(number + 1) + round(self.page_lag * PERIOD)
                pages.append(SavedPage(number, tau, len(pages), seen_t))
        return pages

    def expected(self) -> list[tuple[int, tuple[str, ...]]]:
        named = []
        for number in range(1, self.frames + 1):
            findings = []
            if number in self.pages_lost:
                findings.append("page lost")
            if number in self.edges_lost:
                findings.append("edge lost")
            if number in self.edges_late and number not in self.edges_lost:
                findings.append("edge late")
            if number in self.edges_doubled and number not in self.edges_lost:
                findings.append("edge doubled")
            named.append((number, tuple(findings)))
        return named


def aligned(world: World, every: int = 1) -> list[AlignedFrame]:
    """Take the world's edges and pages in order of time; align after every Nth of them."""
    alignment = FrameClockAlignment(LATE_MS)
    messages = [(t, t) for t in world.edges()] + [(p.seen_t, p) for p in world.pages()]
    found = []
    for i, (t, message) in enumerate(sorted(messages, key=lambda w: w[0])):
        if isinstance(message, SavedPage):
            alignment.add_page(message)
        else:
            alignment.add_edge(message)
        if i % every == 0:
            found += alignment.align(t - 1)
    return found + alignment.finish()


def check(world: World, every: int = 1) -> None:
    found = aligned(world, every)
    assert [(a.number, a.findings) for a in found] == world.expected()
    for a in found:
        assert abs(a.t - world.t(a.number)) < LATE_MS * 1e6 + 0.01 * PERIOD
    by_frame = {a.frame: a.number for a in found if a.frame is not None}
    assert by_frame == {page.frame: page.number for page in world.pages()}


@pytest.mark.parametrize("lag", [0.02, 0.9, 3.4])
@pytest.mark.parametrize("frames", [1, 2, 3, 50])
def test_a_recording_without_faults_has_no_finding(frames: int, lag: float) -> None:
    check(World(frames, page_lag=lag))


@pytest.mark.parametrize(
    "world",
    [
        World(9, edges_lost={1}),
        World(9, edges_lost={2}),
        World(9, edges_lost={1, 2}),
        World(9, edges_lost={8, 9}),
        World(9, edges_late={1: 0.4}),
        World(9, edges_late={2: 0.3, 3: 0.3}),
        World(9, edges_doubled={1: 0.1, 9: 0.3}),
        World(9, pages_lost={1}),
        World(9, pages_lost={4, 5, 6}),
        World(9, pages_lost={9}),
        World(9, pages_lost={4}, edges_lost={4}),
        World(9, pages_lost={4}, edges_lost={3, 5}),
    ],
    ids=str,
)
def test_each_fault_is_named_where_it_is(world: World) -> None:
    check(world)


numbers = st.integers(1, 60)


@settings(max_examples=150)
@given(
    lost=st.sets(numbers, max_size=12),
    doubled=st.dictionaries(numbers, st.floats(0.05, 0.4), max_size=8),
    late=st.dictionaries(numbers, st.floats(0.06, 0.4), max_size=8),
    pages=st.sets(numbers, max_size=12),
    jitter=st.lists(st.floats(-0.01, 0.01), max_size=7),
    every=st.integers(1, 40),
)
def test_the_index_never_shifts(
    lost: set[int],
    doubled: dict[int, float],
    late: dict[int, float],
    pages: set[int],
    jitter: list[float],
    every: int,
) -> None:
    """Except for the first frames, which have nothing before them to be matched by."""
    spared = {1, 2, 3, 4, 5}
    late = {n: by for n, by in late.items() if n not in spared}
    doubled = {n: by for n, by in doubled.items() if n not in late and n not in spared}
    pages -= {60} | spared
    check(World(60, lost - spared, doubled, late, pages, jitter), every)


@given(at=st.lists(st.floats(0.46, 0.54), min_size=1, max_size=5), first=st.integers(3, 20))
def test_an_edge_without_a_frame_is_reported(at: list[float], first: int) -> None:
    world = World(30)
    strays = sorted(world.t(first + i) + round(by * PERIOD) for i, by in enumerate(at))
    alignment = FrameClockAlignment(LATE_MS)
    for t in sorted(world.edges() + strays):
        alignment.add_edge(t)
    for page in world.pages():
        alignment.add_page(page)
    found = alignment.finish()
    assert [a.t for a in found if a.findings] == strays
    assert {a.findings for a in found if a.number == 0} == {("edge too much",)}
    assert [a.number for a in found if a.number] == list(range(1, 31))


def test_a_second_acquisition_restarts_its_numbers() -> None:
    first, second = World(6), World(5)
    gap = 20 * PERIOD
    alignment = FrameClockAlignment(LATE_MS)
    for world, later, pages in ((first, 0, 0), (second, gap, 6)):
        for t in world.edges():
            alignment.add_edge(t + later)
        for page in world.pages():
            alignment.add_page(page._replace(seen_t=page.seen_t + later, frame=page.frame + pages))
    found = alignment.align(FIRST_T + 100 * PERIOD) + alignment.finish()
    assert [a.number for a in found] == [*range(1, 7), *range(1, 6)]
    assert [a.frame for a in found] == list(range(11))
    assert not any(a.findings for a in found)
    assert found[6].t == first.t(1) + gap


@pytest.mark.parametrize("focus_hz", [30.0, 3.0])
@pytest.mark.parametrize("pause_s", [5.0, 0.333])
@pytest.mark.parametrize("again", [False, True])
def test_edges_from_focusing_are_not_assigned_to_frames(
    focus_hz: float, pause_s: float, again: bool
) -> None:
    """Before the first acquisition, and between two acquisitions."""
    world, alignment, later = World(9), FrameClockAlignment(LATE_MS), 0
    found: list[AlignedFrame] = []
    for grab in range(1 + again):
        between = round(1e9 / focus_hz)
        focused = [later + FIRST_T + i * between for i in range(300)]
        later += 300 * between + round(pause_s * 1e9)
        for t in focused + [t + later for t in world.edges()]:
            alignment.add_edge(t)
        for page in world.pages():
            seen_t, frame = page.seen_t + later, page.frame + 9 * grab
            alignment.add_page(page._replace(seen_t=seen_t, frame=frame))
        found += alignment.align(FIRST_T + later + 100 * PERIOD)
        frames = [a for a in found if a.frame is not None][-9:]
        assert [a.t for a in frames] == [world.t(n) + later for n in range(1, 10)]
        assert not any(a.findings for a in frames)
        later += 20 * PERIOD


def test_a_frame_clock_that_is_not_wired_is_reported_for_every_frame() -> None:
    world = World(6, edges_lost=set(range(1, 7)))
    check(world)


def test_edges_of_frames_that_are_scanned_but_not_saved_are_not_findings() -> None:
    """Three frames averaged: an edge for each, a page for all of them."""
    world = World(18)
    alignment = FrameClockAlignment(LATE_MS)
    alignment.spare_edges = True
    for t in world.edges():
        alignment.add_edge(t)
    for page in world.pages():
        if page.number % 3 == 1:
            alignment.add_page(page)
    found = alignment.finish()
    assert [a.number for a in found] == [1, 4, 7, 10, 13, 16]
    assert not any(a.findings for a in found)
    assert [a.t for a in found] == [world.t(a.number) for a in found]


@pytest.mark.parametrize("step_s", [5.0, 3600.0, -300.0, 0.1, -0.1, 0.333, -0.333, 1.0, -2.0])
@pytest.mark.parametrize("lag", [0.02, 0.4])
@pytest.mark.parametrize("first", [3, 20])
def test_a_step_of_the_microscopes_clock_is_reported_and_frame_times_stay_right(
    step_s: float, lag: float, first: int
) -> None:
    """Also among the first frames, by which the clocks are matched, if the step is long."""
    if first == 3 and abs(step_s) < 1.0:
        return
    world = World(40, page_lag=lag, steps={first: step_s}, edges_lost={30}, pages_lost={35})
    found = aligned(world)
    assert [a.number for a in found] == list(range(1, 41))
    for a in found:
        assert abs(a.t - world.t(a.number)) < LATE_MS * 1e6 + 0.01 * PERIOD
    named = {a.number: a.findings for a in found if a.findings}
    assert named.pop(30) == ("edge lost",) and named.pop(35) == ("page lost",)
    assert named == {first: ("clock step",)}
    assert found[first - 1].step_ns == pytest.approx(step_s * 1e9, abs=1e6)


@given(
    steps=st.dictionaries(
        st.integers(8, 50), st.one_of(st.floats(-1e4, -1.0), st.floats(1.0, 1e4)), max_size=4
    ),
    every=st.integers(1, 20),
)
def test_several_steps_shift_nothing(steps: dict[int, float], every: int) -> None:
    world = World(60, steps=steps)
    found = aligned(world, every)
    assert {a.number for a in found if "clock step" in a.findings} == set(steps)
    assert all(abs(a.t - world.t(a.number)) < LATE_MS * 1e6 for a in found)


def test_a_pause_of_the_microscope_is_not_a_step() -> None:
    """Numbers continue after a pause, in a LOOP, and both clocks contain the pause."""
    first, second, pause = World(9), World(9), 40 * PERIOD
    alignment = FrameClockAlignment(LATE_MS)
    for t in first.edges() + [t + 9 * PERIOD + pause for t in second.edges()]:
        alignment.add_edge(t)
    for page in first.pages():
        alignment.add_page(page)
    for page in second.pages():
        later = 9 * PERIOD + pause
        moved = page._replace(number=page.number + 9, frame=page.frame + 9)
        alignment.add_page(
            moved._replace(timestamp_ns=page.timestamp_ns + later, seen_t=page.seen_t + later)
        )
    found = alignment.finish()
    assert [a.findings for a in found] == [()] * 18
