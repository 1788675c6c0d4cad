from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ctcfish.trial.finding import Label
from ctcfish.trial.ranks import MOST_EXACT, auc_interval, median_interval, paired, superiority

LABEL = Label("efficacy", "key", "Title")


@pytest.mark.parametrize("n", range(1, 40))
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_median_interval_is_the_narrowest_that_covers(n: int, confidence: float) -> None:
    value, low, high = median_interval(np.arange(1.0, n + 1), confidence)
    assert value == (n + 1) / 2
    covers = [1 - 2 * stats.binom.cdf(r - 1, n, 0.5) for r in range(1, n // 2 + 1)]
    enough = [r for r, share in enumerate(covers, start=1) if share >= confidence - 1e-12]
    if enough:
        assert (low, high) == (enough[-1], n + 1 - enough[-1])
    else:
        assert (low, high) == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("n", "rank"),
    [
        # ranks of the 95 % interval of the median, as tabulated (Conover)
        (6, 1),
        (8, 1),
        (9, 2),
        (11, 2),
        (12, 3),
        (14, 3),
        (15, 4),
        (20, 6),
        (25, 8),
        (30, 10),
    ],
)
def test_ranks_as_tabulated(n: int, rank: int) -> None:
    assert median_interval(np.arange(1.0, n + 1), 0.95)[1:] == (rank, n + 1 - rank)


def test_no_value_has_no_median() -> None:
    assert all(math.isnan(v) for v in median_interval(np.zeros(0), 0.95))


def test_the_median_interval_covers_in_simulation() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for values in rng.lognormal(size=(2000, 14)):
        _, low, high = median_interval(values, 0.95)
        hits += low <= 1.0 <= high
    assert hits / 2000 >= 0.95


def score(theta: float, t: float, m: int, n: int) -> float:
    """Newcombe's method 5 written out: squared distance in units of the standard error at t."""
    star = (m + n) / 2 - 1
    variance = t * (1 - t) / (m * n) * (1 + star * (1 - t) / (2 - t) + star * t / (1 + t))
    return (theta - t) ** 2 / variance


@pytest.mark.parametrize(
    ("theta", "m", "n"),
    [
        (0.5, 5, 5),
        (0.6, 1, 10),
        (0.7, 3, 8),
        (0.75, 20, 30),
        (0.9, 5, 50),
        (0.25, 20, 30),
        (0.1, 5, 50),
    ],
)
def test_limits_lie_at_the_critical_distance(theta: float, m: int, n: int) -> None:
    low, high = auc_interval(theta, m, n, 0.95)
    z2 = stats.norm.ppf(0.975) ** 2
    assert low < theta < high
    assert score(theta, low, m, n) == pytest.approx(z2, rel=1e-6)
    assert score(theta, high, m, n) == pytest.approx(z2, rel=1e-6)


@pytest.mark.parametrize(("m", "n"), [(1, 10), (5, 5), (30, 30)])
def test_complete_separation_keeps_an_interval(m: int, n: int) -> None:
    low, high = auc_interval(1.0, m, n, 0.95)
    assert high == 1.0
    assert 0 < low < 1
    assert auc_interval(0.0, m, n, 0.95) == pytest.approx((0.0, 1 - low))


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0])
def test_the_interval_covers_in_simulation(shift: float) -> None:
    rng = np.random.default_rng(2)
    true = stats.norm.cdf(shift / math.sqrt(2))
    hits, trials = 0, 1500
    for _ in range(trials):
        a, b = rng.normal(shift, size=15), rng.normal(size=15)
        theta = float((a[:, None] > b[None, :]).mean())
        low, high = auc_interval(theta, 15, 15, 0.95)
        hits += low <= true <= high
    assert 0.93 <= hits / trials <= 0.985


def test_superiority_is_mann_whitney() -> None:
    values = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0])
    marks = np.array([True, False, True, False, False, True, False])
    found = superiority(LABEL, values, marks, "patients", 0.95)
    oracle = stats.mannwhitneyu(values[marks], values[~marks], method="asymptotic")
    assert found.estimate.value == pytest.approx(oracle.statistic / (3 * 4))
    assert found.n == 7
    assert found.unit == "probability"
    assert 0 < found.p_value <= 1


def test_without_ties_the_p_value_is_exact() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        values, marks = rng.normal(size=11), np.arange(11) < 4
        found = superiority(LABEL, values, marks, "patients", 0.95)
        oracle = stats.mannwhitneyu(values[marks], values[~marks], method="exact")
        assert found.p_value == pytest.approx(oracle.pvalue)


@pytest.mark.parametrize("marks", [[True, True], [False, False]])
def test_an_empty_group_is_told(marks: list[bool]) -> None:
    found = superiority(LABEL, np.array([1.0, 2.0]), np.array(marks), "patients", 0.95)
    assert math.isnan(found.estimate.value)
    assert "empty" in found.note


def test_all_values_equal_is_one_half() -> None:
    found = superiority(LABEL, np.ones(6), np.array([True] * 3 + [False] * 3), "patients", 0.95)
    assert found.estimate.value == 0.5
    assert found.p_value == 1.0


@pytest.mark.parametrize("n", [60, 150, MOST_EXACT, MOST_EXACT + 1, 900])
def test_large_groups_are_compared_by_the_normal_approximation(n: int) -> None:
    rng = np.random.default_rng(n)
    values, marks = np.round(rng.normal(size=n), 1), np.arange(n) % 3 == 0
    found = superiority(LABEL, values, marks, "patients", 0.95)
    oracle = stats.mannwhitneyu(values[marks], values[~marks], method="asymptotic")
    assert found.p_value == pytest.approx(oracle.pvalue, abs=0.02)
    assert ("normal" in found.estimate.method) is (n > MOST_EXACT)


@pytest.mark.parametrize("n", [100, 150, MOST_EXACT + 1, 900])
def test_large_numbers_of_pairs_are_compared_by_the_normal_approximation(n: int) -> None:
    rng = np.random.default_rng(n)
    before = rng.integers(0, 60, n)
    during = np.maximum(before + rng.integers(-6, 7, n), 0)
    found = paired(before, during)
    oracle = stats.wilcoxon(during, before, method="approx")
    assert found.p_value == pytest.approx(oracle.pvalue, abs=0.02)
    assert ("normal" in found.method) is (n > MOST_EXACT)
