"""The simulated brain: its pages agree with the ground truth."""

import numpy as np
import pytest
from numpy.typing import NDArray

from acquisition.simulation.brain_motion import BrainMotion
from acquisition.simulation.optics import Optics
from acquisition.simulation.simulated_brain import Brain, SimulatedBrain
from acquisition.simulation.strip_layout import StripLayout
from acquisition.simulation.tissue import MARGIN_PX, Tissue
from rig.messages import Position, TrialStart

STRIPS = StripLayout(96, 64, rois=3, fly_rows=10)
FRAME_S = 1 / 3


FIELD = StripLayout(128, 128)


def simulated_brain(
    layout: StripLayout = FIELD,
    depths: int = 1,
    seed: int = 1,
    cells: int = 60,
    bleach_s: float = 1e6,
) -> SimulatedBrain:
    grown = SimulatedBrain(Brain(cells=cells, bleach_s=bleach_s), layout, depths, None)
    grown.begin(seed)
    return grown


def even(layout: StripLayout, photons: float) -> Tissue:
    shape = tuple(n + 2 * MARGIN_PX for n in layout.field_shape)
    dark = np.full(shape, photons, np.float32)
    return Tissue(dark, np.zeros_like(dark), np.zeros(shape, np.intp))


def pages(optics: Optics, tissue: Tissue, count: int = 1, moved: float = 0.0) -> NDArray[np.int16]:
    columns = tissue.dark.shape[1]
    shift = np.full((len(optics.blocks), 2), moved)
    return np.array(
        [
            optics.page(tissue, np.zeros(0), np.zeros(columns), 1.0, shift).copy()
            for _ in range(count)
        ]
    )


@pytest.mark.parametrize("photons", [0.5, 3.0, 20.0])
def test_the_noise_is_that_of_photons(photons: float) -> None:
    """The mean is proportional to the light; so is the variance, apart from read noise."""
    optics = Optics(FIELD)
    light, dark = (pages(optics, even(FIELD, p), 8).astype(float) for p in (photons, 0.0))
    gain = 60.0
    assert light.mean() == pytest.approx(gain * photons, rel=0.05)
    assert (light.var() - dark.var()) / gain**2 == pytest.approx(photons, rel=0.12)


def test_the_tissue_moves_as_far_as_requested() -> None:
    layout = StripLayout(64, 64)
    optics, tissue = Optics(layout), even(layout, 0.5)
    y, x = np.mgrid[: tissue.dark.shape[0], : tissue.dark.shape[1]] - MARGIN_PX
    for moved in (-3.0, 0.0, 2.5):
        tissue.dark[:] = 100 * np.exp(-((y - 30) ** 2 + (x - 33) ** 2) / 50)
        page = np.clip(pages(optics, tissue, 20, moved).mean(0), 0, None)
        rows, columns = np.mgrid[:64, :64]
        found = [float((axis * page).sum() / page.sum()) for axis in (rows, columns)]
        np.testing.assert_allclose(found, (30 + moved, 33 + moved), atol=0.25)


def test_strips_show_their_tissue_and_fly_rows_are_empty() -> None:
    tissue = even(STRIPS, 0.0)
    tissue.dark[:, :] = 5.0 + 5.0 * ((np.arange(tissue.dark.shape[1]) - MARGIN_PX) // 64)
    page = pages(Optics(STRIPS), tissue, 4).mean(0)
    for roi, slot in enumerate(STRIPS.slots):
        strip = page[STRIPS.top(roi) : STRIPS.top(roi) + 96, 4:-4]
        assert strip.mean() == pytest.approx(60 * (5 + 5 * slot), rel=0.03)
    for roi in (1, 2):
        flight = page[STRIPS.top(roi) - 10 : STRIPS.top(roi)]
        assert abs(flight.mean()) < 3 and flight.std() < 30


def test_the_brain_moves_farther_while_the_animal_runs_and_warps_across_the_field() -> None:
    v, u = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    spread = []
    for running in (False, True):
        motion = BrainMotion(0.5, 0.0, np.random.default_rng(1))
        course = []
        for _ in range(2000):
            motion.step(FRAME_S, running)
            course.append(motion.at(v, u))
        moved = np.array(course)
        np.testing.assert_array_equal(moved[:, 0], moved[:, 1])
        spread.append(moved.std())
    assert spread[0] == pytest.approx(0.5, rel=0.1)
    assert spread[1] == pytest.approx(1.25, rel=0.1)
    warped = BrainMotion(0.0, 1.0, np.random.default_rng(1)).at(v, u)
    assert np.abs(warped[0] - warped[1]).max() > 0.2


def test_light_fades_and_the_same_seed_shows_the_same() -> None:
    def page(age_s: float, seed: int = 1) -> NDArray[np.int16]:
        brain = simulated_brain(seed=seed, bleach_s=100.0)
        return brain.scan(0, None, age_s, FRAME_S, FRAME_S).page

    np.testing.assert_array_equal(page(0.0), page(0.0))
    assert (page(0.0) != page(0.0, seed=2)).any()
    assert page(100.0).mean() / page(0.0).mean() == pytest.approx(0.6 + 0.4 / np.e, rel=0.05)


def test_each_depth_has_its_own_cells() -> None:
    brain = simulated_brain(STRIPS, depths=2, cells=80)
    for plane in (0, 1):
        scans = [brain.scan(plane, None, 0.0, 1.0, 1.0).spikes for _ in range(60)]
        spikes = np.sum(scans, axis=0)
        assert (spikes[brain.cells.plane != plane] == 0).all()
        assert (spikes[brain.cells.plane == plane] > 0).mean() > 0.9


@pytest.mark.parametrize("seed", [1, 2])
def test_five_trials_of_each_reveal_the_preferred_texture(seed: int) -> None:
    """From discs at the known cells, without registration, d' has the right sign."""
    brain = simulated_brain(seed=seed)
    cells = brain.cells
    y, x = np.mgrid[:128, :128]
    masks = [
        np.hypot(y - a, x - b) <= r
        for a, b, r in zip(cells.y_px, cells.x_px, cells.radius_px, strict=True)
    ]
    traces: dict[str, list[list[float]]] = {"leaf1": [], "circle1": []}
    for number in range(10):
        stimulus = ("leaf1", "circle1")[number % 2]
        rewarded = stimulus == "leaf1"
        brain.tuning.begin(
            TrialStart(0, number, stimulus, None, rewarded, 4.0, 2.0, 2.5, "active", 0.0)
        )
        for place_m in np.arange(0, 6, 0.2):
            position = Position(0, number, float(place_m), 60.0, True, "corridor")
            page = brain.scan(0, position, 0.0, FRAME_S, FRAME_S).page
            if place_m < 4.0:
                traces[stimulus].append([float(page[mask].mean()) for mask in masks])
    a, b = np.array(traces["leaf1"]), np.array(traces["circle1"])
    d_prime = 2 * (a.mean(0) - b.mean(0)) / (a.std(0) + b.std(0))
    sign = np.array([1, -1, 0, 0, 1])[cells.prefers]
    assert (d_prime * sign >= 0.3)[sign != 0].mean() > 0.9
    assert (np.abs(d_prime[sign == 0]) < 0.8).mean() > 0.9  # some are close to others
