"""Places of nuclei: apart by default, in contact or one over the other where asked."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.errors import ConfigError
from ctcfish.synth.nucleus import Shape, draw_shape, mask
from ctcfish.synth.placing import Places, place_nuclei
from ctcfish.synth.spec import Population


def shapes(n: int, seed: int = 0) -> list[Shape]:
    rng = np.random.default_rng(seed)
    return [draw_shape(7.0 + rng.random(), 0.5, False, rng) for _ in range(n)]


def population(touching: int = 0, overlap: int = 0) -> Population:
    return Population(touching_pairs=touching, overlap_pairs=overlap, gap_um=0.5)


def laid(own: list[Shape], wanted: Population, extent: tuple[float, float], rng: np.random.Generator) -> Places:
    return place_nuclei(own, [0.0] * len(own), wanted, extent, rng)


def painted(shape: Shape, zyx: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:130:0.1, :130:0.1]
    return mask(shape, y - zyx[1], x - zyx[2])


def test_nuclei_lie_apart_and_inside() -> None:
    own = shapes(60)
    places = laid(own, population(), (130.0, 130.0), np.random.default_rng(1))
    at, reach = places.zyx_um[:, 1:], np.array([s.reach_um for s in own])
    away = np.hypot(*(at[:, None] - at).transpose(2, 0, 1)) - reach[:, None] - reach
    assert away[~np.eye(60, dtype=bool)].min() > 0.5
    assert ((at >= 0) & (at <= 130)).all()
    assert not places.overlap.any()
    assert (places.partner == -1).all()


@pytest.mark.parametrize("seed", range(4))
def test_touching_pairs_touch_and_hardly_overlap(seed: int) -> None:
    own = shapes(2, seed)
    places = laid(own, population(touching=1), (60.0, 60.0), np.random.default_rng(seed))
    assert places.partner.tolist() == [1, 0]
    assert not places.overlap.any()
    first, second = (painted(s, p) for s, p in zip(own, places.zyx_um, strict=True))
    assert (first & second).sum() < 0.05 * first.sum()
    rows, columns = np.nonzero(first)
    other = np.argwhere(second)
    gap = min(np.hypot(*(other - (r, c)).T).min() for r, c in zip(rows[::37], columns[::37], strict=True))
    assert gap * 0.1 < 1.2
    assert (places.zyx_um[:, 0] == 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_overlapping_pairs_lie_one_on_the_other(seed: int) -> None:
    own = shapes(2, seed)
    places = laid(own, population(overlap=1), (60.0, 60.0), np.random.default_rng(seed))
    first, second = (painted(s, p) for s, p in zip(own, places.zyx_um, strict=True))
    assert (first & second).sum() > 0.08 * min(first.sum(), second.sum())
    assert places.overlap.all()
    lift = abs(places.zyx_um[0, 0] - places.zyx_um[1, 0])
    assert 0.7 * 0.5 * (own[0].thickness_um + own[1].thickness_um) < lift


def test_each_kind_of_pair_has_its_number() -> None:
    places = laid(shapes(40), population(5, 4), (200.0, 200.0), np.random.default_rng(3))
    assert places.overlap.sum() == 8
    assert (places.partner >= 0).sum() == 18
    paired = np.flatnonzero(places.partner >= 0)
    np.testing.assert_array_equal(places.partner[places.partner[paired]], paired)


def test_none_at_all() -> None:
    assert laid([], population(), (10.0, 10.0), np.random.default_rng(0)).zyx_um.shape == (0, 3)


def test_too_many_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"80 cells do not fit on 40 x 40 um; lower population.ctc"):
        laid(shapes(80), population(), (40.0, 40.0), np.random.default_rng(0))


def test_more_pairs_than_cells_is_refused() -> None:
    with pytest.raises(ConfigError, match="3 touching and overlapping pairs need 6 cells, there are 4"):
        laid(shapes(4), population(2, 1), (90.0, 90.0), np.random.default_rng(0))


def test_some_keep_from_the_border() -> None:
    places = place_nuclei(shapes(30), [9.0] * 10 + [0.0] * 20, population(), (100.0, 90.0), np.random.default_rng(2))
    inside = np.minimum(places.zyx_um[:, 1:], np.array([100.0, 90.0]) - places.zyx_um[:, 1:]).min(axis=1)
    assert inside[:10].min() >= 9.0
    assert inside[10:].min() < 9.0
