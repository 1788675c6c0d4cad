"""Local brightness range: the same for tile and whole, blind to gain and offset, not stretching noise."""

import numpy as np
import pytest

from ctcfish.nets.normalise import CELL_PX, INPUT_CHANNELS, RangeField, measure_range, network_input, normalise


def discs(side: int = 300, background: float = 20.0) -> np.ndarray:
    """A grid of discs 24 px wide, the right half ten times fainter than the left."""
    rows, columns = np.mgrid[:side, :side]
    inside = (rows % 40 - 20) ** 2 + (columns % 40 - 20) ** 2 < 144
    return background + inside * np.where(columns // 40 * 40 + 20 < side / 2, 1000.0, 100.0)


@pytest.mark.parametrize(("rows", "columns"), [((0, 300), (0, 300)), ((17, 140), (64, 300)), ((299, 300), (0, 1))])
def test_a_window_gets_the_numbers_of_the_whole(rows: tuple[int, int], columns: tuple[int, int]) -> None:
    image = discs()
    field = measure_range(image)
    window = np.s_[slice(*rows), slice(*columns)]
    part = normalise(image[window], field, (rows[0], columns[0]))
    np.testing.assert_array_equal(part, normalise(image, field)[window])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_type_does_not_matter(dtype: type) -> None:
    image = np.minimum(discs(), 255).astype(np.uint8)
    expected = normalise(image, measure_range(image))
    other = image.astype(dtype)
    np.testing.assert_array_equal(normalise(other, measure_range(other)), expected)


def test_gain_and_offset_do_not_matter() -> None:
    image = discs() + np.random.default_rng(0).normal(0, 3, (300, 300))
    expected = normalise(image, measure_range(image))
    other = 7.5 * image + 900.0
    np.testing.assert_allclose(normalise(other, measure_range(other)), expected, atol=1e-3)


def test_bright_nuclei_are_about_one_and_ground_about_zero() -> None:
    image = discs()
    result = normalise(image, measure_range(image))
    assert abs(float(np.median(result[image == 20]))) < 0.02
    assert 0.8 < float(np.median(result[:, :100][image[:, :100] > 20])) < 1.3


def test_faint_nuclei_far_from_bright_ones_are_lifted() -> None:
    side = 14 * CELL_PX
    image = discs(side)
    result = normalise(image, measure_range(image))
    faint = result[:, -3 * CELL_PX :][image[:, -3 * CELL_PX :] > 20]
    assert float(np.median(faint)) > 0.7


def test_noise_alone_is_not_stretched_to_nuclei() -> None:
    image = np.random.default_rng(1).normal(100, 5, (256, 256))
    assert float(np.std(normalise(image, measure_range(image)))) < 0.15


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (63, 65), (64, 64)])
def test_any_shape_and_a_constant_image_give_finite_numbers(shape: tuple[int, int]) -> None:
    image = np.full(shape, 7, np.uint16)
    result = normalise(image, measure_range(image))
    assert result.shape == shape
    np.testing.assert_array_equal(result, 0.0)


def test_cells_hold_the_percentiles_of_their_pixels() -> None:
    image = np.add.outer(np.arange(CELL_PX) * 3.0, np.arange(CELL_PX) * 5.0)
    field = measure_range(image)
    assert field.low.shape == (1, 1)
    low, high = np.percentile(image[::2, ::2], (4.0, 99.5))
    np.testing.assert_allclose(field.low, low, atol=4.0)
    np.testing.assert_allclose(field.low + field.span, high, atol=8.0)


def test_network_input_is_linear_and_compressed() -> None:
    brightness = np.array([[-3.0, 0.0, 0.1, 1.0, 9.0]], np.float32)
    linear, compressed = network_input(brightness)
    assert network_input(brightness).shape == (INPUT_CHANNELS, 1, 5)
    np.testing.assert_allclose(linear[0], [-0.5, 0.0, 0.1, 1.0, 2.0])
    np.testing.assert_allclose(compressed[0], np.log([1.0, 1.0, 4.0, 31.0, 61.0]) / np.log(31.0), rtol=1e-6)


def interpolate_slowly(grid: np.ndarray, y: int, x: int) -> float:
    """A cell grid at one pixel, bilinear between cell centres, constant beyond the outer ones."""
    at = [min(max((k + 0.5) / CELL_PX - 0.5, 0.0), side - 1.0) for k, side in zip((y, x), grid.shape, strict=True)]
    total = 0.0
    for row in range(grid.shape[0]):
        for column in range(grid.shape[1]):
            total += grid[row, column] * max(0.0, 1 - abs(at[0] - row)) * max(0.0, 1 - abs(at[1] - column))
    return total


def test_the_field_is_interpolated_between_cell_centres() -> None:
    rng = np.random.default_rng(0)
    low, span = (rng.uniform(1, 5, (3, 4)).astype(np.float32) for _ in range(2))
    image = rng.uniform(0, 9, (180, 250)).astype(np.float32)
    result = normalise(image, RangeField(low, span))
    for y, x in [(0, 0), (31, 32), (64, 100), (95, 96), (179, 249), (150, 3)]:
        expected = (image[y, x] - interpolate_slowly(low, y, x)) / interpolate_slowly(span, y, x)
        assert float(result[y, x]) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_far_pixels_have_no_say_in_a_cell() -> None:
    image = discs(14 * CELL_PX)
    changed = image.copy()
    changed[-2 * CELL_PX :, -2 * CELL_PX :] *= 0.9
    first, second = measure_range(image), measure_range(changed)
    np.testing.assert_array_equal(first.low[:8, :8], second.low[:8, :8])
    np.testing.assert_allclose(first.span[:8, :8], second.span[:8, :8], rtol=0.02)
