"""The point image against closed forms and published widths."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.special import j1

from ctcfish.synth.optics import Lens, Profile, add_point, fwhm_um, profile

OIL = Lens(1.4, 1.518, 0.588)
AIR = Lens(0.75, 1.0, 0.588)
STEPS = (0.05, 0.01)


def plane_light(shape: Profile, row: int) -> float:
    """Light within the profile's reach, by the trapezoid rule on rings."""
    r = np.arange(shape.values.shape[1]) * shape.r_step_um
    return float(np.trapezoid(2 * np.pi * r * shape.values[row], r))


@pytest.mark.parametrize("lens", [OIL, AIR])
def test_focus_is_the_airy_pattern(lens: Lens) -> None:
    point = profile(lens, 0.0, (1.0, 2.0), STEPS)
    v = 2 * np.pi / lens.emission_um * lens.na * np.arange(1, 150) * 0.01
    airy = (2 * j1(v) / v) ** 2
    np.testing.assert_allclose(point.values[0, 1:150] / point.values[0, 0], airy, atol=2e-5)
    # peak of an Airy pattern of unit light: pi NA^2 / lambda^2
    assert point.values[0, 0] == pytest.approx(np.pi * lens.na**2 / lens.emission_um**2, rel=1e-4)


@pytest.mark.parametrize(
    ("na", "index", "emission_nm", "published_nm"),
    [
        (0.75, 1.0, 461, 313), (0.75, 1.0, 524, 356), (0.75, 1.0, 588, 400), (0.75, 1.0, 615, 418),
        (1.4, 1.518, 461, 168), (1.4, 1.518, 524, 191), (1.4, 1.518, 588, 214), (1.4, 1.518, 615, 224),
    ],
)  # fmt: skip
def test_width_in_focus(na: float, index: float, emission_nm: float, published_nm: float) -> None:
    assert fwhm_um(Lens(na, index, emission_nm / 1000), 0.0) * 1000 == pytest.approx(published_nm, rel=0.015)


@pytest.mark.parametrize(("lens", "published_nm"), [(OIL, 553), (AIR, 1528)])
def test_depth_of_focus(lens: Lens, published_nm: float) -> None:
    axis = profile(lens, 0.0, (3.0, 1.0), (0.01, 0.01)).values[:, 0]
    half = 2 * 10.0 * float(np.argmax(axis < axis[0] / 2))
    # the published column is lambda n / NA^2 without high-angle terms; the pupil integral may be a third wider
    assert 0.9 * published_nm < half < 1.35 * published_nm


def test_axial_zero_of_a_low_aperture() -> None:
    """On axis, I(z) = sinc^2(u / 4 pi) with u = 2 pi NA^2 z / (n lambda): first zero at z = 2 n lambda / NA^2."""
    lens = Lens(0.2, 1.0, 0.5)
    axis = profile(lens, 0.0, (30.0, 1.0), (0.1, 0.05)).values[:, 0]
    assert 0.1 * float(np.argmin(axis[:300])) == pytest.approx(2 * 0.5 / 0.2**2, rel=0.02)


@pytest.mark.parametrize("size_um", [0.0, 0.45, 1.0])
@pytest.mark.parametrize("defocus_um", [0.0, 0.4, 1.0])
def test_light_of_a_plane_is_conserved(size_um: float, defocus_um: float) -> None:
    shape = profile(AIR, size_um, (3.0, 8.0), (0.05, 0.02))
    assert plane_light(shape, round(defocus_um / 0.05)) == pytest.approx(1.0, abs=0.03)


def test_size_widens_as_variances_add() -> None:
    """Far from the Airy rings, a ball of diameter d adds d^2/20 per axis to the variance of a Gaussian."""
    focused = profile(AIR, 0.0, (2.0, 6.0), STEPS).values[0].astype(float)
    blurred = profile(AIR, 1.0, (2.0, 6.0), STEPS).values[0].astype(float)
    side = np.hypot(*np.meshgrid(*[np.arange(-350, 351) * 0.01] * 2, indexing="ij")) / 0.01
    image = np.interp(side, np.arange(len(focused)), focused)
    sigma = 1.0 / (2 * np.sqrt(5)) / 0.01
    oracle = gaussian_filter1d(gaussian_filter1d(image, sigma, axis=0), sigma, axis=1)[350, 350:]
    # the profile is blurred in depth too, which only lowers the focus a little
    scale = blurred[0] / oracle[0]
    assert 0.9 < scale <= 1.0
    np.testing.assert_allclose(blurred[:100] / blurred[0], oracle[:100] / oracle[0], atol=0.03)


