"""The table of outlines: painted, and asked at single places."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.stages.nuclei.outlines import from_labels
from ctcfish.stages.signals.inside import label_at
from ctcfish.stages.signals.regions import tiles
from ctcfish.types import Nuclei


def scattered(count: int, seed: int = 3) -> Nuclei:
    """Discs of many sizes, drawn one over the other, some across the border; outlines are cut where they overlap."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:180, :230]
    labels = np.zeros(y.shape, np.int32)
    for number, (cy, cx, r) in enumerate(rng.uniform((0, 0, 4), (180, 230, 25), (count, 3)), 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = number
    return from_labels(labels, (0.1, 0.1))


def overlapping() -> Nuclei:
    """Two squares that share ground."""
    parts = [np.zeros((40, 50), np.int32) for _ in range(2)]
    parts[0][5:25, 5:30], parts[1][15:35, 20:45] = 1, 1
    one, two = (from_labels(p, (0.1, 0.1)) for p in parts)
    both = {n: np.concatenate([getattr(one, n), getattr(two, n)]) for n in ("box_px", "centroid_um", "area_um2")}
    rest = {n: np.repeat(getattr(one, n), 2) for n in ("z_um", "thickness_um", "focus", "flags")}
    packed = one.packed + two.packed
    return Nuclei(
        label=np.array([1, 2], np.int32), packed=packed, pixel_um=(0.1, 0.1), shape_px=(40, 50), **both, **rest
    )


@pytest.mark.parametrize(
    "nuclei", [scattered(40), scattered(1), scattered(0), overlapping(), tiles((70, 90), (0.3, 0.3))]
)
def test_every_pixel_has_the_label_that_is_painted_there(nuclei: Nuclei) -> None:
    painted = nuclei.paint()
    places = np.argwhere(painted >= 0)
    np.random.default_rng(1).shuffle(places)
    np.testing.assert_array_equal(label_at(places, nuclei), painted[places[:, 0], places[:, 1]])
    assert label_at(places[:0], nuclei).shape == (0,)


@pytest.mark.parametrize("every", [1, 3, 7, 400])
@pytest.mark.parametrize("window", [(0, 180, 0, 230), (11, 97, 30, 201), (60, 61, 0, 5)])
def test_a_window_at_every_so_many_pixels_is_cut_from_the_whole(every: int, window: tuple[int, ...]) -> None:
    nuclei = scattered(40)
    rows, columns = slice(window[0], window[1], every), slice(window[2], window[3], every)
    np.testing.assert_array_equal(nuclei.paint(rows, columns), nuclei.paint()[rows, columns])


def test_of_nuclei_that_overlap_the_later_is_on_top() -> None:
    nuclei = overlapping()
    assert label_at(np.array([[20, 25], [6, 6], [34, 44], [0, 0]]), nuclei).tolist() == [2, 1, 2, 0]
