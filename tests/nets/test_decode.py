"""Maps to nuclei: ideal maps drawn from known labels must give those labels back, in a window as in the whole."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from ctcfish.nets.architecture import FOREGROUND
from ctcfish.nets.decode import Decoded, DecodeParams, decode
from ctcfish.nets.training.synthetic import draw_field
from ctcfish.nets.training.targets import draw_targets

PARAMS = DecodeParams()
REACH_PX = 2 * 8 + 4 + 8 + 40 + 4 * 3
"""Two catches, a peak, a blur, and five walks."""


def ideal_maps(labels: np.ndarray, sureness: float = 6.0) -> np.ndarray:
    """What a perfect network would say of these nuclei."""
    targets, _ = draw_targets(labels)
    maps = targets.copy()
    maps[FOREGROUND] = np.where(labels > 0, sureness, -sureness)
    return maps


def disc(labels: np.ndarray, y: float, x: float, radius: float, number: int) -> None:
    rows, columns = np.indices(labels.shape)
    labels[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = number


@pytest.fixture(scope="module")
def crowd() -> np.ndarray:
    """About a hundred touching and overlapping nuclei, none under 60 px of area, each in one piece."""
    _, labels = draw_field(420, 24.0, np.random.default_rng([5, 1]))
    rng = np.random.default_rng(3)
    labels = np.zeros((420, 420), np.int32)
    for number in range(1, 200):
        y, x = rng.uniform(0, 420, 2)
        spot = np.zeros_like(labels)
        disc(spot, y, x, rng.uniform(7, 20), 1)
        if spot.sum() > 150 and not (labels[spot > 0] > 0).any():
            labels[spot > 0] = number
    return labels


def same_nuclei(found: np.ndarray, true: np.ndarray) -> bool:
    """Whether two label images hold the same nuclei under other numbers."""
    pairs = np.unique(np.stack([found.ravel(), true.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(true)) == len(np.unique(found))


def test_ideal_maps_give_the_nuclei_back(crowd: np.ndarray) -> None:
    found = decode(ideal_maps(crowd), PARAMS)
    assert same_nuclei(found.labels, crowd)
    assert len(found.score) == len(found.centre_px) == len(np.unique(crowd)) - 1 > 60


def test_centres_are_centroids_numbered_row_by_row(crowd: np.ndarray) -> None:
    found = decode(ideal_maps(crowd), PARAMS)
    for number, centre in enumerate(found.centre_px, start=1):
        np.testing.assert_allclose(np.argwhere(found.labels == number).mean(0), centre, atol=1.5)
    order = [tuple(centre) for centre in found.centre_px]
    assert order == sorted(order)


@pytest.mark.parametrize("corner", [(0, 0), (40, 104), (120, 8)])
def test_a_window_gives_a_nucleus_the_pixels_of_the_whole(crowd: np.ndarray, corner: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    maps = (ideal_maps(crowd, 2.0) + rng.normal(0, 0.15, (3, *crowd.shape))).astype(np.float32)
    whole = decode(maps, PARAMS)
    side = 300
    window = np.s_[corner[0] : corner[0] + side, corner[1] : corner[1] + side]
    part = decode(maps[(slice(None), *window)], PARAMS)
    checked = 0
    for number, centre in enumerate(part.centre_px, start=1):
        inside = all(REACH_PX <= at < side - REACH_PX for at in centre)
        if inside:
            other = int(np.flatnonzero((whole.centre_px == centre + corner).all(1))[0]) + 1
            np.testing.assert_array_equal(part.labels == number, whole.labels[window] == other)
            assert part.score[number - 1] == whole.score[other - 1]
            checked += 1
    assert checked >= 4


def test_two_touching_discs_stay_two() -> None:
    labels = np.zeros((64, 80), np.int32)
    disc(labels, 32, 26, 13, 1)
    disc(labels, 32, 52, 13, 2)
    assert same_nuclei(decode(ideal_maps(labels), PARAMS).labels, labels)


@pytest.mark.parametrize("radius", [5, 12, 30])
def test_small_and_large_nuclei_stay_whole(radius: int) -> None:
    labels = np.zeros((96, 96), np.int32)
    disc(labels, 48, 48, radius, 1)
    assert same_nuclei(decode(ideal_maps(labels), PARAMS).labels, labels)


def test_nothing_found_is_no_rows() -> None:
    found = decode(ideal_maps(np.zeros((40, 50), np.int32)), PARAMS)
    assert isinstance(found, Decoded)
    assert found.labels.shape == (40, 50)
    assert not found.labels.any()
    assert found.centre_px.shape == (0, 2)
    assert found.score.shape == (0,)


def test_small_and_unsure_nuclei_are_dropped() -> None:
    labels = np.zeros((80, 80), np.int32)
    disc(labels, 20, 20, 10, 1)
    disc(labels, 60, 60, 2, 2)
    maps = ideal_maps(labels)
    assert len(decode(maps, PARAMS).score) == 1
    assert len(decode(maps, replace(PARAMS, least_area_px=5)).score) == 2
    maps[FOREGROUND][labels == 1] = 0.1
    assert len(decode(maps, PARAMS).score) == 0
    np.testing.assert_allclose(decode(maps, replace(PARAMS, least_score=0.5)).score, 1 / (1 + np.exp(-0.1)), rtol=1e-5)


def test_a_crumb_that_points_at_a_far_nucleus_is_not_part_of_it() -> None:
    labels = np.zeros((80, 80), np.int32)
    disc(labels, 30, 30, 12, 1)
    with_crumb = labels.copy()
    with_crumb[60:63, 60:63] = 1
    found = decode(ideal_maps(with_crumb), PARAMS).labels
    assert not found[60:63, 60:63].any()
    np.testing.assert_array_equal(found > 0, labels > 0)


def test_offsets_beyond_the_image_are_held_inside() -> None:
    maps = np.zeros((3, 48, 48), np.float32)
    maps[FOREGROUND] = 5.0
    maps[1:] = 1e3
    assert decode(maps, PARAMS).labels.shape == (48, 48)


def decode_slowly(maps: np.ndarray) -> dict[tuple[int, int], set[tuple[int, int]]]:
    """Where each pixel ends by walking one step at a time in plain Python: end -> pixels."""
    height, width = maps.shape[1:]
    ends: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for y, x in np.argwhere(maps[FOREGROUND] > 0):
        row, column = int(y), int(x)
        for walk in range(5):
            limit = 40 if walk == 0 else 3
            down, along = (round(float(maps[axis, row, column]) * 16) for axis in (1, 2))
            row = min(max(row + max(-limit, min(limit, down)), 0), height - 1)
            column = min(max(column + max(-limit, min(limit, along)), 0), width - 1)
        ends.setdefault((row, column), set()).add((int(y), int(x)))
    return ends


def test_pixels_with_one_end_are_in_one_nucleus(crowd: np.ndarray) -> None:
    maps = ideal_maps(crowd[:120, :120])
    rng = np.random.default_rng(9)
    maps[1:] += rng.normal(0, 0.05, maps[1:].shape).astype(np.float32)
    labels = decode(maps, replace(PARAMS, least_area_px=1, least_score=0.0)).labels
    checked = 0
    for pixels in decode_slowly(maps).values():
        owners = {int(labels[pixel]) for pixel in pixels} - {0}
        assert len(owners) <= 1
        checked += len(owners)
    assert checked > 20


def test_every_nucleus_is_in_one_piece(crowd: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    maps = (ideal_maps(crowd, 1.5) + rng.normal(0, 0.4, (3, *crowd.shape))).astype(np.float32)
    found = decode(maps, replace(PARAMS, least_score=0.5))
    assert len(found.score) > 40
    for number in range(1, len(found.score) + 1):
        assert ndimage.label(found.labels == number)[1] == 1


def test_the_score_is_the_mean_probability(crowd: np.ndarray) -> None:
    rng = np.random.default_rng(6)
    maps = ideal_maps(crowd)
    maps[FOREGROUND] += rng.normal(0, 1, crowd.shape)
    found = decode(maps.astype(np.float32), PARAMS)
    probability = 1 / (1 + np.exp(-maps[FOREGROUND].astype(float)))
    expected = ndimage.mean(probability, found.labels, np.arange(1, len(found.score) + 1))
    np.testing.assert_allclose(found.score, expected, rtol=1e-5)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_maps_give_turned_nuclei(crowd: np.ndarray, turns: int) -> None:
    turned = np.ascontiguousarray(np.rot90(crowd, turns))
    found = decode(ideal_maps(turned), PARAMS).labels
    assert same_nuclei(np.ascontiguousarray(np.rot90(found, -turns)), decode(ideal_maps(crowd), PARAMS).labels)