def test_defocus_between_steps_is_linear() -> None:
    shape = profile(OIL, 0.0, (2.0, 1.0), STEPS)
    middle = shape.at_defocus(np.array([0.075, -0.075]))
    np.testing.assert_allclose(middle[0], (shape.values[1] + shape.values[2]) / 2, rtol=1e-5)
    np.testing.assert_array_equal(middle[0], middle[1])


def test_defocus_beyond_reach_keeps_the_last_plane() -> None:
    shape = profile(OIL, 0.0, (1.0, 1.0), STEPS)
    np.testing.assert_allclose(shape.at_defocus(np.array([50.0]))[0], shape.values[-1], rtol=0.05, atol=1e-4)


@pytest.mark.parametrize("centre", [(20.0, 20.0), (20.3, 19.6), (19.51, 20.49)])
def test_added_point_has_its_place_and_light(centre: tuple[float, float]) -> None:
    stack = np.zeros((5, 41, 41), np.float32)
    shape = profile(OIL, 0.45, (4.0, 3.6), STEPS)
    add_point(stack, shape, (2.0, *centre), 1000.0, (0.4, 0.1, 0.1))
    focus = stack[2].astype(float)
    assert focus.sum() == pytest.approx(1000.0, rel=0.06)
    y, x = np.mgrid[:41, :41]
    near = np.hypot(y - centre[0], x - centre[1]) < 6
    assert (y * focus)[near].sum() / focus[near].sum() == pytest.approx(centre[0], abs=0.06)
    assert (x * focus)[near].sum() / focus[near].sum() == pytest.approx(centre[1], abs=0.06)
    assert stack[2].max() > stack[1].max() > stack[0].max()


def test_added_point_is_integrated_over_pixels() -> None:
    """Four Gauss-Legendre points a pixel against 11 x 11 samples a pixel."""
    shape = profile(OIL, 0.3, (2.0, 3.6), STEPS)
    stack = np.zeros((1, 15, 15), np.float32)
    add_point(stack, shape, (0.0, 7.2, 6.9), 1.0, (0.4, 0.1, 0.1))
    fine = (np.arange(15 * 11) + 0.5) / 11 - 0.5
    r = np.hypot((fine - 7.2)[:, None], fine - 6.9) * 0.1
    samples = np.interp(r / 0.01, np.arange(shape.values.shape[1]), shape.values[0])
    oracle = samples.reshape(15, 11, 15, 11).mean(axis=(1, 3)) * 0.01
    np.testing.assert_allclose(stack[0], oracle, atol=0.003 * oracle.max())


@pytest.mark.parametrize("place", [(0.0, -80.0, 5.0), (0.0, 5.0, 500.0), (0.0, -80.0, -80.0)])
def test_points_far_outside_add_nothing(place: tuple[float, float, float]) -> None:
    stack = np.zeros((2, 12, 12), np.float32)
    add_point(stack, profile(OIL, 0.3, (2.0, 3.6), STEPS), place, 1e6, (0.4, 0.1, 0.1))
    assert not stack.any()


def test_point_on_the_border_is_cut_not_moved() -> None:
    shape = profile(OIL, 0.3, (2.0, 3.6), STEPS)
    whole, part = np.zeros((1, 60, 60), np.float32), np.zeros((1, 60, 30), np.float32)
    add_point(whole, shape, (0.0, 30.0, 29.0), 100.0, (0.4, 0.1, 0.1))
    add_point(part, shape, (0.0, 30.0, 29.0), 100.0, (0.4, 0.1, 0.1))
    np.testing.assert_allclose(part, whole[:, :, :30], rtol=1e-4, atol=1e-6)
