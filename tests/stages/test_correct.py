"""Background and shading: known surfaces are taken away, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.parameters import Correct
from ctcfish.stages.correct import correct
from ctcfish.stages.nuclei.surface import (
    above_background,
    background_surface,
    enlarge_surface,
    noise_sd,
    reduce,
    shading_surface,
)

PARAMS = Correct()


def _ramp(shape, low, high):
    return np.linspace(low, high, shape[1])[None].repeat(shape[0], axis=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.uint32, np.float32, np.float64])
def test_an_even_image_of_any_type_becomes_zero(dtype):
    result = correct(np.full((200, 150), 37, dtype), 0.2, PARAMS)
    assert result.dtype == np.float32
    assert result.shape == (200, 150)
    np.testing.assert_allclose(result, 0.0, atol=1e-3)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 1), (1, 40), (40, 1), (3, 3)])
def test_tiny_images_keep_their_shape(shape):
    result = correct(np.full(shape, 9, np.uint16), 0.1, PARAMS)
    assert result.shape == shape
    assert not result.any()


def test_a_sloping_background_is_taken_away(draw, grid):
    drawn = draw(grid(5, 5, pitch_um=24.0), side_um=125.0, background=0.0, noise=2.0)
    slope = _ramp(drawn.image.shape, 100, 300)
    result = correct(drawn.image + slope, 0.2, PARAMS)
    free = drawn.labels == 0
    free[:30] = free[-30:] = free[:, :30] = free[:, -30:] = False
    # 200 of slope over 125 um; what is left beside the nuclei is a fraction of a nucleus's 300.
    assert abs(np.median(result[free])) < 15
    column = [np.median(result[:, k : k + 60][free[:, k : k + 60]]) for k in range(40, 580, 60)]
    assert np.ptp(column) < 25


def test_nuclei_keep_their_brightness_over_an_even_background(draw, disc):
    drawn = draw([disc(15, 15), disc(45, 45), disc(15, 45)], noise=1.0)
    result = correct(drawn.image, 0.2, PARAMS)
    for number in (1, 2, 3):
        assert np.median(result[drawn.labels == number]) == pytest.approx(400, rel=0.02)


def test_gain_passes_through_and_offset_does_not_matter(draw, grid):
    image = draw(grid(6, 6), side_um=90.0).image
    once = correct(image, 0.2, PARAMS)
    np.testing.assert_allclose(correct(3 * image, 0.2, PARAMS), 3 * once, atol=0.05)
    np.testing.assert_allclose(correct(image + 500, 0.2, PARAMS), once, atol=0.05)


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.transpose])
def test_turning_the_image_turns_the_result(draw, grid, turn):
    image = draw(grid(6, 6), side_um=86.4).image
    np.testing.assert_allclose(correct(turn(image), 0.2, PARAMS), turn(correct(image, 0.2, PARAMS)), atol=2.0)


def test_every_plane_of_a_stack_has_its_own_background(draw, disc):
    image = draw([disc(30, 30)], noise=1.0).image
    stack = np.stack([image, image + 200, image * 0 + 50])
    result = correct(stack, 0.2, PARAMS)
    assert result.shape == stack.shape
    np.testing.assert_allclose(result[1], result[0], atol=1e-2)
    np.testing.assert_allclose(result[2], 0, atol=1e-2)


def test_one_plane_is_a_stack_of_one(draw, grid):
    image = draw(grid(6, 6), side_um=90.0).image
    np.testing.assert_array_equal(correct(image[None], 0.2, PARAMS)[0], correct(image, 0.2, PARAMS))


def test_shading_is_found_and_divided_out(draw, grid):
    drawn = draw(grid(12, 12), side_um=170.0, background=20.0, noise=2.0)
    side = drawn.image.shape[0]
    axis = np.linspace(-1, 1, side)
    shade = np.exp(-0.15 * (axis[:, None] ** 2 + axis**2))
    result = correct(drawn.image * shade, 0.2, PARAMS)
    flat = np.array([np.median(result[drawn.labels == k]) for k in range(1, 145)])
    true = np.array([300.0 + 40.0 * ((3 * i + 5 * j) % 7) for i in range(12) for j in range(12)])
    dark = np.array([np.median((drawn.image * shade - 20)[drawn.labels == k]) for k in range(1, 145)])
    before, after = np.std(np.log(dark / true)), np.std(np.log(flat / true))
    assert before > 0.055
    assert after < 0.4 * before


def test_few_cells_are_no_evidence_of_shading(draw, disc):
    drawn = draw([disc(15, 15, brightness=200), disc(45, 45, brightness=900), disc(15, 45)], noise=1.0)
    result = correct(drawn.image, 0.2, PARAMS)
    assert np.median(result[drawn.labels == 2]) / np.median(result[drawn.labels == 1]) == pytest.approx(4.5, rel=0.03)
    assert shading_surface(reduce(drawn.image, 10) - 100) is None


def test_the_input_is_left_alone(draw, disc):
    image = draw([disc(30, 30)]).image.astype(np.uint16)
    before = image.copy()
    correct(image, 0.2, PARAMS)
    np.testing.assert_array_equal(image, before)


def test_the_same_image_gives_the_same_bytes(draw, grid):
    image = draw(grid(4, 4)).image
    assert correct(image, 0.2, PARAMS).tobytes() == correct(image.copy(), 0.2, PARAMS).tobytes()


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
