"""Where the animal was in the middle of a frame; old positions are forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from acquisition.simulation.position_history import PositionHistory
from rig.messages import Position

MS = 1_000_000


def at(t: int) -> Position:
    return Position(t, 0, t / 1e9, 60.0, True, "corridor")


@given(
    gaps=st.lists(st.integers(1, 60 * MS), min_size=1, max_size=40),
    frame_ms=st.integers(20, 300),
    begins=st.integers(0, 1000 * MS),
)
def test_it_is_the_last_position_up_to_the_middle(
    gaps: list[int], frame_ms: int, begins: int
) -> None:
    positions = PositionHistory(frame_ms / 1e3)
    times = [sum(gaps[:i]) for i in range(len(gaps))]
    for t in times:
        positions.add(at(t))
    middle = begins + frame_ms * MS // 2
    past = [t for t in times if t <= middle]
    found = positions.at_middle(begins)
    if past and times[-1] - past[-1] <= 3 * frame_ms * MS:
        assert found == at(past[-1])
    else:
        assert found is None


def test_before_the_first_position_there_is_none() -> None:
    positions = PositionHistory(0.3)
    assert positions.at_middle(0) is None
    positions.add(at(200 * MS))
    assert positions.at_middle(0) is None
    assert positions.at_middle(60 * MS) == at(200 * MS)
