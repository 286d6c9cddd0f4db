"""The wall pictures: reproducible, matched, swapped as the study says, and of several kinds."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from rig.errors import Refused
from stimuli.textures.luminance_matching import RMS_CONTRAST, SLOPE, slope
from stimuli.textures.names import GREY, PX_PER_M, SHAPE, STIMULI, Picture, check_names
from stimuli.textures.synthesis import draw

NATURAL = [name for name in STIMULI if not name.startswith("grating")]
OWN = [name for name in NATURAL if "swap" not in name]
EIGHTH = (SHAPE[0] // 32, SHAPE[1] // 32)

# Mean level of six patches of 32 by 32 pixels of each drawn picture, from its lower left corner
# along the floor: enough to see that a model of clutter was changed, small enough to read.
GOLDEN = {
    "circle1": [160.16, 123.35, 90.71, 114.58, 111.36, 126.72],
    "circle2": [100.0, 71.5, 84.55, 72.94, 153.82, 130.31],
    "leaf1": [151.85, 149.7, 180.3, 169.99, 128.7, 154.8],
    "leaf2": [95.17, 45.0, 101.72, 167.9, 163.66, 156.87],
    "leaf3": [113.23, 138.25, 113.12, 98.53, 122.85, 105.39],
    "rock1": [134.7, 127.78, 142.68, 159.4, 120.3, 125.77],
    "rock2": [146.83, 132.7, 59.96, 82.28, 93.24, 55.56],
    "brick1": [127.19, 135.87, 129.69, 75.21, 46.87, 41.77],
    "brick2": [136.21, 85.88, 74.49, 72.43, 82.23, 103.5],
}


def thumbnail(picture: Picture) -> NDArray[np.float64]:
    """Return the mean levels of a picture's patches of 32 by 32 pixels."""
    high, wide = EIGHTH
    return picture.reshape(high, 32, wide, 32).mean(axis=(1, 3))


@pytest.mark.parametrize("name", STIMULI)
def test_mean_and_contrast_are_those_of_all(drawn: dict[str, Picture], name: str) -> None:
    assert drawn[name].shape == SHAPE
    assert drawn[name].mean() == pytest.approx(GREY, rel=0.01)
    assert drawn[name].std() / drawn[name].mean() == pytest.approx(RMS_CONTRAST, rel=0.05)


@pytest.mark.parametrize("name", NATURAL)
def test_the_spectrum_falls_alike_in_all(drawn: dict[str, Picture], name: str) -> None:
    """Measured piece by piece under a window, not as the matching itself measures it."""
    pieces = drawn[name].astype(float).reshape(SHAPE[0], -1, SHAPE[0]).swapaxes(0, 1)
    window = np.outer(np.hanning(SHAPE[0]), np.hanning(SHAPE[0]))
    power = np.mean(np.abs(np.fft.fft2((pieces - GREY) * window)) ** 2, axis=0)
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(SHAPE[0]) * SHAPE[0]] * 2))
    rings = np.geomspace(3, 64, 13)
    inside = [(low <= frequency) & (frequency < high) for low, high in pairwise(rings)]
    amplitude = [np.sqrt(power[ring].mean()) for ring in inside]
    measured = np.polyfit(np.log(rings[:-1]), np.log(amplitude), 1)[0]
    assert measured == pytest.approx(SLOPE, abs=0.1)  # so that two are at most 0.2 apart


def test_the_slope_of_a_made_spectrum_is_found() -> None:
    rng = np.random.default_rng(1)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(2048)[None, :])
    frequency[0, 0] = 1
    for wanted in (-0.5, -1.0, -2.0):
        noise = np.fft.rfft2(rng.standard_normal((256, 2048))) * frequency**wanted
        assert slope(np.fft.irfft2(noise)) == pytest.approx(wanted, abs=0.08)


