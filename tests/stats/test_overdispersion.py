"""Between-patient over-dispersion: recovery of known correlation, coverage, degenerate cohorts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize
from scipy.stats import betabinom

from ctcfish.errors import StatisticsError
from ctcfish.stats.overdispersion import beta_binomial_rho, icc_oneway


def test_maximum_equals_a_direct_search_with_scipy() -> None:
    rng = np.random.default_rng(0)
    n = rng.integers(3, 40, 50)
    k = rng.binomial(n, rng.beta(0.8, 3.2, 50))

    def negative(logs: np.ndarray) -> float:
        return -float(betabinom.logpmf(k, n, *np.exp(logs)).sum())

    a, b = np.exp(optimize.minimize(negative, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8}).x)
    assert beta_binomial_rho(k, n).value == pytest.approx(1 / (a + b + 1), abs=1e-4)


def test_interval_ends_where_the_likelihood_has_fallen() -> None:
    rng = np.random.default_rng(1)
    n = np.full(60, 20)
    k = rng.binomial(n, rng.beta(2, 6, 60))
    made = beta_binomial_rho(k, n)
    assert made.low < 1 / 9 < made.high
    assert made.low < made.value < made.high


@pytest.mark.parametrize("rho", [0.0, 0.2])
def test_coverage(rho: float) -> None:
    rng = np.random.default_rng(2)
    n, covered, runs = np.full(40, 15), 0, 120
    for _ in range(runs):
        share = 0.3 if rho == 0 else rng.beta(0.3 * (1 - rho) / rho, 0.7 * (1 - rho) / rho, 40)
        made = beta_binomial_rho(rng.binomial(n, share), n)
        covered += made.low <= rho <= made.high
    assert covered / runs >= 0.90


def test_chance_alone_holds_zero() -> None:
    made = beta_binomial_rho([3, 3, 3, 3], [10, 10, 10, 10])
    assert made.low == 0.0
    assert made.value < 0.05


def test_all_or_none_is_nearly_one() -> None:
    made = beta_binomial_rho([10, 0, 10, 0, 10, 0], [10] * 6)
    assert made.value > 0.9
    assert made.high >= 0.99


@pytest.mark.parametrize(("k", "n"), [([0, 0], [5, 5]), ([5, 5], [5, 5]), ([1], [5]), ([1, 0, 1], [1, 1, 1]), ([], [])])
def test_cohorts_that_say_nothing(k: list[int], n: list[int]) -> None:
    made = beta_binomial_rho(k, n)
    assert np.isnan(made.value)
    assert (made.low, made.high) == (0.0, 1.0)


def test_icc_against_the_textbook_layout() -> None:
    # Shrout and Fleiss 1979, six targets and four judges: ICC(1,1) = 0.17
    table = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    made = icc_oneway(table.ravel(), np.repeat(np.arange(6), 4))
    assert made.value == pytest.approx(0.166, abs=0.001)
    assert (made.low, made.high) == pytest.approx((-0.133, 0.723), abs=0.001)


def test_icc_recovers_unequal_groups() -> None:
    rng = np.random.default_rng(3)
    size = rng.integers(2, 12, 300)
    group = np.repeat(np.arange(300), size)
    values = rng.normal(0, 1, 300)[group] + rng.normal(0, 1, group.size)
    made = icc_oneway(values, group)
    assert made.value == pytest.approx(0.5, abs=0.07)
    assert made.low < 0.5 < made.high


def test_icc_at_the_edges() -> None:
    for values, groups in (([1, 2], [0, 1]), ([3, 3, 3, 3], [0, 0, 1, 1]), ([1, 2, 3], [0, 0, 0]), ([], [])):
        assert np.isnan(icc_oneway(values, groups).value)
    assert icc_oneway([1, 1, 2, 2], [0, 0, 1, 1]).value == 1.0


def test_refusals() -> None:
    with pytest.raises(StatisticsError, match="must pair off"):
        beta_binomial_rho([3], [2])
    with pytest.raises(StatisticsError, match="one group a value"):
        icc_oneway([1.0, 2.0], [0])


def test_icc_of_patients_of_unequal_size_covers() -> None:
    rng, runs, truth, held = np.random.default_rng(21), 1000, 0.7, 0
    for _ in range(runs):
        cells = rng.integers(5, 41, 100)
        patient = np.repeat(np.arange(100), cells)
        values = rng.normal(0, np.sqrt(truth), 100)[patient] + rng.normal(0, np.sqrt(1 - truth), patient.size)
        made = icc_oneway(values, patient)
        held += made.low <= truth <= made.high
    assert 0.935 <= held / runs <= 0.97
