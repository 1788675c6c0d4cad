"""Outlines: tables of label images against scikit-image, and enlargement against geometry."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import regionprops
from skimage.morphology import h_maxima
from skimage.segmentation import expand_labels, watershed

from ctcfish.stages.nuclei.outlines import assemble, enlarge, from_labels, outline_table, shifted
from ctcfish.stages.nuclei.regions import keep, quantiles, surroundings
from ctcfish.stages.nuclei.watersheds import split


def _random_labels(seed=0, shape=(90, 120), count=25):
    rng = np.random.default_rng(seed)
    seeds = np.zeros(shape, np.int32)
    seeds[rng.integers(5, shape[0] - 5, count), rng.integers(5, shape[1] - 5, count)] = np.arange(1, count + 1)
    away = ndimage.distance_transform_edt(seeds == 0)
    return watershed(away, seeds, mask=away < 8).astype(np.int32)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_table_agrees_with_scikit_image(seed):
    labels = _random_labels(seed)
    nuclei = from_labels(labels, (0.2, 0.3))
    regions = regionprops(labels)
    assert len(nuclei) == len(regions)
    np.testing.assert_array_equal(nuclei.label, np.arange(1, len(regions) + 1))
    np.testing.assert_array_equal(nuclei.box_px, [r.bbox for r in regions])
    np.testing.assert_allclose(nuclei.area_um2, [r.area * 0.06 for r in regions])
    np.testing.assert_allclose(nuclei.centroid_um, [np.array(r.centroid) * (0.2, 0.3) for r in regions])
    for row, region in enumerate(regions):
        np.testing.assert_array_equal(nuclei.mask(row), region.image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_painting_the_table_gives_the_labels_back(dtype):
    labels = _random_labels().astype(dtype)
    np.testing.assert_array_equal(from_labels(labels, (0.1, 0.1)).paint(), labels)


def test_a_window_is_painted_alone():
    labels = _random_labels()
    window = from_labels(labels, (0.1, 0.1)).paint(slice(20, 60), slice(30, 110))
    np.testing.assert_array_equal(window, labels[20:60, 30:110])


def test_gaps_in_numbering_are_closed_and_order_is_kept():
    labels = np.zeros((6, 9), np.int64)
    labels[:, :2], labels[:, 4:6], labels[:, 7:] = 900, 7, 40
    nuclei, number = outline_table(labels, (1.0, 1.0))
    assert number.tolist() == [7, 40, 900]
    assert nuclei.label.tolist() == [1, 2, 3]
    assert nuclei.box_px[:, 1].tolist() == [4, 7, 0]


def test_labels_larger_than_any_table_are_numbered():
    labels = np.zeros((6, 9), np.int64)
    labels[:, :2], labels[:, 4:6] = 2**40, 3
    nuclei, number = outline_table(labels, (1.0, 1.0))
    assert number.tolist() == [3, 2**40]
    assert nuclei.area_um2.tolist() == [12.0, 12.0]


def test_negative_labels_are_background():
    labels = np.array([[-1, 0, 2], [-1, 0, 2]])
    nuclei = from_labels(labels, (1.0, 1.0))
    assert len(nuclei) == 1
    assert nuclei.box_px.tolist() == [[0, 2, 2, 3]]


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 4)])
def test_nothing_found_is_a_table_of_no_rows(shape):
    nuclei = from_labels(np.zeros(shape, np.int32), (0.1, 0.1))
    assert len(nuclei) == 0
    assert nuclei.box_px.shape == (0, 4)
    assert nuclei.centroid_um.shape == (0, 2)
    assert nuclei.shape_px == shape
    assert not nuclei.paint().any()


def test_a_table_starts_without_focus_and_flags():
    nuclei = from_labels(_random_labels(), (0.1, 0.1))
    assert not nuclei.z_um.any()
    assert np.isnan(nuclei.thickness_um).all()
    assert np.isnan(nuclei.focus).all()
    assert not nuclei.flags.any()


def test_ten_thousand_outlines_take_no_time_to_speak_of():
    labels = np.kron(np.arange(1, 10_001, dtype=np.int32).reshape(100, 100), np.ones((12, 12), np.int32))
    nuclei = from_labels(labels, (0.1, 0.1))
    assert len(nuclei) == 10_000
    np.testing.assert_allclose(nuclei.area_um2, 1.44)
    np.testing.assert_array_equal(nuclei.paint(slice(5, 900), slice(100, 400)), labels[5:900, 100:400])


def test_tiles_are_assembled_in_order():
    left, right = _random_labels(1, (40, 50), 6), _random_labels(2, (40, 30), 4)
    whole = np.concatenate([left, np.where(right > 0, right + left.max(), 0)], axis=1)
    parts = [from_labels(part, (0.5, 0.5)) for part in (left, right)]
    joined = assemble([shifted(parts[0], (0, 0), (40, 80)), shifted(parts[1], (0, 50), (40, 80))])
    direct = from_labels(whole, (0.5, 0.5))
    np.testing.assert_array_equal(joined.paint(), whole)
    np.testing.assert_allclose(joined.centroid_um, direct.centroid_um)
    np.testing.assert_array_equal(joined.label, direct.label)


# --- enlarging -------------------------------------------------------------------------------------------------


def _disc(side, centre, radius):
    axis = np.arange(side) + 0.5
    return (axis[:, None] - centre[0]) ** 2 + (axis - centre[1]) ** 2 <= radius**2


@pytest.mark.parametrize("scale", [2.0, 4.0, 3.75, 1.7])
def test_an_enlarged_disc_is_a_disc(scale):
    coarse = _disc(40, (20.3, 18.6), 11).astype(np.int32)
    side = round(40 * scale)
    fine = enlarge(coarse, (side, side), (scale, scale))
    true = _disc(side, (20.3 * scale, 18.6 * scale), 11 * scale)
    assert (fine == 1).sum() == pytest.approx(true.sum(), rel=0.02)
    assert ((fine == 1) & true).sum() / ((fine == 1) | true).sum() > 0.965


def test_an_enlarged_outline_is_smooth():
    coarse = _disc(40, (20, 20), 11).astype(np.int32)
    fine = enlarge(coarse, (320, 320), (8.0, 8.0))
    stairs = np.kron(coarse, np.ones((8, 8), np.int32))
    true = _disc(320, (160, 160), 88)
    assert ((fine == 1) ^ true).sum() < 0.5 * ((stairs == 1) ^ true).sum()


def test_touching_nuclei_still_touch():
    coarse = np.zeros((20, 30), np.int32)
    coarse[5:15, 5:15], coarse[5:15, 15:25] = 1, 2
    fine = enlarge(coarse, (80, 120), (4.0, 4.0))
    middle = fine[30:50, 30:90]
    assert set(np.unique(middle)) == {1, 2}
    assert (middle[:, :30] == 1).all()
    assert (middle[:, 31:] == 2).all()


@pytest.mark.parametrize("shape", [(83, 121), (80, 120), (82, 123)])
def test_pixels_beyond_the_last_whole_block_follow_their_neighbours(shape):
    coarse = np.zeros((20, 30), np.int32)
    coarse[10:, 20:] = 1
    fine = enlarge(coarse, shape, (4.0, 4.0))
    assert fine.shape == shape
    assert (fine[45:, 85:] == 1).all()


def test_scale_one_changes_nothing():
    labels = _random_labels()
    assert enlarge(labels, labels.shape, (1.0, 1.0)) is labels


def test_enlarging_nothing_gives_nothing():
    assert not enlarge(np.zeros((4, 5), np.int32), (8, 10), (2.0, 2.0)).any()


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.transpose])
def test_enlarging_has_no_preferred_side(turn):
    labels = (_random_labels() == 3).astype(np.int32)[:88, :88]
    shape = (352, 352)
    one, two = enlarge(turn(labels).copy(), shape, (4.0, 4.0)), turn(enlarge(labels, shape, (4.0, 4.0)))
    assert (one != two).sum() <= 0.01 * (two > 0).sum()


def test_rows_and_columns_may_have_their_own_scale():
    fine = enlarge(_disc(40, (20, 20), 11).astype(np.int32), (80, 160), (2.0, 4.0))
    rows, columns = np.nonzero(fine)
    assert np.ptp(columns) == pytest.approx(2 * np.ptp(rows), abs=3)


# --- small operations on labels --------------------------------------------------------------------------------


def test_growing_agrees_with_scikit_image():
    labels = _random_labels()
    near = surroundings(labels).within(3.0)
    oracle = expand_labels(labels, 3)
    assert (near > 0).sum() == pytest.approx((oracle > 0).sum(), rel=0.01)
    both = (near > 0) & (oracle > 0)
    assert (near[both] == oracle[both]).mean() > 0.995


def test_growing_nothing_gives_nothing():
    around = surroundings(np.zeros((5, 5), np.int32))
    assert not around.within(2.0).any()
    assert np.isinf(around.away_px).all()


def test_rings_lie_between_two_distances():
    labels = np.zeros((21, 21), np.int32)
    labels[10, 10] = 3
    ring = surroundings(labels).within(6.0, 3.0)
    rows, columns = np.nonzero(ring)
    away = np.hypot(rows - 10, columns - 10)
    assert away.min() > 2.9
    assert away.max() < 6.2
    assert set(ring[ring > 0]) == {3}


def test_kept_labels_are_numbered_again():
    labels = np.array([[0, 1, 2, 3, 4]], np.int32)
    wanted = np.array([True, True, False, False, True])
    assert keep(labels, wanted).tolist() == [[0, 1, 0, 0, 2]]


@pytest.mark.parametrize("seed", [0, 1])
def test_quantiles_agree_with_numpy(seed):
    labels = _random_labels(seed)
    image = np.random.default_rng(seed).normal(0, 300, labels.shape).astype(np.float32)
    count = int(labels.max()) + 2
    for share, values in zip((0.0, 0.3, 0.5, 1.0), quantiles(image, labels, count, (0.0, 0.3, 0.5, 1.0)), strict=True):
        assert values.shape == (count,)
        assert values[-2:].tolist() == [0.0, 0.0]
        for number in range(1, count - 1):
            assert values[number - 1] == np.quantile(image[labels == number], share, method="lower")


def test_quantiles_of_no_label_are_zero():
    assert quantiles(np.ones((3, 3), np.float32), np.zeros((3, 3), np.int32), 2, (0.5,))[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("depth", [0.2, 0.6, 1.5, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_splitting_agrees_with_flooding_from_h_maxima(seed, depth):
    rng = np.random.default_rng(seed)
    mask = np.zeros((120, 160), bool)
    for y, x, r in zip(rng.uniform(10, 110, 14), rng.uniform(10, 150, 14), rng.uniform(6, 14, 14), strict=True):
        mask |= (np.arange(120)[:, None] - y) ** 2 + (np.arange(160) - x) ** 2 < r * r
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1.0).astype(np.float32)
    labels = split(distance, mask, depth)
    peaks, count = ndimage.label(h_maxima(distance, depth) * mask, np.ones((3, 3)))
    np.testing.assert_array_equal(labels > 0, mask)
    assert labels.max() == count
    oracle = watershed(-distance, peaks, mask=mask)
    table = np.zeros((count + 1, count + 1), int)
    np.add.at(table, (labels.ravel(), oracle.ravel()), 1)
    assert table[1:, 1:].max(axis=1).sum() > 0.97 * mask.sum()


def test_splitting_nothing_gives_nothing():
    assert not split(np.zeros((5, 6), np.float32), np.zeros((5, 6), bool), 1.0).any()
