"""Samples, split, balance and batches, on a small folder written here."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from ctcfish.nets.architecture import INPUT_CHANNELS
from ctcfish.nets.training.data import (
    Sample,
    balance,
    draw_batch,
    draw_samples,
    median_diameter_px,
    read_samples,
    split,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images, each with four square nuclei of its own size."""
    root = tmp_path_factory.mktemp("annotated")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    for index, side in enumerate((6, 9, 12, 18, 24, 36)):
        labels = np.zeros((100, 90), np.uint16)
        for number, (y, x) in enumerate([(2, 2), (2, 48), (52, 4), (55, 50)], start=1):
            labels[y : y + side, x : x + side] = number
        image = (10 + 100 * (labels > 0)).astype(np.uint8)
        tifffile.imwrite(root / "images" / f"{index}.tif", image)
        tifffile.imwrite(root / "masks" / f"{index}.tif", labels)
    return root


def test_samples_come_at_the_native_scale(folder: Path) -> None:
    samples = read_samples(folder, 24.0)
    assert [sample.name for sample in samples] == ["0", "1", "2", "3", "4", "5"]
    for sample in samples:
        assert sample.image.shape == sample.labels.shape
        assert median_diameter_px(sample.labels) == pytest.approx(24.0, rel=0.08)
        assert len(np.unique(sample.labels)) == 5
        assert float(np.median(sample.image[sample.labels > 0])) > 0.8


def test_median_diameter_of_known_squares() -> None:
    labels = np.zeros((30, 30), int)
    labels[:5, :5], labels[10:20, 10:20], labels[20:, 20:] = 1, 3, 7
    assert median_diameter_px(labels) == pytest.approx(np.sqrt(400 / np.pi))
    assert median_diameter_px(np.zeros((3, 3), int)) == 0.0


def test_the_split_spans_the_sizes_and_loses_no_image() -> None:
    none = np.zeros((1, 1), np.float32), np.zeros((1, 1), np.int32)
    samples = [Sample(str(index), *none, zoom=float((index * 7) % 40)) for index in range(40)]
    kept, held = split(samples, 10)
    assert sorted(kept + held) == list(range(40))
    assert sorted(samples[index].zoom for index in held) == [5.0, 15.0, 25.0, 35.0]


def test_rare_kinds_get_more_than_their_share() -> None:
    samples = draw_samples(24, 24.0, 3)
    samples = [sample for sample in samples if sample.labels.max() > 3]
    group, chance = balance(samples, 3, 0)
    assert chance.sum() == pytest.approx(1.0)
    assert bool((chance > 0).all())
    size = np.bincount(group, minlength=3)
    total = np.bincount(group, chance, minlength=3)
    np.testing.assert_allclose(total[size > 0] / np.sqrt(size[size > 0]), (total / np.sqrt(np.maximum(size, 1)))[0])


def test_a_batch_is_a_function_of_its_seed(folder: Path) -> None:
    samples = read_samples(folder, 24.0)
    chance = np.full(len(samples), 1 / len(samples))
    first, again, other = (draw_batch(samples, chance, 64, np.random.default_rng(seed), 5) for seed in (1, 1, 2))
    assert first.inputs.shape == (5, INPUT_CHANNELS, 64, 64)
    assert first.targets.shape == (5, 3, 64, 64)
    assert first.weights.shape == (5, 2, 64, 64)
    for name in ("inputs", "targets", "weights"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.inputs, other.inputs)


def test_ground_beyond_the_image_weighs_nothing(folder: Path) -> None:
    samples = [sample for sample in read_samples(folder, 24.0) if sample.name == "5"]
    batch = draw_batch(samples, np.ones(1), 160, np.random.default_rng(0), 8)
    outside = batch.weights[:, 0] == 0
    assert 0.1 < outside.mean() < 0.95
    assert not batch.targets.transpose(0, 2, 3, 1)[outside].any()
    assert not batch.weights[:, 1][outside].any()


def test_nuclei_in_a_crop_lie_where_the_picture_is_bright(folder: Path) -> None:
    samples = read_samples(folder, 24.0)
    batch = draw_batch(samples, np.full(6, 1 / 6), 96, np.random.default_rng(5), 24)
    brighter = []
    for inputs, targets, weights in zip(batch.inputs, batch.targets, batch.weights, strict=True):
        seen, inside = weights[0] > 0, targets[0] > 0
        if inside.any() and (seen & ~inside).any():
            brighter.append(np.median(inputs[0][inside]) > np.median(inputs[0][seen & ~inside]))
    assert np.mean(brighter) > 0.9  # a few crops are inverted on purpose
