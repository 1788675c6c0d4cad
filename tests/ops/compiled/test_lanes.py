"""Functions in lanes against those of scipy and numpy."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from scipy.special import erf

from ctcfish.ops.compiled import lanes
from ctcfish.ops.compiled.vector import LANES, load, store


@numba.njit
def gaussian_at_edges(centre, scale, pixels):
    room = lanes.edges_of(pixels)
    lanes.gaussian(centre, scale, pixels + 1, room)
    return room


@numba.njit
def logarithms_of(values):
    out = np.zeros((len(values) + LANES - 1) // LANES * LANES, np.float32)
    out[: len(values)] = values
    for i in range(0, len(values), LANES):
        store(out, i, lanes.logarithm(load(out, i)))
    return out[: len(values)]


@pytest.mark.parametrize("sigma", [0.6, 1.3, 4.0])
@pytest.mark.parametrize("centre", [-2.0, 0.0, 8.37, 30.0])
def test_integral_and_bell_of_a_gaussian_at_edges_of_pixels(centre, sigma):
    scale = math.sqrt(0.5) / sigma
    share, bell, place = gaussian_at_edges(centre, scale, 21).astype(np.float64)
    assert len(place) % LANES == 0
    assert len(place) >= 22
    np.testing.assert_array_equal(place, np.arange(len(place)) - 0.5)
    t = (place - centre) * scale
    np.testing.assert_allclose(share, 0.5 * erf(t), atol=3e-7)
    np.testing.assert_allclose(bell, np.exp(-t * t), atol=3e-7)
    assert (share[t > 4.2] == 0.5).all(), "far out a profile must be none at all, so that rows are passed over"


def test_what_is_far_from_every_pixel_gives_no_light_and_no_noise():
    share, bell, _ = gaussian_at_edges(1e6, 2.0, 9)
    assert (share == -0.5).all()
    assert (bell < 1e-30).all()
    assert (bell >= 0).all()


def test_logarithms_over_the_range_of_light():
    values = np.exp(np.linspace(-60.0, 60.0, 20001)).astype(np.float32)
    expected = np.log(values.astype(np.float64))
    np.testing.assert_allclose(logarithms_of(values), expected, rtol=2e-7, atol=2e-7)


def test_logarithms_about_one_keep_their_leading_digits():
    values = (1.0 + np.linspace(-0.02, 0.02, 4001)).astype(np.float32)
    expected = np.log(values.astype(np.float64))
    np.testing.assert_allclose(logarithms_of(values), expected, rtol=1e-6, atol=1e-9)
