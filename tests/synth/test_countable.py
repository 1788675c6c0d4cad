"""The reading of true signals, case by case, and against a slow second way."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.synth.countable import DIAMETER_PER_FWHM, read_signals

FWHM = 0.5
D = DIAMETER_PER_FWHM * FWHM


def read(points: list[tuple[float, float]], photons: list[float] | None = None):
    light = np.array(photons or [900.0] * len(points))
    return read_signals(np.array(points, dtype=float).reshape(-1, 2), light, FWHM)


def test_no_signal() -> None:
    reading = read([])
    assert reading.count == 0
    assert len(reading.cluster) == len(reading.doublet) == 0


@pytest.mark.parametrize(
    ("gap", "count"), [(0.05, 1), (FWHM - 0.01, 1), (FWHM + 0.01, 1), (D - 0.001, 1), (D + 0.001, 2), (5.0, 2)]
)
def test_pair_counts_one_within_a_diameter(gap: float, count: int) -> None:
    assert read([(0, 0), (0, gap)]).count == count


def test_the_fainter_is_the_doublet() -> None:
    assert read([(0, 0), (0, 0.4)], [500, 900]).doublet.tolist() == [True, False]


@pytest.mark.parametrize(("ratio", "count"), [(2.9, 1), (3.1, 2)])
def test_signals_of_unlike_size_are_two(ratio: float, count: int) -> None:
    assert read([(0, 0), (0, 0.6)], [900 * ratio, 900]).count == count


def test_what_is_not_resolved_is_one_whatever_its_size() -> None:
    assert read([(0, 0), (0, 0.49)], [9000, 900]).count == 1
    assert read([(0, 0), (0, 0.51)], [9000, 900]).count == 2


def test_three_unresolved_are_a_cluster_of_three() -> None:
    reading = read([(0, 0), (0, 0.4), (0, 0.8)])
    assert reading.count == 3
    assert reading.cluster.tolist() == [1, 1, 1]
    assert not reading.doublet.any()


def test_three_resolved_in_a_row_keep_the_brightest() -> None:
    row = [(0.0, 0.0), (0.0, 0.6), (0.0, 1.2)]
    assert read(row, [800, 900, 800]).count == 1
    assert read(row, [900, 800, 900]).count == 2


def test_two_doublets_apart_are_two() -> None:
    reading = read([(0, 0), (0, 0.3), (4, 4), (4, 4.3)], [900, 800, 700, 900])
    assert reading.count == 2
    assert reading.doublet.tolist() == [False, True, True, False]


def test_clusters_are_numbered_from_one() -> None:
    group = [(0.0, 0.1 * k) for k in range(4)]
    reading = read([*group, (9, 9), *[(5 + y, x) for y, x in group]])
    assert sorted(set(reading.cluster.tolist())) == [0, 1, 2]
    assert reading.count == 9


@pytest.mark.parametrize("seed", range(25))
def test_against_a_slow_second_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 18))
    points, light = rng.uniform(0, 4, (n, 2)), rng.lognormal(6.8, 0.5, n)
    near = {(i, j) for i in range(n) for j in range(n) if i != j and np.hypot(*(points[i] - points[j])) <= FWHM}
    groups: list[set[int]] = [{i} for i in range(n)]
    for i, j in near:
        a, b = (next(g for g in groups if k in g) for k in (i, j))
        if a is not b:
            groups.remove(b)
            a |= b
    alone = [i for g in groups if len(g) < 3 for i in g]
    kept: list[int] = []
    for i in sorted(alone, key=lambda k: -light[k]):
        if all(np.hypot(*(points[i] - points[j])) >= D or light[j] > 3 * light[i] for j in kept):
            kept.append(i)
    assert read_signals(points, light, FWHM).count == len(kept) + n - len(alone)
