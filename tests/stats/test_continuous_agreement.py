"""Agreement of measurements against published layouts and known simulated truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from ctcfish.errors import StatisticsError
from ctcfish.stats import continuous_agreement as ca

# Shrout and Fleiss 1979, table 2: six targets, four judges
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)


def test_icc_of_shrout_and_fleiss() -> None:
    agreement, consistency = ca.icc_agreement(JUDGES), ca.icc_consistency(JUDGES)
    assert (round(agreement.value, 2), round(consistency.value, 2)) == (0.29, 0.71)
    assert (agreement.low, agreement.high) == pytest.approx((0.019, 0.761), abs=0.001)
    assert (consistency.low, consistency.high) == pytest.approx((0.342, 0.946), abs=0.001)


def test_mean_squares_equal_statsmodels() -> None:
    import pandas as pd

    frame = pd.DataFrame(JUDGES).stack().rename("y").reset_index()
    frame.columns = pd.Index(["subject", "reader", "y"])
    table = anova_lm(ols("y ~ C(subject) + C(reader)", frame).fit())
    ms = ca.mean_squares(JUDGES)
    assert (ms.subjects, ms.readers, ms.error) == pytest.approx(tuple(table["mean_sq"]))


@pytest.mark.parametrize("n", [30, 60])
def test_icc_agreement_covers(n: int) -> None:
    rng = np.random.default_rng(n)
    covered, runs = 0, 1000
    for _ in range(runs):
        values = rng.normal(0, 1, (n, 1)) + rng.normal(0, 0.3, (1, 3)) + rng.normal(0, 0.5, (n, 3))
        made = ca.icc_agreement(values)
        covered += made.low <= 1 / (1 + 0.09 + 0.25) <= made.high
    assert 0.93 <= covered / runs <= 0.97


def test_icc_consistency_covers() -> None:
    rng = np.random.default_rng(1)
    made = [ca.icc_consistency(rng.normal(0, 1, (30, 1)) + rng.normal(0, 0.5, (30, 3))) for _ in range(1000)]
    assert 0.93 <= np.mean([m.low <= 0.8 <= m.high for m in made]) <= 0.97


def test_shift_lowers_agreement_not_consistency() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, (20, 1)) + rng.normal(0, 0.1, (20, 2))
    shifted = values + np.array([0.0, 3.0])
    assert ca.icc_consistency(shifted).value == pytest.approx(ca.icc_consistency(values).value)
    assert ca.icc_agreement(shifted).value < 0.3 < ca.icc_agreement(values).value


def test_icc_all_agree_and_all_equal() -> None:
    same = np.repeat(np.arange(5.0)[:, None], 3, axis=1)
    for f in (ca.icc_agreement, ca.icc_consistency):
        made = f(same)
        assert (made.value, made.low, made.high) == pytest.approx((1, 1, 1))
        assert np.isnan(f(np.full((4, 3), 2.0)).value)


def test_concordance_by_definition() -> None:
    x, y = np.array([1.0, 2, 3, 4, 6]), np.array([1.5, 2.0, 3.5, 4.5, 5.5])
    expected = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert ca.lin_concordance(x, y).value == pytest.approx(expected)
    assert ca.lin_concordance(x, x + 2).value < stats.pearsonr(x, x + 2).statistic


@pytest.mark.parametrize(("n", "shift", "gain"), [(30, 0.0, 1.0), (30, 0.4, 1.2), (100, 0.4, 0.8)])
def test_concordance_covers(n: int, shift: float, gain: float) -> None:
    rng = np.random.default_rng(3)
    truth = 2 * gain / (1.25 + gain**2 + 0.25 + shift**2)
    covered, runs = 0, 1000
    for _ in range(runs):
        t = rng.normal(0, 1, n)
        made = ca.lin_concordance(t + rng.normal(0, 0.5, n), shift + gain * t + rng.normal(0, 0.5, n))
        covered += made.low <= truth <= made.high
    assert 0.93 <= covered / runs <= 0.97


@pytest.mark.parametrize(("shift", "noise"), [(2.0, 0.5), (3.0, 0.3)])
def test_spread_of_concordance_under_a_large_shift(shift: float, noise: float) -> None:
    rng = np.random.default_rng(7)
    seen, told = [], []
    for _ in range(1500):
        t = rng.normal(0, 1, 100)
        made = ca.lin_concordance(t + rng.normal(0, noise, 100), shift + t + rng.normal(0, noise, 100))
        seen.append(math.atanh(made.value))
        told.append((math.atanh(made.high) - math.atanh(made.low)) / 2 / 1.959964)
    assert np.sqrt(np.mean(np.square(told))) == pytest.approx(np.std(seen), rel=0.08)


def test_concordance_at_the_edges() -> None:
    assert ca.lin_concordance([1, 2, 3], [1, 2, 3]).low == 1.0
    assert ca.lin_concordance([1, 2, 3], [3, 2, 1]).value == pytest.approx(-1.0)
    assert np.isnan(ca.lin_concordance([1, 1, 1], [1, 2, 3]).value)
    assert np.isnan(ca.lin_concordance([1, 2], [1, 2]).value)
    assert np.isnan(ca.lin_concordance([-1, 0, 1, 0], [0, -1, 0, 1]).value)


def test_bland_altman_by_hand() -> None:
    x, y = np.array([10.0, 12, 9, 15]), np.array([9.0, 12, 10, 13])
    made = ca.bland_altman(x, y)
    d = x - y
    assert made.bias.value == pytest.approx(d.mean())
    assert (made.bias.low, made.bias.high) == pytest.approx(stats.t.interval(0.95, 3, d.mean(), stats.sem(d)))
    assert made.upper.value - made.lower.value == pytest.approx(2 * 1.959964 * d.std(ddof=1))
    assert made.n == 4


def test_limits_of_agreement_cover() -> None:
    rng = np.random.default_rng(4)
    made = [ca.bland_altman(rng.normal(0.5, 1, 30), np.zeros(30)) for _ in range(2000)]
    assert 0.93 <= np.mean([m.bias.low <= 0.5 <= m.bias.high for m in made]) <= 0.97
    assert 0.93 <= np.mean([m.upper.low <= 0.5 + 1.959964 <= m.upper.high for m in made]) <= 0.97


def test_ratios_are_compared_as_ratios() -> None:
    rng = np.random.default_rng(5)
    truth = rng.lognormal(0.5, 0.5, 4000)
    made = ca.bland_altman_ratio(1.1 * truth * rng.lognormal(0, 0.05, 4000), truth)
    assert made.bias.value == pytest.approx(1.1, rel=0.01)
    assert made.upper.value / made.bias.value == pytest.approx(math.exp(1.96 * 0.05), rel=0.01)
    swapped = ca.bland_altman_ratio(truth, truth)
    assert (swapped.bias.value, swapped.lower.value) == (1.0, 1.0)


def test_repeatability_coefficient() -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(10, 3, (2000, 1)) + rng.normal(0, 0.4, (2000, 2))
    assert ca.repeatability_coefficient(values).value == pytest.approx(2.77 * 0.4, rel=0.03)
    made = [ca.repeatability_coefficient(rng.normal(0, 1, (15, 2))) for _ in range(1000)]
    assert 0.935 <= np.mean([m.low <= 1.959964 * math.sqrt(2) <= m.high for m in made]) <= 0.965
    same = ca.repeatability_coefficient([[3.0, 3.0]])
    assert (same.value, same.low, same.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ca.icc_agreement([[1.0], [2.0]]), "at least 2 subjects and 2 readers, found 2 and 1"),
        (lambda: ca.icc_consistency([[1.0, 2.0]]), "found 1 and 2"),
        (lambda: ca.icc_agreement([[1.0, np.nan], [2.0, 3.0]]), "missing or infinite"),
        (lambda: ca.icc_agreement([1.0, 2.0]), "has 1 axes, 2 wanted"),
        (lambda: ca.lin_concordance([1, 2, 3], [1, 2]), "come in pairs, found 3 and 2"),
        (lambda: ca.bland_altman([1.0], [1.0]), "at least 2 pairs, found 1"),
        (lambda: ca.bland_altman_ratio([1.0, 0.0], [1.0, 1.0]), "needs values above 0"),
        (lambda: ca.repeatability_coefficient([[1.0], [2.0]]), "at least 2 replicates"),
        (lambda: ca.icc_agreement(JUDGES, 95), "give 0.95 for 95 %"),
    ],
)
def test_refusals(call: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()  # type: ignore[operator]
