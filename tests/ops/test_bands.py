"""The band-pass against SciPy's filters, its noise and signal gains against direct sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from ctcfish.errors import InputError
from ctcfish.ops.bands import Bands, axial_filter, axial_matrix, band_pass, gaussian_taps, mirrored


def stack(planes: int = 6, height: int = 21, width: int = 34) -> np.ndarray:
    return np.random.default_rng(1).normal(50, 5, (planes, height, width)).astype(np.float32)


def in_plane(image: np.ndarray, taps: tuple[float, ...]) -> np.ndarray:
    for axis in (1, 2):
        image = correlate1d(image, np.array(taps), axis=axis, mode="mirror")
    return image


@pytest.mark.parametrize("sigma", [0.6, 1.3, 3.0])
def test_taps_sum_to_one_and_have_the_width_asked_for(sigma: float) -> None:
    taps = np.array(gaussian_taps(sigma, 6.0))
    step = np.arange(len(taps)) - len(taps) // 2
    assert taps.sum() == pytest.approx(1.0)
    # integration over a pixel adds the variance of a box
    assert (taps * step**2).sum() == pytest.approx(sigma**2 + 1 / 12, rel=5e-3)


@pytest.mark.parametrize(("length", "half"), [(1, 3), (2, 5), (5, 2), (5, 9)])
def test_mirrored_is_numpy_reflect(length: int, half: int) -> None:
    expected = np.pad(np.arange(length), half, mode="reflect") if length > 1 else np.zeros(2 * half + 1, int)
    assert mirrored(length, half) == expected.tolist()


@pytest.mark.parametrize("planes", [2, 3, 9])
def test_axial_matrix_is_the_filter_of_scipy(planes: int) -> None:
    taps = gaussian_taps(1.2)
    matrix = axial_matrix(taps, planes).numpy()
    assert matrix.sum(1) == pytest.approx(np.ones(planes))
    expected = correlate1d(np.eye(planes), np.array(taps), axis=0, mode="mirror")
    np.testing.assert_allclose(matrix, expected, atol=1e-6)


@pytest.mark.parametrize("planes", [1, 6])
def test_response_and_surround_against_scipy(planes: int, device: str) -> None:
    image = stack(planes)
    bands = Bands.of((1.4, 1.3), planes, 2.0)
    response, surround = band_pass(axial_filter(torch.from_numpy(image).to(device), bands), bands)
    smooth = image.astype(np.float64)
    if planes > 1:
        smooth = correlate1d(smooth, np.array(gaussian_taps(1.4)), axis=0, mode="mirror")
    wide = in_plane(smooth, bands.wide)
    np.testing.assert_allclose(surround.cpu().numpy(), wide, rtol=2e-5)
    np.testing.assert_allclose(response.cpu().numpy(), in_plane(smooth, bands.narrow) - wide, atol=2e-4)


def test_a_constant_and_a_slope_give_no_response(device: str) -> None:
    y, x = np.mgrid[:40, :40].astype(np.float32)
    bands = Bands.of((1.0, 1.3), 1, 2.0)
    response, _ = band_pass(torch.from_numpy((3 * y + x + 7)[None]).to(device), bands)
    assert float(response[0, 10:30, 10:30].abs().max()) < 1e-3


@pytest.mark.parametrize("planes", [1, 12])
def test_noise_gain_is_the_variance_of_filtered_white_noise(planes: int) -> None:
    noise = torch.from_numpy(np.random.default_rng(2).standard_normal((planes, 400, 400)).astype(np.float32))
    bands = Bands.of((1.4, 1.3), planes, 1.8)
    response, _ = band_pass(axial_filter(noise, bands), bands)
    measured = response.flatten(1).var(1)
    assert torch.allclose(measured, bands.noise_gain(), rtol=0.05)


def test_first_and_last_planes_are_noisier() -> None:
    gain = Bands.of((1.4, 1.3), 12, 2.0).noise_gain()
    assert float(gain[0]) > 1.3 * float(gain[6])
    assert torch.allclose(gain, gain.flip(0))


@pytest.mark.parametrize("planes", [1, 15])
def test_signal_gain_is_the_response_to_one_photon(planes: int) -> None:
    bands = Bands.of((1.4, 1.3), planes, 2.0)
    image = np.zeros((planes, 41, 41), np.float32)
    profile = np.array(gaussian_taps(1.3, 6.0))
    patch = np.outer(profile, profile)
    half = len(profile) // 2
    axial = np.array(gaussian_taps(1.4, 4.0)) if planes > 1 else np.ones(1)
    middle = planes // 2
    reach = len(axial) // 2
    window = (slice(middle - reach, middle + reach + 1), *(slice(20 - half, 20 + half + 1),) * 2)
    image[window] = axial[:, None, None] * patch
    response, _ = band_pass(axial_filter(torch.from_numpy(image), bands), bands)
    assert bands.signal_gain((1.4, 1.3)) == pytest.approx(float(response[middle, 20, 20]), rel=2e-3)


def test_bands_of_another_depth_are_refused() -> None:
    with pytest.raises(InputError, match="found 3 planes; needed 5, as in the bands"):
        axial_filter(torch.zeros(3, 8, 8), Bands.of((1.0, 1.3), 5, 2.0))


def test_one_plane_is_left_alone() -> None:
    plane = torch.rand(1, 5, 5)
    assert axial_filter(plane, Bands.of((1.0, 1.3), 1, 2.0)) is plane


def test_reach_covers_every_pixel_that_matters() -> None:
    bands = Bands.of((1.0, 1.3), 1, 2.0)
    image = torch.zeros(1, 61, 61)
    image[0, 30, 30] = 1.0
    response, _ = band_pass(image, bands)
    assert int(response[0, 30].nonzero().max()) == 30 + bands.reach_px
