"""The pictures: reproducible, matched, swapped as the study says, and of two kinds."""

import numpy as np
import pytest

from stimuli.textures import GREY, PX_PER_M, RMS_CONTRAST, STIMULI, Picture, pictures


def test_every_stimulus_of_the_study_has_a_picture(drawn: dict[str, Picture]) -> None:
    assert set(drawn) == set(STIMULI)


def test_pictures_come_from_names_alone(drawn: dict[str, Picture]) -> None:
    for name, again in pictures().items():
        assert np.array_equal(again, drawn[name]), name


@pytest.mark.parametrize("name", STIMULI)
def test_mean_and_contrast_are_those_of_all(drawn: dict[str, Picture], name: str) -> None:
    assert drawn[name].mean() == pytest.approx(GREY, abs=0.1)
    assert drawn[name].std() / drawn[name].mean() == pytest.approx(RMS_CONTRAST, abs=0.005)


def test_swap1_puts_the_first_metre_last(drawn: dict[str, Picture]) -> None:
    leaf1, swapped = drawn["leaf1"], drawn["leaf1_swap1"]
    assert np.array_equal(swapped[:, : 3 * PX_PER_M], leaf1[:, PX_PER_M:])
    assert np.array_equal(swapped[:, 3 * PX_PER_M :], leaf1[:, :PX_PER_M])


def test_swap2_changes_the_halves(drawn: dict[str, Picture]) -> None:
    first, second = np.split(drawn["leaf1"], 2, axis=1)
    assert np.array_equal(drawn["leaf1_swap2"], np.hstack([second, first]))


def test_pictures_close_on_themselves(drawn: dict[str, Picture]) -> None:
    """Across the ends neighbours differ no more than they do inside."""
    for name, picture in drawn.items():
        for axis in (0, 1):
            level = picture.astype(float)
            ends = np.abs(level.take(0, axis) - level.take(-1, axis)).mean()
            assert ends < 2 * np.abs(np.diff(level, axis=axis)).mean(), name


def test_exemplars_differ_pixel_by_pixel_but_not_in_kind(drawn: dict[str, Picture]) -> None:
    """A kind has its own share of sharp edges; two exemplars have that and nothing else alike."""
    names = ("leaf1", "leaf2", "leaf3", "circle1", "circle2")
    edges = {n: (np.hypot(*np.gradient(drawn[n].astype(float))) > 15).mean() for n in names}
    leaves = [edges[n] for n in names if n.startswith("leaf")]
    circles = [edges[n] for n in names if n.startswith("circle")]
    between = abs(np.mean(leaves) - np.mean(circles))
    assert between > 4 * max(np.ptp(leaves), np.ptp(circles))
    for one in names:
        for other in set(names) - {one}:
            alike = np.corrcoef(drawn[one].ravel(), drawn[other].ravel())[0, 1]
            assert abs(alike) < 0.1, (one, other)