def test_swap1_puts_the_first_metre_last(drawn: dict[str, Picture]) -> None:
    leaf1, swap1 = drawn["leaf1"], drawn["leaf1_swap1"]
    assert np.array_equal(swap1[:, : 3 * PX_PER_M], leaf1[:, PX_PER_M:])
    assert np.array_equal(swap1[:, 3 * PX_PER_M :], leaf1[:, :PX_PER_M])


def test_swap2_changes_the_halves(drawn: dict[str, Picture]) -> None:
    first, second = np.split(drawn["leaf1"], 2, axis=1)
    assert np.array_equal(drawn["leaf1_swap2"], np.hstack([second, first]))


@pytest.mark.parametrize("name", OWN)
def test_pictures_close_on_themselves(drawn: dict[str, Picture], name: str) -> None:
    """Across the ends neighbours differ no more than they do inside."""
    for axis in (0, 1):
        level = drawn[name].astype(float)
        steps = np.abs(np.diff(level, axis=axis, append=level.take([0], axis))).mean(1 - axis)
        assert steps[-1] <= np.quantile(steps, 0.995)


def test_exemplars_share_no_place_and_no_kind_is_like_another(drawn: dict[str, Picture]) -> None:
    for one in OWN:
        for other in set(OWN) - {one}:
            alike = np.corrcoef(drawn[one].ravel(), drawn[other].ravel())[0, 1]
            assert abs(alike) < 0.15, (one, other)  # two brick walls have courses of one height


def kind(name: str) -> str:
    return name.rstrip("123")


def test_a_stranger_that_only_counts_edges_sorts_the_pictures_by_kind(
    drawn: dict[str, Picture],
) -> None:
    """By orientation and sharpness of edges each is nearest to another exemplar of its kind."""
    shown = {name: edges(drawn[name]) for name in OWN}
    for name, own in shown.items():
        others = {n: np.abs(own - seen).sum() for n, seen in shown.items() if n != name}
        assert kind(min(others, key=lambda n: others[n])) == kind(name)


def edges(picture: Picture) -> NDArray[np.float64]:
    """Return the shares of faint to sharp edges, and of what is uphill towards the light."""
    rise, run = np.gradient(picture.astype(float))
    strength = np.histogram(np.hypot(rise, run), [2, 5, 10, 20, 40, 80, 400])[0] / picture.size
    turn = np.arctan2(rise, run)[np.hypot(rise, run) > 20]
    return np.r_[strength, np.histogram(turn, 8, (-np.pi, np.pi))[0] / turn.size]


@pytest.mark.parametrize(("name", "rises"), [("grating_45", True), ("grating_135", False)])
def test_gratings_lean_as_they_are_called(
    drawn: dict[str, Picture], name: str, rises: bool
) -> None:
    """Along a stripe of 45 degrees, one column on is one row up."""
    picture = drawn[name].astype(int)
    along = np.roll(picture, (1, 1) if rises else (-1, 1), (0, 1))
    assert np.array_equal(picture, along)
    assert not np.array_equal(picture, np.roll(picture, 1, 1))


def test_a_picture_comes_from_its_name_alone(drawn: dict[str, Picture]) -> None:
    assert np.array_equal(draw("brick2"), drawn["brick2"])


@pytest.mark.parametrize("name", GOLDEN)
def test_pictures_are_the_ones_they_were(drawn: dict[str, Picture], name: str) -> None:
    """A tenth of a level is room for another processor's rounding, not for another picture."""
    assert thumbnail(drawn[name])[0, :6] == pytest.approx(GOLDEN[name], abs=0.1)


def test_an_unknown_name_is_refused_with_what_it_may_have_meant() -> None:
    check_names(STIMULI, STIMULI, "the task has stimuli")
    meant = r'without a picture: "leaf9", "fern"; did you mean "leaf3"\?.*are: circle1, .*brick2\)'
    with pytest.raises(Refused, match=meant):
        check_names(["leaf1", "leaf9", "fern"], STIMULI, "the task has stimuli")
