"""Clusters that are none: measured on nuclei that have none, and weighed against what they would mean."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, gamma, nbinom

from ctcfish.errors import StatisticsError
from ctcfish.stats.count_posterior import interval_weights
from ctcfish.stats.false_clusters import SHOWN, FalseClusters, doubted, measured_clusters

USUAL = FalseClusters(0.01, 7.0)


def test_sizes_are_a_distribution_from_three_on_with_the_stated_mean() -> None:
    sizes = np.arange(3, 400)
    p = USUAL.size_probability(sizes)
    assert p.sum() == pytest.approx(1.0)
    assert p @ sizes == pytest.approx(7.0)
    assert p.tolist() == pytest.approx(nbinom.pmf(sizes - 3, 2, 1 / 3).tolist())
    assert USUAL.size_probability(1) == USUAL.size_probability(3)


def test_rate_and_size_are_posteriors_of_what_leukocytes_show() -> None:
    copies = np.array([0] * 190 + [5, 7, 6, 9, 5, 6, 12, 5, 8, 7])
    rate, size = measured_clusters(copies, USUAL, 30.0)
    assert rate.value == pytest.approx(10.3 / 230)
    assert (rate.low, rate.high) == pytest.approx(beta.ppf([0.025, 0.975], 10.3, 219.7))
    shape, scale = 4 * 3 + (copies[copies > 0] - 3).sum(), 1 / 13
    assert size.value == pytest.approx(3 + shape * scale)
    assert (size.low, size.high) == pytest.approx(3 + gamma.ppf([0.025, 0.975], shape, scale=scale))


def test_without_leukocytes_the_belief_stands() -> None:
    rate, size = measured_clusters([], USUAL, 30.0)
    assert (rate.value, size.value) == pytest.approx((0.01, 7.0))
    clean, _ = measured_clusters([0] * 3000, USUAL, 30.0)
    assert clean.value < 2e-4


def test_the_likelihood_is_the_mixture_written_out() -> None:
    weights = interval_weights([8, 9, 2], [6, 7, 2], [11, 12, 2], 30)
    points, copies = np.array([1, 3, 2]), np.array([7, 6, 0])
    made = doubted(weights, points, copies, USUAL)
    assert made[2].tolist() == weights[2].tolist()
    for row in (0, 1):
        expected = SHOWN * weights[row]
        for n in (points[row] + 1, points[row] + 2):
            expected[n] += 0.5 * 0.01 * (copies[row] - 2) / 9 * (2 / 3) ** (copies[row] - 3)
        assert made[row].tolist() == pytest.approx((expected / expected.sum()).tolist())
    assert made.sum(axis=1).tolist() == pytest.approx([1, 1, 1])


def test_small_clusters_are_doubted_more_than_large_ones_and_more_on_a_bad_slide() -> None:
    def doubt(copies: int, rate: float) -> float:
        weights = interval_weights([copies], [copies], [copies], 60)
        return float(doubted(weights, [0], [copies], FalseClusters(rate, 7.0))[0, 1:3].sum())

    assert doubt(5, 0.02) > doubt(10, 0.02) > doubt(30, 0.02) > 0
    assert doubt(8, 0.1) > 5 * doubt(8, 0.01)
    assert doubt(8, 0.0) == 0.0


def test_counts_beyond_the_table_are_the_last() -> None:
    weights = interval_weights([10], [10], [10], 10)
    assert doubted(weights, [400], [5], USUAL)[0].tolist() == weights[0].tolist()


@pytest.mark.parametrize(("rate", "copies"), [(-0.1, 7.0), (1.1, 7.0), (0.1, 3.0)])
def test_what_cannot_be_is_refused(rate: float, copies: float) -> None:
    with pytest.raises(StatisticsError, match="more than 3 copies"):
        FalseClusters(rate, copies)
