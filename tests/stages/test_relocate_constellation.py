"""Triangles that vote: invariants, and small constellations found in large ones."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from ctcfish.stages.relocation.constellation import Noise, Prior, Search, index, locate, neighbours_for, triangles
from ctcfish.stages.relocation.warp import Similarity

NOISE = Noise()


def _field(n: int, seed: int, side: float = 900.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, side, (n, 2))


def test_every_triple_of_a_small_set_occurs_once() -> None:
    points = _field(9, 1)
    found = triangles(points, 12, NOISE)
    assert {tuple(sorted(c)) for c in found.corner.tolist()} == set(combinations(range(9), 3))
    assert len(found.corner) == 84


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_points_make_no_triangle(n: int) -> None:
    assert len(triangles(_field(n, 1), 12, NOISE).corner) == 0


def test_points_on_one_another_make_no_triangle() -> None:
    assert len(triangles(np.zeros((5, 2)), 12, NOISE).corner) == 0


def test_sides_run_from_long_to_short_and_corners_with_them() -> None:
    points = _field(12, 3)
    found = triangles(points, 5, NOISE)
    assert (np.diff(found.code, axis=1) <= 0).all()
    a, b, c = (points[found.corner[:, k]] for k in range(3))
    opposite_first, opposite_last = np.hypot(*(b - c).T), np.hypot(*(a - b).T)
    assert (opposite_first >= opposite_last).all()
    np.testing.assert_allclose(np.sinh(found.code[:, 0] * 0.02) * 1.5 / 0.02, opposite_first)


@pytest.mark.parametrize("mirrored", [False, True])
def test_codes_survive_turning_and_mirrors_change_the_turn(mirrored: bool) -> None:
    points = _field(30, 4)
    here = triangles(points, 6, NOISE)
    there = triangles(Similarity(np.exp(2.1j), 5 + 5j, mirrored).apply(points), 6, NOISE)
    assert here.corner.tolist() == there.corner.tolist()
    np.testing.assert_allclose(here.code, there.code, atol=1e-6)
    assert ((here.turn == there.turn) != mirrored).all()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_part_is_found_in_the_whole(mirrored: bool) -> None:
    whole = _field(600, 5)
    rows = np.argsort(np.hypot(*(whole - 450).T))[:40]
    true = Similarity(np.exp(-1.3j), 200 - 80j, mirrored)
    part = true.inverse().apply(whole[rows]) + np.random.default_rng(1).normal(0, 0.7, (40, 2))
    k = neighbours_for(len(whole))
    found = locate(part, index(whole, k, NOISE), Search(k))
    assert found is not None
    assert found.similarity.mirrored == mirrored
    assert (rows[found.part] == found.whole).mean() > 0.95
    assert len(found.part) >= 38
    np.testing.assert_allclose(found.similarity.apply(part), true.apply(part), atol=1.5)


def test_a_prior_leads_away_from_the_repeat() -> None:
    part = _field(25, 6, 150.0)
    whole = np.concatenate([part, part + np.array([400.0, 0.0])])
    k = neighbours_for(len(whole))
    for shift in (0.0, 400.0):
        prior = Prior(Similarity(1 + 0j, complex(shift, 0), False), 0.03, 30.0)
        found = locate(part, index(whole, k, NOISE), Search(k), prior)
        assert found is not None
        assert found.similarity.b == pytest.approx(shift, abs=1e-6)


def test_a_prior_of_the_other_mirror_finds_nothing_like_it() -> None:
    part = _field(25, 6, 150.0)
    prior = Prior(Similarity(1 + 0j, 0j, True), 0.03, np.inf)
    found = locate(part, index(part, 12, NOISE), Search(12), prior)
    assert found is None or len(found.part) < 12


@pytest.mark.parametrize("part", [np.zeros((0, 2)), np.zeros((2, 2)), np.arange(8.0).reshape(4, 2) * 50])
def test_hopeless_parts_are_no_error(part: np.ndarray) -> None:
    found = locate(part, index(_field(40, 7), 12, NOISE), Search(12))
    assert found is None or len(found.part) <= 4


def test_neighbours_keep_the_number_of_triangles_bounded() -> None:
    counts = [neighbours_for(n) for n in (10, 500, 5_000, 20_000, 70_000)]
    assert counts == sorted(counts, reverse=True)
    assert 70_000 * counts[-1] * (counts[-1] - 1) / 2 <= 1e6
