"""Outlines along pixel edges: filled again by an independent rule they are the mask, and valid by GeoJSON's rules."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Curve
from numpy.typing import NDArray
from scipy import ndimage

from ctcfish.export import outlines
from ctcfish.export.outlines import Ring, nuclei_masks, polygons, signed_area


def filled(shapes: list[list[Ring]], shape: tuple[int, int]) -> NDArray[np.int64]:
    """How many polygons hold each pixel centre: inside the outer ring and in none of the holes."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    centres = np.column_stack([x.ravel() + 0.5, y.ravel() + 0.5])
    count = np.zeros(shape[0] * shape[1], dtype=np.int64)
    for outer, *holes in shapes:
        inside = Curve(outer).contains_points(centres)
        for hole in holes:
            inside &= ~Curve(hole).contains_points(centres)
        count += inside
    return count.reshape(shape)


@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_filled_again_they_are_the_mask(mask: NDArray[np.bool_]) -> None:
    shapes = polygons(mask)
    np.testing.assert_array_equal(filled(shapes, mask.shape), mask.astype(int))
    assert sum(signed_area(ring) for shape in shapes for ring in shape) == mask.sum()
    assert len(shapes) == ndimage.label(mask)[1]


@given(arrays(np.bool_, (8, 8)))
def test_rings_are_closed_simple_and_wound_as_geojson_asks(mask: NDArray[np.bool_]) -> None:
    for outer, *holes in polygons(mask):
        assert signed_area(outer) > 0
        assert all(signed_area(hole) < 0 for hole in holes)
        for ring in (outer, *holes):
            assert ring[0] == ring[-1]
            assert len(ring) >= 5
            assert max(Counter(ring[:-1]).values()) == 1
            steps = np.diff(np.array(ring), axis=0)
            assert ((steps == 0).sum(axis=1) == 1).all()
            turned = steps[:, 0] == 0
            assert (turned[:-1] != turned[1:]).all(), "two steps in one direction are one"


def test_known_shapes() -> None:
    assert polygons(np.ones((2, 3), bool), (10, 20)) == [[[(20, 10), (23, 10), (23, 12), (20, 12), (20, 10)]]]
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    ((outer, hole),) = polygons(ring)
    assert (signed_area(outer), signed_area(hole)) == (9, -1)
    assert len(polygons(np.eye(2, dtype=bool))) == 2
    assert polygons(np.zeros((2, 2), bool)) == []


def test_a_hole_that_meets_the_outside_at_a_corner_stays_a_hole() -> None:
    mask = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
    ((outer, hole),) = polygons(mask)
    assert (signed_area(outer), signed_area(hole)) == (8, -1)


@pytest.mark.parametrize("tile_px", [3, 5, 100])
def test_nuclei_are_whole_whatever_the_tiles(monkeypatch: pytest.MonkeyPatch, tile_px: int) -> None:
    monkeypatch.setattr(outlines, "TILE_PX", tile_px)
    labels = np.zeros((11, 13), np.int32)
    labels[1:8, 2:9], labels[2:4, 10:12], labels[10, 12] = 7, 3, 12
    labels[9:, :2] = 1
    labels[0, 7] = labels[7, 0:2] = 7  # its first row is not in its first tile, nor its first column
    found = {label: (corner, mask) for label, corner, mask in nuclei_masks(labels)}
    assert sorted(found) == [1, 3, 7, 12]
    again = np.zeros_like(labels)
    for label, ((y, x), mask) in found.items():
        assert mask.any(axis=0).all()
        assert mask.any(axis=1).all()
        again[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = label
    np.testing.assert_array_equal(again, labels)


def test_no_nucleus_is_no_outline() -> None:
    assert list(nuclei_masks(np.zeros((4, 5), np.int32))) == []
    assert list(nuclei_masks(np.zeros((0, 5), np.int32))) == []
