"""Probabilities of pairs, against enumeration of every matching and against frequency."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from ctcfish.stages.relocation.pairing import Cells, _Edges, _marginals, pair


def _exact(odds: np.ndarray) -> np.ndarray:
    """Marginals of a random matching whose weight is the product of its pairs' odds, by enumeration."""
    n, m = odds.shape
    total, marginal = 0.0, np.zeros_like(odds)
    for size in range(min(n, m) + 1):
        for rows in combinations(range(n), size):
            for columns in permutations(range(m), size):
                weight = float(np.prod([odds[i, j] for i, j in zip(rows, columns, strict=True)]))
                total += weight
                for i, j in zip(rows, columns, strict=True):
                    marginal[i, j] += weight
    return marginal / total


@pytest.mark.parametrize("seed", range(6))
def test_marginals_equal_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    odds = rng.lognormal(0, 2, (4, 4)) * (rng.random((4, 4)) < 0.6)
    here, there = np.nonzero(odds)
    edges = _Edges(here, there, np.zeros(len(here)), np.zeros(len(here)), (4, 4))
    found = _marginals(edges, odds[here, there])
    np.testing.assert_allclose(found, _exact(odds)[here, there], atol=0.08)


def test_marginals_of_a_chain_are_exact() -> None:
    odds = np.array([[5.0, 2.0, 0.0], [0.0, 3.0, 1.0]])
    here, there = np.nonzero(odds)
    edges = _Edges(here, there, np.zeros(len(here)), np.zeros(len(here)), (2, 3))
    np.testing.assert_allclose(_marginals(edges, odds[here, there]), _exact(odds)[here, there], atol=1e-9)


def _cells(points: np.ndarray, area: float = 45.0) -> Cells:
    return Cells(points, np.full(len(points), area))


def test_a_lost_cell_does_not_take_its_neighbours_nucleus() -> None:
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), axis=-1).reshape(-1, 2) * 40
    beside = grid[27] + [4.0, 0.0]
    cells = np.concatenate([grid, beside[None]])
    result = pair(_cells(cells), _cells(grid + rng.normal(0, 0.5, grid.shape)), 0.7, 6.0)
    assert result.partner[27] == 27
    assert result.probability[27] > 0.95
    assert result.probability[-1] < 0.5


def test_two_cells_between_two_nuclei_are_told_apart_or_unsure() -> None:
    cells = np.array([[0.0, 0.0], [0.0, 2.0]])
    sharp = pair(_cells(cells), _cells(cells + 0.1), 0.3, 6.0)
    blunt = pair(_cells(cells), _cells(cells + 0.1), 3.0, 6.0)
    assert sharp.partner.tolist() == [0, 1]
    assert sharp.probability.min() > blunt.probability.max()


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0)])
def test_nothing_on_one_side_is_all_lost(n: int, m: int) -> None:
    result = pair(_cells(np.zeros((n, 2))), _cells(np.ones((m, 2))), 1.0, 6.0)
    assert result.partner.tolist() == [-1] * n
    assert (result.probability == 0).all()
    assert np.isnan(result.distance_um).all()


def test_beyond_reach_there_is_no_partner() -> None:
    result = pair(_cells(np.zeros((1, 2))), _cells(np.array([[6.5, 0.0]])), 3.0, 6.0)
    assert result.partner.tolist() == [-1]


def test_area_decides_between_equally_near_nuclei() -> None:
    rng = np.random.default_rng(2)
    n = 200
    area = rng.lognormal(np.log(45), 0.35, n)
    places = rng.uniform(0, 1500, (n, 2))
    cells = Cells(np.append(places, [[3000.0, 0.0]], axis=0), np.append(area, 45.0))
    near = np.array([[3000.0, 2.0], [3000.0, -2.0]])
    nuclei = Cells(np.concatenate([places, near]), np.concatenate([area, [45.0, 120.0]]))
    result = pair(cells, nuclei, 1.0, 6.0)
    assert result.partner[-1] == n


def test_probabilities_are_frequencies() -> None:
    """Crowded cells with large displacement: where the model says 0.6, six in ten are right."""
    rng = np.random.default_rng(3)
    probability, right = [], []
    for _ in range(4):
        n, sigma = 1500, 2.0
        places = rng.uniform(0, 500, (n, 2))
        moved = places + rng.normal(0, sigma, places.shape)
        kept = rng.random(n) < 0.8
        extra = rng.uniform(0, 500, (300, 2))
        nuclei = np.concatenate([moved[kept], extra])
        number = np.where(kept, np.cumsum(kept) - 1, -2)
        result = pair(_cells(places), _cells(nuclei), sigma, 8.0)
        probability.append(result.probability)
        right.append(result.partner == number)
    p, r = np.concatenate(probability), np.concatenate(right)
    place = np.minimum((p * 10).astype(int), 9)
    error = sum(abs(p[place == b].mean() - r[place == b].mean()) * (place == b).sum() for b in np.unique(place)) / len(
        p
    )
    assert error < 0.03
