"""Smooth surfaces under nuclei: known backgrounds are taken away, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.stages.nuclei.surface import above_background, background_surface, enlarge_surface, noise_sd, reduce


@pytest.mark.parametrize("factor", [1, 2, 3, 7])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float64])
def test_reduce_is_the_mean_of_blocks(factor, dtype):
    plane = np.random.default_rng(0).integers(0, 250, (45, 52)).astype(dtype)
    rows, columns = 45 // factor, 52 // factor
    blocks = plane[: rows * factor, : columns * factor].astype(float).reshape(rows, factor, columns, factor)
    np.testing.assert_allclose(reduce(plane, factor), blocks.mean(axis=(1, 3)), rtol=1e-5)


def test_reduce_takes_views_that_are_not_contiguous():
    plane = np.arange(24 * 30, dtype=np.uint16).reshape(24, 30)[::2, ::3]
    np.testing.assert_allclose(reduce(plane, 2), reduce(plane.copy(), 2))


def test_background_passes_over_nuclei_that_fill_a_neighbourhood():
    coarse = np.full((40, 40), 10.0, np.float32)
    coarse[16:24, 16:24] = 500
    np.testing.assert_allclose(background_surface(coarse), 10.0)


def test_above_background_is_zero_where_nothing_is():
    np.testing.assert_allclose(above_background(np.full((64, 80), 5, np.float32), 0.4), 0.0, atol=1e-5)


def test_surfaces_are_enlarged_without_overshoot():
    surface = np.array([[1.0, 3.0]], np.float32)
    wide = enlarge_surface(surface, (5, 9))
    assert wide.shape == (5, 9)
    assert wide.min() == 1.0
    assert wide.max() == 3.0
    assert (np.diff(wide[0]) >= 0).all()


@pytest.mark.parametrize("sd", [0.5, 4.0, 60.0])
def test_noise_is_measured_below_the_foreground(sd):
    rng = np.random.default_rng(3)
    image = rng.normal(0, sd, 200_000).astype(np.float32)
    assert noise_sd(image) == pytest.approx(sd, rel=0.02)
    image[:20_000] += 100 * sd
    assert noise_sd(image) == pytest.approx(sd, rel=0.12)


def test_noise_of_nothing_is_zero():
    assert noise_sd(np.zeros(0, np.float32)) == 0.0
