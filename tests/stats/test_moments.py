"""Figures from sums equal those from the values, by other people's code and by the module of statistics."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.stats.anova import anova_lm

from ctcfish.stats import agreement, moments
from ctcfish.stats.bootstrap import FISHER, LOG, BootstrapPlan, bootstrap_interval
from tests import closed_forms as forms

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)
"""Shrout and Fleiss 1979, table 2: six targets, four judges; ICC(2,1) = 0.29, ICC(3,1) = 0.71 (table 4)."""


def summed(rows: np.ndarray) -> np.ndarray:
    return rows.sum(axis=0, keepdims=True)


def test_worked_example_of_shrout_and_fleiss() -> None:
    sums = summed(moments.item_sums(SHROUT_FLEISS))
    assert moments.icc_agreement(sums)[0] == pytest.approx(0.29, abs=0.005)
    assert moments.icc_consistency(sums)[0] == pytest.approx(0.71, abs=0.005)


@pytest.mark.parametrize("seed", range(3))
def test_intraclass_correlations_equal_those_of_the_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.normal(3, 1, (20, 1)) + rng.normal(0, 0.5, (20, 4)) + np.array([0, 0.3, -0.2, 0.1])
    sums = summed(moments.item_sums(table))
    assert moments.icc_agreement(sums)[0] == pytest.approx(forms.icc_agreement(table))
    assert moments.icc_consistency(sums)[0] == pytest.approx(forms.icc_consistency(table))
    assert moments.repeatability_coefficient(sums)[0] == pytest.approx(forms.repeatability_coefficient(table))


def test_within_spread_equals_the_residual_of_an_analysis_of_variance() -> None:
    rng = np.random.default_rng(5)
    table = rng.normal(3, 1, (12, 1)) + rng.normal(0, 0.5, (12, 3))
    frame = pd.DataFrame({"value": table.ravel(), "item": np.repeat(np.arange(12), 3)})
    fitted = sm.OLS.from_formula("value ~ C(item)", frame).fit()
    mean_square = anova_lm(fitted).loc["Residual", "mean_sq"]
    assert moments.within_sd(summed(moments.item_sums(table)))[0] == pytest.approx(np.sqrt(mean_square))


def test_differences_and_concordance_equal_those_of_the_values() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(2, 1, 30)
    y = x + rng.normal(0.2, 0.3, 30)
    sums = summed(moments.pair_sums(x, y))
    middle, reach = moments.bias(sums)[0], moments.REACH * moments.spread(sums)[0]
    assert (middle, middle - reach, middle + reach) == pytest.approx(forms.limits_of_agreement(x, y))
    assert moments.concordance(sums)[0] == pytest.approx(forms.concordance(x, y))


def test_deming_equals_the_first_principal_axis() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(0, 2, 50)
    y = 1.5 * x + rng.normal(0, 0.5, 50)
    axis = np.linalg.svd(np.stack([x - x.mean(), y - y.mean()], axis=1), full_matrices=False)[2][0]
    sums = summed(moments.pair_sums(x, y))
    assert moments.deming_slope(sums)[0] == pytest.approx(axis[1] / axis[0])
    assert moments.deming_intercept(sums)[0] == pytest.approx(y.mean() - axis[1] / axis[0] * x.mean())
    back = moments.deming_slope(summed(moments.pair_sums(y, x)))[0]
    assert back == pytest.approx(axis[0] / axis[1])


def test_what_cannot_be_said_is_missing() -> None:
    one = np.ones(5)
    flat = summed(moments.pair_sums(one, one))
    assert np.isnan(moments.concordance(flat)[0])
    assert np.isnan(moments.deming_slope(flat)[0])
    single = summed(moments.pair_sums(np.array([1.0]), np.array([2.0])))
    assert moments.bias(single)[0] == 1.0
    assert np.isnan(moments.spread(single)[0])
    equal = summed(moments.item_sums(np.full((4, 3), 2.0)))
    assert np.isnan(moments.icc_agreement(equal)[0])
    assert moments.within_sd(equal)[0] == 0.0


def test_many_resamples_at_once_equal_each_alone() -> None:
    rng = np.random.default_rng(3)
    parts = moments.item_sums(rng.normal(2, 1, (10, 3)))
    index = rng.integers(0, 10, (7, 10))
    together = moments.icc_agreement(parts[index].sum(axis=1))
    alone = [moments.icc_agreement(parts[row].sum(axis=0, keepdims=True))[0] for row in index]
    np.testing.assert_allclose(together, alone)


def test_known_spread_and_known_correlation_are_covered() -> None:
    """60 cells of two readings: within-cell SD 1, between-cell SD 2, so ICC(2,1) is 4 / 5; 95 % promised."""
    rng, n, covered = np.random.default_rng(8), 300, {"sd": 0, "icc": 0}
    plan = BootstrapPlan(resamples=300)
    for _ in range(n):
        sums = moments.item_sums(rng.normal(10, 2, (60, 1)) + rng.normal(0, 1, (60, 2)))
        sd = bootstrap_interval(lambda index, s=sums: moments.within_sd(s[index].sum(axis=1)), 60, LOG, plan)
        icc = bootstrap_interval(lambda index, s=sums: moments.icc_agreement(s[index].sum(axis=1)), 60, FISHER, plan)
        covered["sd"] += sd.low <= 1.0 <= sd.high
        covered["icc"] += icc.low <= 0.8 <= icc.high
    assert all(0.92 * n <= hits <= 0.98 * n for hits in covered.values()), covered


@pytest.mark.parametrize("seed", range(3))
def test_several_readers_with_readings_missing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ratings = np.where(rng.random((30, 4)) < 0.2, -1, (rng.random((30, 4)) < 0.4).astype(int))
    counts = agreement.rating_counts(ratings, 2)
    sums = summed(moments.rating_sums(counts))
    assert moments.fleiss_kappa(sums)[0] == pytest.approx(forms.fleiss_kappa(counts))
    assert moments.gwet_ac1(sums)[0] == pytest.approx(forms.gwet_ac1(counts))
    assert moments.krippendorff_alpha(sums)[0] == pytest.approx(forms.krippendorff_alpha(counts))


def test_one_category_alone_has_no_kappa() -> None:
    sums = summed(moments.rating_sums(np.array([[3, 0], [2, 0], [1, 0]])))
    assert np.isnan(moments.fleiss_kappa(sums)[0])
    assert moments.gwet_ac1(sums)[0] == 1.0
    assert np.isnan(moments.krippendorff_alpha(sums)[0])


def test_a_single_item_has_no_correlation_and_no_spread_between() -> None:
    sums = summed(moments.item_sums(np.array([[2.0, 3.0]])))
    for figure in (moments.icc_agreement, moments.icc_consistency):
        assert np.isnan(figure(sums)[0])
    assert moments.within_sd(sums)[0] == pytest.approx(np.sqrt(0.5))
    pair = summed(moments.pair_sums(np.array([2.0]), np.array([3.0])))
    for figure in (moments.concordance, moments.deming_slope, moments.deming_intercept):
        assert np.isnan(figure(pair)[0])


def test_readings_that_all_agree() -> None:
    """Every correlation is 1 and every line the diagonal, also where some values are tied."""
    x = np.array([1.0, 2.0, 2.0, 5.0])
    items, pairs = summed(moments.item_sums(np.stack([x, x], axis=1))), summed(moments.pair_sums(x, x))
    for figure in (moments.icc_agreement, moments.icc_consistency):
        assert figure(items)[0] == pytest.approx(1.0)
    assert moments.within_sd(items)[0] == moments.repeatability_coefficient(items)[0] == 0.0
    assert (moments.bias(pairs)[0], moments.spread(pairs)[0]) == (0.0, 0.0)
    assert (moments.concordance(pairs)[0], moments.deming_slope(pairs)[0]) == pytest.approx((1.0, 1.0))
    assert moments.deming_intercept(pairs)[0] == pytest.approx(0.0)
