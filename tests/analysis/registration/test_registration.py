"""Known motion of a real recording is measured; bad reference images are refused."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import scipy.fft
import tifffile
from numpy.typing import NDArray

from analysis.registration.nonrigid import Nonrigid
from analysis.registration.phase_correlation import Correlator
from analysis.registration.reference_images import ReferenceImages, read_reference_images
from analysis.registration.rigid import MotionSettings, Rigid
from analysis.registration.z_estimate import ZEstimate
from rig.errors import Refused

MOVIE = Path(__file__).parents[4] / "shared" / "data" / "mesoscope_movie" / "frames_000_127.tif"

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def movie() -> Floats:
    """128 frames of a mouse's cortex, 440 x 256 px, already registered."""
    if not MOVIE.is_file():
        pytest.skip(f"there is no {MOVIE}")
    return tifffile.imread(MOVIE).astype(np.float32)


def shifted(image: Floats, down: float, right: float) -> Floats:
    """The image shifted by fractions of a pixel, by its phases."""
    y, x = (scipy.fft.fftfreq(size) for size in image.shape)
    phases = np.exp(-2j * np.pi * (y[:, None] * down + x * right))
    moved = scipy.fft.ifft2(scipy.fft.fft2(image) * phases).real
    return np.asarray(moved, np.float32)


def smooth_field(seed: int, shape: tuple[int, int], px: float) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    y, x = (scipy.fft.fftfreq(size) for size in shape)
    low = np.exp(-2 * (np.pi * px) ** 2 * (y[:, None] ** 2 + x**2))
    noise = scipy.fft.ifft2(scipy.fft.fft2(rng.normal(size=shape)) * low).real
    return np.asarray(noise / noise.std())


def test_whole_pixel_shifts_of_a_real_recording_are_measured_exactly(movie: Floats) -> None:
    rng = np.random.default_rng(0)
    correlator = Correlator(movie.shape[1:], 20)
    reference = correlator.reference(correlator.window(movie[:64].mean(axis=0)))
    for page in movie[64:]:
        down, right = rng.integers(-15, 16, 2)
        spectrum = correlator.spectrum(correlator.window(np.roll(page, (down, right), (0, 1))))
        got_down, got_right, correlation, found = correlator.locate(spectrum, reference)
        assert (round(got_down), round(got_right)) == (down, right)
        assert found
        assert 0.3 < correlation < 1.0


@pytest.mark.parametrize(("window_px", "limit_px"), [(0, 0.06), (200, 0.1)])
def test_subpixel_shifts_are_measured_to_a_tenth_of_a_pixel(
    movie: Floats, window_px: int, limit_px: float
) -> None:
    rng = np.random.default_rng(1)
    correlator = Correlator(movie.shape[1:], 20, window_px)
    reference = correlator.reference(correlator.window(movie[:64].mean(axis=0)))
    off = []
    for page in movie[64:]:
        put = rng.uniform(-8, 8, 2)
        window = correlator.window(shifted(page, *put))
        *got, _, _ = correlator.locate(correlator.spectrum(window), reference)
        off.append(got - put)
    assert np.sqrt(np.mean(np.square(off))) < limit_px


def test_a_large_page_is_binned_and_still_located_to_a_tenth() -> None:
    rng = np.random.default_rng(2)
    image = 1000 + 200 * smooth_field(3, (900, 800), 2.0)
    correlator = Correlator(image.shape, 20)
    assert correlator.binning == 2
    reference = correlator.reference(correlator.window(image))
    off = []
    for _ in range(12):
        put = rng.uniform(-9, 9, 2)
        page = (
            shifted(image.astype(np.float32), float(put[0]), float(put[1]))
            + rng.normal(0, 200, image.shape)
        ).astype(np.int16)
        *got, _, _ = correlator.locate(correlator.spectrum(correlator.window(page)), reference)
        off.append(got - put)
    assert np.sqrt(np.mean(np.square(off))) < 0.1


def test_a_reference_from_the_first_minute_is_where_the_field_mostly_was(movie: Floats) -> None:
    rng = np.random.default_rng(4)
    rigid = Rigid(movie.shape[1:], MotionSettings(reference_s=20.0))
    put = rng.integers(-6, 7, (128, 2))
    put[0] = (9, -9)  # the first page is far off
    got = []
    for at, page in enumerate(movie):
        *moved, _, _ = rigid.locate(np.roll(page, put[at], (0, 1)).astype(np.int16), at / 3)
        got.append(moved)
        assert rigid.building == (at / 3 < 20.0)
    off = np.array(got)[64:] - (put[64:] - np.median(put[:61], axis=0))
    assert np.abs(off).max() < 0.6
    assert np.sqrt((off**2).mean()) < 0.15


def test_a_field_beyond_the_maximum_shift_is_not_found(movie: Floats) -> None:
    """Shifts beyond the maximum, another field and empty images are reported as not found."""
    rng = np.random.default_rng(6)
    rigid = Rigid(movie.shape[1:], MotionSettings(max_shift_px=20), movie[:64].mean(axis=0))
    for at, page in enumerate(movie[64:]):
        down, right = rng.choice([-1, 1], 2) * rng.integers([24, 0], [60, 21])
        elsewhere = (page[::-1], rng.normal(size=page.shape), np.zeros_like(page))
        for other in (np.roll(page, (down, right), (0, 1)), *elsewhere):
            assert not rigid.locate(other, float(at)).found
        inside = np.roll(page, tuple(rng.integers(-19, 20, 2)), (0, 1))
        assert rigid.locate(inside, float(at)).found


