"""The wall textures: reproducible, matched, swapped as in the study, and of distinct categories."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from rig.errors import Refused
from stimuli.textures.luminance_matching import RMS_CONTRAST, SLOPE, slope
from stimuli.textures.names import GREY, PX_PER_M, SHAPE, STIMULI, Texture, check_names
from stimuli.textures.synthesis import synthesize

NATURAL = [name for name in STIMULI if not name.startswith("grating")]
OWN = [name for name in NATURAL if "swap" not in name]
EIGHTH = (SHAPE[0] // 32, SHAPE[1] // 32)

# Mean level of six patches of 32 x 32 pixels of each texture, along the floor from its lower left
# corner: enough to notice any change of the synthesis.
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


def thumbnail(texture: Texture) -> NDArray[np.float64]:
    """Return the mean levels of a texture's patches of 32 x 32 pixels."""
    high, wide = EIGHTH
    means: NDArray[np.float64] = texture.reshape(high, 32, wide, 32).mean(axis=(1, 3))
    return means


@pytest.mark.parametrize("name", STIMULI)
def test_all_have_the_same_mean_and_contrast(drawn: dict[str, Texture], name: str) -> None:
    assert drawn[name].shape == SHAPE
    assert drawn[name].mean() == pytest.approx(GREY, rel=0.01)
    assert drawn[name].std() / drawn[name].mean() == pytest.approx(RMS_CONTRAST, rel=0.05)


@pytest.mark.parametrize("name", NATURAL)
def test_all_have_the_same_spectral_slope(drawn: dict[str, Texture], name: str) -> None:
    """Measured in windowed pieces, a different method from that of the matching."""
    pieces = drawn[name].astype(float).reshape(SHAPE[0], -1, SHAPE[0]).swapaxes(0, 1)
    window = np.outer(np.hanning(SHAPE[0]), np.hanning(SHAPE[0]))
    power = np.mean(np.abs(np.fft.fft2((pieces - GREY) * window)) ** 2, axis=0)
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(SHAPE[0]) * SHAPE[0]] * 2))
    rings = np.geomspace(3, 64, 13)
    inside = [(low <= frequency) & (frequency < high) for low, high in pairwise(rings)]
    amplitude = [np.sqrt(power[ring].mean()) for ring in inside]
    measured = np.polyfit(np.log(rings[:-1]), np.log(amplitude), 1)[0]
    assert measured == pytest.approx(SLOPE, abs=0.1)  # so that two are at most 0.2 apart


def test_the_slope_of_a_known_spectrum_is_measured() -> None:
    rng = np.random.default_rng(1)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(2048)[None, :])
    frequency[0, 0] = 1
    for wanted in (-0.5, -1.0, -2.0):
        noise = np.fft.rfft2(rng.standard_normal((256, 2048))) * frequency**wanted
        assert slope(np.fft.irfft2(noise)) == pytest.approx(wanted, abs=0.08)


def test_swap1_puts_the_first_metre_last(drawn: dict[str, Texture]) -> None:
    leaf1, swap1 = drawn["leaf1"], drawn["leaf1_swap1"]
    assert np.array_equal(swap1[:, : 3 * PX_PER_M], leaf1[:, PX_PER_M:])
    assert np.array_equal(swap1[:, 3 * PX_PER_M :], leaf1[:, :PX_PER_M])


def test_swap2_changes_the_halves(drawn: dict[str, Texture]) -> None:
    first, second = np.split(drawn["leaf1"], 2, axis=1)
    assert np.array_equal(drawn["leaf1_swap2"], np.hstack([second, first]))


@pytest.mark.parametrize("name", OWN)
def test_textures_are_periodic(drawn: dict[str, Texture], name: str) -> None:
    """Neighbours across the ends differ no more than neighbours inside."""
    for axis in (0, 1):
        level = drawn[name].astype(float)
        steps = np.abs(np.diff(level, axis=axis, append=level.take([0], axis))).mean(1 - axis)
        assert steps[-1] <= np.quantile(steps, 0.995)


def test_no_two_textures_are_correlated(drawn: dict[str, Texture]) -> None:
    for one in OWN:
        for other in set(OWN) - {one}:
            alike = np.corrcoef(drawn[one].ravel(), drawn[other].ravel())[0, 1]
            assert abs(alike) < 0.15, (one, other)  # brick walls share the height of their courses


def category(name: str) -> str:
    return name.rstrip("123")


def test_edge_statistics_alone_sort_the_textures_by_category(
    drawn: dict[str, Texture],
) -> None:
    """By orientation and sharpness of edges, each is nearest to another of its category."""
    shown = {name: edges(drawn[name]) for name in OWN}
    for name, own in shown.items():
        others = {n: np.abs(own - seen).sum() for n, seen in shown.items() if n != name}
        assert category(min(others, key=lambda n: others[n])) == category(name)


def edges(texture: Texture) -> NDArray[np.float64]:
    """Return the histogram of edge strengths, and of the orientations of strong edges."""
    rise, run = np.gradient(texture.astype(float))
    strength = np.histogram(np.hypot(rise, run), [2, 5, 10, 20, 40, 80, 400])[0] / texture.size
    turn = np.arctan2(rise, run)[np.hypot(rise, run) > 20]
    features: NDArray[np.float64] = np.r_[
        strength, np.histogram(turn, 8, (-np.pi, np.pi))[0] / turn.size
    ]
    return features


@pytest.mark.parametrize(("name", "rises"), [("grating_45", True), ("grating_135", False)])
def test_gratings_have_the_orientation_of_their_name(
    drawn: dict[str, Texture], name: str, rises: bool
) -> None:
    """Along a stripe of 45 degrees, one column on is one row up."""
    picture = drawn[name].astype(int)
    along = np.roll(picture, (1, 1) if rises else (-1, 1), (0, 1))
    assert np.array_equal(picture, along)
    assert not np.array_equal(picture, np.roll(picture, 1, 1))


def test_a_texture_depends_on_its_name_alone(drawn: dict[str, Texture]) -> None:
    assert np.array_equal(synthesize("brick2"), drawn["brick2"])


@pytest.mark.parametrize("name", GOLDEN)
def test_textures_have_not_changed(drawn: dict[str, Texture], name: str) -> None:
    """A tenth of a level allows for the rounding of another processor, not for a change."""
    assert thumbnail(drawn[name])[0, :6] == pytest.approx(GOLDEN[name], abs=0.1)


def test_an_unknown_name_is_refused_with_a_suggestion() -> None:
    check_names(STIMULI, STIMULI, "stimuli")
    meant = r'stimuli: "leaf9", "fern" are not defined; did you mean "leaf3"\? .*circle1, .*brick2'
    with pytest.raises(Refused, match=meant):
        check_names(["leaf1", "leaf9", "fern"], STIMULI, "stimuli")
