"""The ratio of mean counts: the model's own solution, and an interval that holds where the sandwich does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm

from ctcfish.errors import StatisticsError
from ctcfish.stats.bootstrap import BootstrapPlan
from ctcfish.stats.count_ratio import ratio_of_counts


def cohort(rng: np.random.Generator, patients: int, ratio: float, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Counts of two visits: means spread by a factor of e, negative binomial around them."""
    mean = np.exp(rng.normal(3.0, spread, patients))
    before, during = (rng.negative_binomial(2.0, 2.0 / (2.0 + m)) for m in (mean, ratio * mean))
    return before.astype(float), during.astype(float)


def gee(before: np.ndarray, during: np.ndarray, structure: sm.cov_struct.CovStruct) -> float:
    """Ratio by statsmodels' generalised estimating equations."""
    n = before.size
    counts, visit, patient = np.r_[before, during], np.r_[np.zeros(n), np.ones(n)], np.tile(np.arange(n), 2)
    seen = ~np.isnan(counts)
    order = np.argsort(patient[seen], kind="stable")
    counts, visit, patient = (values[seen][order] for values in (counts, visit, patient))
    family = sm.families.NegativeBinomial(alpha=1.0)
    fit = sm.GEE(counts, sm.add_constant(visit), groups=patient, family=family, cov_struct=structure).fit()
    return math.exp(fit.params[1])


@pytest.mark.parametrize("seed", range(3))
def test_complete_pairs_solve_the_equations_of_either_correlation(seed: int) -> None:
    before, during = cohort(np.random.default_rng(seed), 30, 0.6)
    found = ratio_of_counts(before, during)
    assert found.value == pytest.approx(during.mean() / before.mean())
    for structure in (sm.cov_struct.Independence(), sm.cov_struct.Exchangeable()):
        assert found.value == pytest.approx(gee(before, during, structure), rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_missing_visits_solve_the_equations_of_independence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, during = cohort(rng, 40, 0.6)
    before[:4], during[4:11] = np.nan, np.nan
    found = ratio_of_counts(before, during)
    assert found.value == pytest.approx(gee(before, during, sm.cov_struct.Independence()), rel=1e-6)
    assert found.value == pytest.approx(np.nanmean(during) / np.nanmean(before))
    assert found.low < found.value < found.high


def test_the_limits_are_those_written_out_by_hand() -> None:
    """A second path: loops over resamples and patients, no arrays of resamples."""
    before, during = cohort(np.random.default_rng(5), 12, 0.7)
    plan = BootstrapPlan(resamples=400, confidence=0.9, seed=3)

    def jackknife(rows: np.ndarray) -> tuple[float, float]:
        whole = math.log(during[rows].sum() / before[rows].sum())
        left = [math.log(np.delete(during[rows], i).sum() / np.delete(before[rows], i).sum()) for i in range(rows.size)]
        return whole, math.sqrt((rows.size - 1) / rows.size * sum((v - np.mean(left)) ** 2 for v in left))

    centre, spread = jackknife(np.arange(12))
    drawn = np.random.default_rng(3).integers(0, 12, (400, 12))
    far = sorted(abs(value - centre) / own for value, own in map(jackknife, drawn))
    reach = far[359] * spread * 1.795885 / 1.644854  # 95 % points of Student's t of 11 degrees and of the normal
    found = ratio_of_counts(before, during, plan)
    assert (found.low, found.high) == pytest.approx((math.exp(centre - reach), math.exp(centre + reach)), rel=1e-6)
    assert found.confidence == 0.9


def test_the_order_of_visits_turns_the_ratio_over() -> None:
    before, during = cohort(np.random.default_rng(6), 20, 0.5)
    one, other = ratio_of_counts(before, during), ratio_of_counts(during, before)
    assert one.value * other.value == pytest.approx(1.0)
    assert (one.low * other.high, one.high * other.low) == (pytest.approx(1.0), pytest.approx(1.0))


@pytest.mark.parametrize("spread", [1.0, 2.0])
def test_intervals_of_skewed_counts_cover(spread: float) -> None:
    rng = np.random.default_rng(round(10 * spread))
    hits, trials = 0, 300
    for seed in range(trials):
        found = ratio_of_counts(*cohort(rng, 30, 0.6, spread), BootstrapPlan(resamples=399, seed=seed))
        hits += found.low <= 0.6 <= found.high
    assert 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials) <= hits / trials <= 0.985


def test_what_cannot_be_told_has_no_limits() -> None:
    assert math.isnan(ratio_of_counts([2, 4, 6], [1, 2, 3]).low)  # the same ratio in everybody
    alone = ratio_of_counts([5, 0, 0, 0], [1, 2, 3, 4])  # one patient holds a whole visit
    assert alone.value == pytest.approx(2.0)
    assert math.isnan(alone.low)
    assert math.isnan(alone.high)


REFUSED = [
    ([1, 2], [1, 2], "three patients or more, found 2"),
    ([1, 2, 3], [1, 2], "both visits of three patients"),
    ([1, 2, -3], [1, 2, 3], "found a negative one"),
    ([1, 2, 3], [0, 0, 0], "above 0 at both visits"),
    ([math.nan] * 3, [1, 2, 3], "above 0 at both visits"),
]


@pytest.mark.parametrize(("before", "during", "message"), REFUSED)
def test_nonsense_is_refused(before: list[float], during: list[float], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        ratio_of_counts(before, during)
