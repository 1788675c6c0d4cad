"""Do intervals hold what they promise: by enumeration where it can be done, else by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ctcfish.stats.design_inference import stagewise_interval
from ctcfish.stats.proportions import clopper_pearson, wilson
from ctcfish.stats.rank import spearman_permutation
from ctcfish.stats.survival import kaplan_meier
from ctcfish.trial.decision import plan_of, standing
from ctcfish.trial.finding import correlation_interval
from ctcfish.trial.protocol import Design
from ctcfish.trial.ranks import auc_interval, median_interval, swapped

RATES = (0.02, 0.05, 0.091, 0.119, 0.3, 0.5, 0.787)


@pytest.mark.parametrize("n", [11, 14, 30, 112, 118, 154])
@pytest.mark.parametrize("rate", RATES)
def test_exact_proportions_never_fall_short(n: int, rate: float) -> None:
    counts = np.arange(n + 1)
    low, high = clopper_pearson(counts, n)
    held = (low <= rate) & (rate <= high)
    assert stats.binom.pmf(counts, n, rate)[held].sum() >= 0.95


@pytest.mark.parametrize("n", [30, 60, 118, 154])
def test_wilson_is_right_on_average(n: int) -> None:
    counts, shares = np.arange(n + 1), np.linspace(0.02, 0.98, 193)
    low, high = wilson(counts, n)
    covered = [stats.binom.pmf(counts, n, p)[(low <= p) & (p <= high)].sum() for p in shares]
    assert 0.94 <= np.mean(covered) <= 0.97


PLANS = [
    # p0, p1, alpha, beta
    (0.05, 0.25, 0.05, 0.20),
    (0.10, 0.30, 0.05, 0.20),
    (0.10, 0.30, 0.10, 0.10),
]


@pytest.mark.parametrize(("p0", "p1", "alpha", "beta"), PLANS)
@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2, 0.3, 0.5])
def test_the_stagewise_interval_never_falls_short(p0: float, p1: float, alpha: float, beta: float, rate: float) -> None:
    plan = plan_of(Design(p0=p0, p1=p1, alpha=alpha, beta=beta))
    d = plan.chosen.design
    ends: dict[tuple[int, int], float] = {}
    for first in range(d.n1 + 1):
        chance = float(stats.binom.pmf(first, d.n1, rate))
        if first <= d.r1:
            ends[1, first] = chance
            continue
        for second in range(d.n - d.n1 + 1):
            key = (2, first + second)
            ends[key] = ends.get(key, 0.0) + chance * float(stats.binom.pmf(second, d.n - d.n1, rate))
    covered = 0.0
    for (stage, total), chance in ends.items():
        early = [1] * total + [0] * (d.n1 - total)
        late = [1] * total + [0] * (d.n - total)
        outcome = standing(plan, early if stage == 1 else late)[2]
        assert outcome is not None
        interval = stagewise_interval(outcome)
        covered += chance * (interval.low <= rate <= interval.high)
    assert sum(ends.values()) == pytest.approx(1.0)
    assert covered >= 0.95 - 1e-9


def survival_times(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Exponential times of median 4.8 months under censoring of about 20 %."""
    event, end = rng.exponential(4.8 / math.log(2), n), rng.uniform(6.0, 40.0, n)
    return np.minimum(event, end), event <= end


@pytest.mark.parametrize("n", [30, 60])
def test_survival_intervals_cover(n: int) -> None:
    rng = np.random.default_rng(n)
    median, landmark, trials = 0, 0, 800
    truth = math.exp(-6.0 * math.log(2) / 4.8)
    for _ in range(trials):
        curve = kaplan_meier(*survival_times(rng, n))
        middle, at = curve.median(), curve.at(6.0)
        median += middle.low <= 4.8 <= middle.high
        landmark += at.low <= truth <= at.high
    assert 0.93 <= median / trials <= 0.975
    assert 0.93 <= landmark / trials <= 0.97


@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("n", [30, 60])
def test_rank_correlations_cover(rho: float, n: int) -> None:
    rng = np.random.default_rng(3)
    truth = 6 / math.pi * math.asin(rho / 2)  # Spearman's of a bivariate normal
    hits, trials = 0, 2000
    for _ in range(trials):
        x = rng.normal(size=n)
        y = rho * x + math.sqrt(1 - rho * rho) * rng.normal(size=n)
        low, high = correlation_interval(float(stats.spearmanr(x, y).statistic), n, 0.95)
        hits += low <= truth <= high
    assert 0.93 <= hits / trials <= 0.97


@pytest.mark.parametrize("n", [30, 60, 154])
def test_medians_never_fall_short(n: int) -> None:
    _, low, high = median_interval(np.arange(1.0, n + 1), 0.95)
    ranks = stats.binom.cdf(high - 1, n, 0.5) - stats.binom.cdf(low - 1, n, 0.5)
    assert 0.95 <= ranks <= 0.98


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_superiority_covers(shift: float) -> None:
    rng = np.random.default_rng(4)
    truth = float(stats.norm.cdf(shift / math.sqrt(2)))
    hits, trials = 0, 2000
    for _ in range(trials):
        a, b = rng.normal(shift, size=20), rng.normal(size=20)
        low, high = auc_interval(float((a[:, None] > b[None, :]).mean()), 20, 20, 0.95)
        hits += low <= truth <= high
    assert 0.93 <= hits / trials <= 0.975


def test_the_permutation_test_keeps_its_level() -> None:
    rng = np.random.default_rng(5)
    trials = 400
    below = sum(
        spearman_permutation(rng.normal(size=11), rng.integers(0, 5, 11), resamples=199).p_value <= 0.05
        for _ in range(trials)
    )
    assert below / trials <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize("patients", [11, 30])
def test_swapping_visits_keeps_its_level_where_the_model_does_not(patients: int) -> None:
    rng = np.random.default_rng(6)
    trials, below = 400, 0
    for _ in range(trials):
        mean = np.exp(rng.normal(3.0, 1.0, patients))
        before, during = (rng.negative_binomial(2.0, 2.0 / (2.0 + mean)) for _ in range(2))
        below += swapped(before, during, resamples=199).p_value <= 0.05
    assert below / trials <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


def test_swapping_counts_every_arrangement() -> None:
    """Three patients, all of whom fall: the two extreme ones of eight arrangements."""
    found = swapped([10, 20, 30], [5, 6, 7])
    assert found.p_value == pytest.approx(2 / 8)
    assert found.statistic == pytest.approx(18 / 60)
    assert math.isnan(swapped([], []).p_value)
    assert math.isnan(swapped([3, 4], [0, 0]).p_value)


def test_random_swaps_agree_with_all_of_them() -> None:
    rng = np.random.default_rng(8)
    before, during = rng.integers(1, 50, 12), rng.integers(1, 30, 12)
    every = swapped(before, during).p_value
    padded = swapped([*before, 5], [*during, 5], resamples=20_000).p_value
    assert padded == pytest.approx(every, abs=0.02)