def test_pages_of_few_photons_are_found(movie: Floats) -> None:
    """Half a photon per pixel, in a field of 128 px."""
    rng = np.random.default_rng(7)
    still = np.maximum(movie[:, :128, :128], 0)
    pages = 1000 * rng.poisson(still / 1000)
    rigid = Rigid((128, 128), MotionSettings(), still[:64].mean(axis=0))
    assert all(rigid.locate(page, float(at)).found for at, page in enumerate(pages))


def test_pages_beyond_the_maximum_shift_do_not_spoil_the_reference(movie: Floats) -> None:
    rigid = Rigid(movie.shape[1:], MotionSettings(reference_s=100.0))
    for at, page in enumerate(movie):
        away = 30 <= at < 60
        moved = rigid.locate(np.roll(page, 40, 0) if away else page, float(at))
        assert moved.found != away
        assert away or abs(moved.down_px) < 1.0


def test_an_empty_page_has_not_moved() -> None:
    rigid = Rigid((40, 50), MotionSettings())
    blank = np.full((40, 50), 100, np.int16)
    assert rigid.locate(blank, 0.0) == (0.0, 0.0, 0.0, True)


def test_blocks_follow_a_field_that_stretches(movie: Floats) -> None:
    mean = movie[:64].mean(axis=0)
    height, width = mean.shape
    centres = np.random.default_rng(5).uniform(20, (height - 20, width - 20), (60, 2))
    blocks = Nonrigid(mean.shape, MotionSettings(block_px=64), centres)
    blocks.set_reference(mean)
    warped = np.empty_like(movie[64:])
    for row in range(height):  # the top moves left, the bottom right
        warped[:, row] = np.roll(movie[64:, row], round(4 * (row / height - 0.5)), axis=1)
    off = []
    for page in warped[:20]:
        moved = blocks.locate(page, (0, 0))
        off.append(moved - np.stack([0 * centres[:, 0], 4 * (centres[:, 0] / height - 0.5)], 1))
    assert np.sqrt(np.mean(np.square(off))) < 0.7
    still = np.sqrt(np.mean(np.square(4 * (centres[:, 0] / height - 0.5))))
    assert np.sqrt(np.mean(np.square(off))) < 0.6 * still


def stack_of(shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """A tissue that changes within about 10 um: one smooth field turns into others with depth."""
    z_um = np.arange(-20, 21, 2.5, dtype=np.float32)
    fields = [smooth_field(seed, shape, 2.0) for seed in range(9)]
    layers_um = np.linspace(-28, 28, 9)
    shares = np.exp(-(((z_um[:, None] - layers_um) / 6.0) ** 2))
    stack = 500 + 100 * np.tensordot(shares, np.array(fields), axes=1)
    return stack.astype(np.float32), z_um


def test_a_drift_of_five_microns_is_found_in_a_stack() -> None:
    shape = (128, 128)
    stack, z_um = stack_of(shape)
    rng = np.random.default_rng(6)
    for true_um in (0.0, 5.0, -5.0, 7.5):
        depth = ZEstimate(shape, MotionSettings(), stack, z_um)
        image = stack[int(np.argmin(np.abs(z_um - true_um)))]
        found = None
        for _ in range(60):
            shift = tuple(int(px) for px in rng.integers(-4, 5, 2))
            page = np.roll(rng.poisson(np.maximum(image, 0)), shift, (0, 1)).astype(np.int16)
            found = depth.add(page, (shift[0], shift[1]))
        assert found == pytest.approx(true_um, abs=1.0)


@pytest.mark.parametrize(
    ("name", "held", "sentence"),
    [
        ("reference_file", np.zeros((2, 3, 4, 5)), "does not contain one mean page per plane"),
        ("reference_file", np.full((8, 9), np.nan), "does not contain one mean page per plane"),
        ("stack_file", np.zeros((3, 8, 9)), "z_um must increase"),
    ],
)
def test_reference_images_that_cannot_be_used_are_refused(
    name: str, held: NDArray[np.float64], sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "reference.npy"
    np.save(path, held)
    settings = msgspec.convert({name: str(path)}, MotionSettings)
    with pytest.raises(Refused, match=sentence):
        read_reference_images(settings)
    with pytest.raises(Refused, match="cannot be read"):
        absent = {name: str(tmp_path / "absent.npy")}
        read_reference_images(msgspec.convert(absent, MotionSettings))


def test_a_stack_whose_depths_do_not_increase_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stack.npz"
    np.savez(path, stack=np.zeros((3, 8, 9)), z_um=np.array([0.0, 2.0, 1.0]))
    with pytest.raises(Refused, match="z_um must increase"):
        read_reference_images(MotionSettings(stack_file=str(path)))


def test_reference_images_of_another_field_are_refused() -> None:
    reference = ReferenceImages(means=np.zeros((1, 30, 40), np.float32))
    with pytest.raises(Refused, match="make it from the same field"):
        reference.mean(0, 0, (30, 41))
    with pytest.raises(Refused, match="plane 1 needs"):
        reference.mean(1, 0, (30, 40))
