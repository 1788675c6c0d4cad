"""The camera against the Poisson law and its own equation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ctcfish.synth.camera import add_hot_pixels, expose, shading, shot_noise
from ctcfish.synth.spec import Camera


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("mean", [0.0, 0.5, 5.0, 11.9, 12.1, 24.0, 40.0, 900.0])
def test_shot_noise_follows_the_poisson_law(mean: float) -> None:
    drawn = shot_noise(np.full((400, 500), mean, np.float32), rng())
    assert np.array_equal(drawn, np.rint(drawn))
    assert drawn.min() >= 0
    # 200,000 draws: the mean is known to sqrt(mean / n), quantiles to about a hundredth of the spread
    assert drawn.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / drawn.size) + 1e-9)
    if mean > 0:
        assert drawn.var() == pytest.approx(mean, rel=0.03)
        shares = np.array([0.001, 0.05, 0.5, 0.95, 0.999])
        np.testing.assert_allclose(
            np.quantile(drawn, shares), stats.poisson.ppf(shares, mean), atol=1 + 0.02 * np.sqrt(mean)
        )


def test_tail_of_the_background_is_the_poisson_tail() -> None:
    """The far tail decides how many false signals a threshold lets through."""
    drawn = shot_noise(np.full((1000, 1000), 40.0, np.float32), rng(3))
    for level in (55, 60, 65):
        expected = stats.poisson.sf(level, 40.0) * drawn.size
        assert (drawn > level).sum() == pytest.approx(expected, abs=4 * np.sqrt(expected) + 0.03 * expected)


def test_camera_equation() -> None:
    camera = Camera(gain_adu_per_photon=2.5, offset_adu=150, read_noise_photons=3.0)
    image = expose(np.full((2, 300, 300), 100.0, np.float32), camera, rng())
    assert image.dtype == np.uint16
    assert image.mean() == pytest.approx(150 + 2.5 * 100, rel=0.002)
    # variance = gain^2 (photons + read noise^2) + rounding
    assert image.astype(float).var() == pytest.approx(2.5**2 * (100 + 9) + 1 / 12, rel=0.02)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_clipping_at_both_ends(bits: int) -> None:
    camera = Camera(bits=bits, offset_adu=0)
    image = expose(np.array([[[0.0, 1e6]]], np.float32), camera, rng())
    assert image[0, 0, 1] == 2**bits - 1
    dark = expose(np.zeros((1, 100, 100), np.float32), camera, rng())
    assert dark.min() == 0
    assert dark.max() < 40


def test_noise_free_photons_without_noise() -> None:
    camera = Camera(read_noise_photons=0, gain_adu_per_photon=1, offset_adu=7)
    assert (expose(np.zeros((1, 5, 5), np.float32), camera, rng()) == 7).all()


def test_same_seed_same_picture() -> None:
    light = np.full((2, 40, 40), 30.0, np.float32)
    np.testing.assert_array_equal(expose(light, Camera(), rng(4)), expose(light, Camera(), rng(4)))
    assert (expose(light, Camera(), rng(4)) != expose(light, Camera(), rng(5))).mean() > 0.5


def test_hot_pixels_stand_at_one_place_in_all_planes() -> None:
    image = np.full((3, 4, 500, 600), 180, np.uint16)
    hot = add_hot_pixels(image, 100.0, Camera(), rng(2))
    changed = hot > image
    where = changed.any(axis=(0, 1))
    assert 10 <= where.sum() <= 55
    assert changed[:, :, where].mean() > 0.99
    assert (hot[:, :, where].min(axis=(0, 1)) > 250).all()
    assert (image == 180).all()


def test_no_hot_pixels() -> None:
    image = np.full((1, 1, 50, 50), 100, np.uint16)
    np.testing.assert_array_equal(add_hot_pixels(image, 0.0, Camera(), rng()), image)


def test_hot_pixels_do_not_wrap_around() -> None:
    image = np.full((1, 1, 100, 100), 250, np.uint16)
    assert add_hot_pixels(image, 5000.0, Camera(bits=8), rng()).min() == 250


def test_shading_falls_towards_the_corners() -> None:
    light = shading((201, 301), 0.2, rng(6))
    assert light.max() == pytest.approx(1.0, abs=1e-3)
    y, x = np.unravel_index(light.argmax(), light.shape)
    assert 0.38 < y / 200 < 0.62
    assert 0.38 < x / 300 < 0.62
    corners = light[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.mean() == pytest.approx(0.8, abs=0.02)
    assert (shading((20, 20), 0.0, rng()) == 1.0).all()
