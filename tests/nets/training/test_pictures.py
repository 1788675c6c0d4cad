"""Spoiling and drawing: finite, of the right shape, repeatable, and changing what they say they change."""

import numpy as np
import pytest

from ctcfish.nets.training.augment import spoil
from ctcfish.nets.training.synthetic import draw_field


@pytest.fixture(scope="module")
def field() -> tuple[np.ndarray, np.ndarray]:
    image, labels = draw_field(96, 20.0, np.random.default_rng(8))
    return image / image.max(), labels


@pytest.mark.parametrize("seed", range(30))
def test_spoiled_crops_are_finite_and_keep_shape_and_type(field: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    result = spoil(field[0], field[1], np.random.default_rng(seed))
    assert result.shape == field[0].shape
    assert result.dtype == np.float32
    assert bool(np.isfinite(result).all())


def test_spoiling_is_a_function_of_its_seed_and_leaves_its_input_alone(field: tuple[np.ndarray, np.ndarray]) -> None:
    before = field[0].copy()
    first, second = (spoil(field[0], field[1], np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(field[0], before)
    assert not np.array_equal(first, spoil(field[0], field[1], np.random.default_rng(4)))


def test_spoiling_without_nuclei_works() -> None:
    empty = np.zeros((32, 32), np.float32)
    for seed in range(20):
        assert spoil(empty, np.zeros((32, 32), np.int32), np.random.default_rng(seed)).shape == (32, 32)


def test_drawn_fields_repeat_and_differ_by_seed() -> None:
    first, again, other = (draw_field(128, 24.0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize("diameter", [12.0, 24.0, 48.0])
def test_drawn_nuclei_have_about_the_width_asked_for(diameter: float) -> None:
    widths = []
    for seed in range(6):
        _, labels = draw_field(int(10 * diameter), diameter, np.random.default_rng(seed))
        inner = np.setdiff1d(labels, np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
        widths += [float(np.sqrt((labels == number).sum() * 4 / np.pi)) for number in inner if number]
    assert 0.8 < np.median(widths) / diameter < 1.2


def test_nuclei_are_brighter_than_the_ground() -> None:
    checked = 0
    for seed in range(6):
        image, labels = draw_field(160, 24.0, np.random.default_rng(seed))
        if labels.any():
            assert image[labels > 0].mean() > image[labels == 0].mean()
            checked += 1
    assert checked >= 4
