"""Local brightness range: the same for tile and whole, blind to gain and offset, not stretching noise."""

import numpy as np
import pytest

from ctcfish.nets.normalise import CELL_PX, INPUT_CHANNELS, measure_range, network_input, normalise


def discs(side: int = 300, background: float = 20.0) -> np.ndarray:
    """A grid of discs 24 px wide, the right half ten times fainter than the left."""
    rows, columns = np.mgrid[:side, :side]
    image = np.full((side, side), background)
    for y in range(20, side, 40):
        for x in range(20, side, 40):
            image[(rows - y) ** 2 + (columns - x) ** 2 < 144] = background + (1000.0 if x < side / 2 else 100.0)
    return image


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
