"""What must hold of any label image, and of memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from ctcfish.flags import CellFlag
from ctcfish.parameters import ClassicalNuclei, Segment
from ctcfish.stages.nuclei.outlines import enlarge, from_labels
from ctcfish.stages.nuclei.regions import keep, quantiles, surroundings
from ctcfish.stages.nuclei.tiles import tiles
from ctcfish.stages.nuclei.watersheds import split
from ctcfish.stages.segment import segment
from ctcfish.synth.immuno import if_field
from ctcfish.synth.spec import Population, SlideSpec

LABELS = hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(-1, 6))
RULES = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@RULES
@given(LABELS)
def test_any_labels_survive_the_table(labels):
    nuclei = from_labels(labels, (0.5, 0.25))
    painted = nuclei.paint()
    present = np.unique(labels[labels > 0])
    assert len(nuclei) == len(present)
    for row, label in enumerate(present):
        np.testing.assert_array_equal(painted == row + 1, labels == label)
    np.testing.assert_allclose(nuclei.area_um2, [0.125 * (labels == k).sum() for k in present])


@RULES
@given(LABELS)
def test_boxes_are_tight(labels):
    nuclei = from_labels(labels, (1.0, 1.0))
    for row in range(len(nuclei)):
        mask = nuclei.mask(row)
        assert mask[0].any()
        assert mask[-1].any()
        assert mask[:, 0].any()
        assert mask[:, -1].any()


@RULES
@given(LABELS, st.lists(st.booleans(), min_size=7, max_size=7))
def test_keeping_labels_keeps_their_pixels(labels, wanted):
    labels = np.maximum(labels, 0)
    chosen = np.array(wanted)
    kept = keep(labels, chosen)
    chosen[0] = False
    np.testing.assert_array_equal(kept > 0, chosen[labels])
    numbers = np.unique(kept[kept > 0])
    assert len(numbers) == len(np.unique(labels[chosen[labels]]))


@RULES
@given(LABELS, st.floats(0.5, 6.0))
def test_grown_labels_hold_what_they_grew_from(labels, distance):
    labels = np.maximum(labels, 0)
    wide = surroundings(labels).within(distance)
    np.testing.assert_array_equal(wide[labels > 0], labels[labels > 0])
    away = ndimage.distance_transform_edt(labels == 0) if labels.any() else np.full(labels.shape, np.inf)
    assert not (wide[away > 1.1 * distance + 0.5] > 0).any()
    assert (wide[away <= 0.9 * distance] > 0).all()


@RULES
@given(LABELS, st.integers(0, 2**31))
def test_quantiles_lie_between_the_extremes(labels, seed):
    labels = np.maximum(labels, 0)
    image = np.random.default_rng(seed).normal(0, 1e4, labels.shape).astype(np.float32)
    low, middle, high = quantiles(image, labels, 6, (0.0, 0.5, 1.0))
    assert (low <= middle).all()
    assert (middle <= high).all()
    for number in np.unique(labels[labels > 0]):
        assert low[number - 1] == image[labels == number].min()
        assert high[number - 1] == image[labels == number].max()


@RULES
@given(LABELS, st.sampled_from([1.5, 2.0, 3.0, 4.0]))
def test_enlarged_labels_are_the_same_nuclei(labels, scale):
    labels = np.maximum(labels, 0)
    shape = tuple(int(np.ceil(side * scale)) for side in labels.shape)
    fine = enlarge(labels, shape, (scale, scale))
    assert fine.shape == shape
    assert set(np.unique(fine)) <= set(np.unique(labels)) | {0}
    if (labels == 1).all():
        assert (fine == 1).all()


@RULES
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([(32, 8), (48, 16), (64, 32)]))
def test_every_pixel_has_one_owner(rows, columns, sizes):
    owner = np.zeros((rows, columns), int)
    y, x = np.indices((rows, columns)).astype(float)
    for tile in tiles((rows, columns), *sizes):
        owner += tile.owns(y, x, 0.0)
    assert (owner == 1).all()


@RULES
@given(hnp.arrays(np.bool_, (12, 12)), st.floats(0.05, 2.0))
def test_a_deeper_neck_never_makes_more_parts(mask, depth):
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 0.8).astype(np.float32)
    few, many = split(distance, mask, depth), split(distance, mask, 0.5 * depth)
    np.testing.assert_array_equal(few > 0, many > 0)
    assert few.max() <= many.max()


@pytest.fixture(scope="module")
def scan():
    """An IF scan of 60 cells at 0.64 um per pixel."""
    return if_field(SlideSpec(seed=5, population=Population(ctc=8, leukocytes=52, touching_pairs=4)))


@pytest.mark.parametrize("params", [Segment(), Segment(nuclei=ClassicalNuclei())], ids=["network", "classical"])
def test_an_if_scan_gives_its_nuclei(scan, params):
    nuclei = segment(scan.pixels[0], scan.voxel_um, params, "cpu")
    painted = nuclei.paint()
    found = 0
    for number in range(1, int(scan.labels.max()) + 1):
        inside = scan.labels == number
        votes = np.bincount(painted[inside], minlength=1)
        votes[0] = 0
        both = votes.max()
        found += both / max((inside | (painted == votes.argmax())).sum(), 1) >= 0.5
    assert found >= 0.97 * scan.labels.max()
    assert len(nuclei) <= 1.03 * scan.labels.max()
    doubted = nuclei.flags & ~int(CellFlag.TRUNCATED)
    assert (doubted > 0).mean() < 0.05
