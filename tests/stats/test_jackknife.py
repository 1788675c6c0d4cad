"""The jackknife against the t interval, plain loops, and coverage where few units carry the spread."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats import moments
from ctcfish.stats.bootstrap import FISHER, LOG
from ctcfish.stats.jackknife import jackknife_interval, limit_interval

PARTS = (moments.bias, moments.spread)


def mean(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[:, 1] / sums[:, 0])


def test_of_a_mean_it_is_the_t_interval() -> None:
    values = np.random.default_rng(0).uniform(2, 5, 40)  # flat: no unit carries the spread, and n - 1 are left
    made = jackknife_interval(np.stack([np.ones(40), values], axis=1), mean)
    assert (made.low, made.high) == pytest.approx(stats.t.interval(0.95, 39, values.mean(), stats.sem(values)))
    assert made.method == "jackknife of 40 units, identity scale"


def test_leaving_out_by_subtraction_equals_leaving_out() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1, 25)
    y = x + rng.normal(0, 0.5, 25)
    sums = moments.pair_sums(x, y)
    made = jackknife_interval(sums, moments.concordance, FISHER)
    slow = np.array(
        [math.atanh(moments.concordance(np.delete(sums, k, axis=0).sum(axis=0)[None])[0]) for k in range(25)]
    )
    moved = slow - slow.mean()
    error = math.sqrt(24 / 25 * (moved**2).sum())
    freedom = min(2 * 25 / (25 * (moved**4).sum() / (moved**2).sum() ** 2 - 1), 24)
    half = stats.t.ppf(0.975, freedom) * error
    assert math.atanh(made.high) == pytest.approx(math.atanh(made.value) + half)
    assert math.atanh(made.low) == pytest.approx(math.atanh(made.value) - half)


def test_a_spread_that_hangs_on_one_unit_has_few_degrees_of_freedom() -> None:
    values = np.append(np.random.default_rng(2).normal(0, 0.1, 29), 5.0)
    made = jackknife_interval(np.stack([np.ones(30), values], axis=1), mean)
    assert made.high - made.low > 2 * 3.5 * stats.sem(values)  # 29 degrees would give 2.05 on either side


def test_limits_of_agreement_of_normal_differences_are_those_of_bland_and_altman() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, 400)
    y = x + rng.normal(0.3, 0.5, 400)
    sums = moments.pair_sums(x, y)
    upper, lower = (limit_interval(sums, PARTS, side * moments.REACH) for side in (1, -1))
    spread = (y - x).std(ddof=1)
    assert upper.value == pytest.approx((y - x).mean() + 1.959964 * spread)
    half = stats.t.ppf(0.975, 399) * spread * math.sqrt(1 / 400 + 1.959964**2 / (2 * 399))
    assert (upper.low, upper.high) == pytest.approx((upper.value - half, upper.value + half), abs=0.012)
    assert (lower.low, lower.high) == pytest.approx((lower.value - half, lower.value + half), abs=0.012)


def test_exchanging_the_readings_mirrors_the_limits() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.gamma(2, 1, 50), rng.gamma(2, 1.2, 50)
    upper = limit_interval(moments.pair_sums(x, y), PARTS, moments.REACH)
    lower = limit_interval(moments.pair_sums(y, x), PARTS, -moments.REACH)
    assert (lower.value, lower.low, lower.high) == pytest.approx((-upper.value, -upper.high, -upper.low))


def test_what_holds_no_spread_has_no_limits() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = jackknife_interval(np.array([[1.0, 3.0]]), mean)
        same = jackknife_interval(np.tile([1.0, 3.0], (8, 1)), mean)
        equal = limit_interval(moments.pair_sums(np.arange(9.0), np.arange(9.0)), PARTS, 1.96)
        perfect = jackknife_interval(moments.pair_sums(np.arange(9.0), np.arange(9.0)), moments.concordance, FISHER)
        single = jackknife_interval(np.array([[1.0, 0.0], [1.0, 2.0]]), mean, LOG)
    assert [made.value for made in (one, same, equal, perfect, single)] == [3.0, 3.0, 0.0, 1.0, 1.0]
    assert all(math.isnan(made.low) and math.isnan(made.high) for made in (one, same, equal, perfect, single))


def test_limits_beyond_all_numbers_are_none() -> None:
    tables = np.array(
        [[1.0, 1.000001], [2.0, 2.000001], [9.0, 1e9]]
    )  # one unit carries the spread: one degree of freedom
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = jackknife_interval(moments.item_sums(tables), moments.within_sd, LOG)
        limit = limit_interval(moments.pair_sums(*tables.T), PARTS, 1.96)
    assert made.value > 1e8
    assert math.isnan(made.low)
    assert math.isnan(made.high)
    assert math.isnan(limit.high)


def test_confidence_is_checked() -> None:
    sums = np.random.default_rng(5).normal(1, 0.1, (9, 2))
    narrow, wide = (jackknife_interval(sums, mean, confidence=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high
    with pytest.raises(StatisticsError, match="for 95 %"):
        jackknife_interval(sums, mean, confidence=95)


def skewed(patients: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sums by patient of two readings of copies of which one cell in five has many."""
    owner = np.repeat(np.arange(patients), rng.integers(1, 6, patients))
    many = rng.random(owner.size) < rng.beta(0.5, 2, patients)[owner]
    true = np.where(many, rng.lognormal(2.3, 0.4, owner.size), 2.0)
    read = true[:, None] + rng.normal(0, 0.12, (owner.size, 2)) * true[:, None]
    pairs, items = np.zeros((patients, 6)), np.zeros((patients, 5))
    np.add.at(pairs, owner, moments.pair_sums(read[:, 0], read[:, 1]))
    np.add.at(items, owner, moments.item_sums(read))
    return pairs, items


def test_intervals_cover_where_few_patients_carry_the_spread() -> None:
    rng, runs = np.random.default_rng(6), 1000
    made = {
        "bias": lambda pairs, _: jackknife_interval(pairs, moments.bias),
        "lower": lambda pairs, _: limit_interval(pairs, PARTS, -moments.REACH),
        "upper": lambda pairs, _: limit_interval(pairs, PARTS, moments.REACH),
        "lin": lambda pairs, _: jackknife_interval(pairs, moments.concordance, FISHER),
        "slope": lambda pairs, _: jackknife_interval(pairs, moments.deming_slope),
        "icc": lambda _, items: jackknife_interval(items, moments.icc_agreement, FISHER),
        "sd": lambda _, items: jackknife_interval(items, moments.within_sd, LOG),
    }
    large = [skewed(400, rng) for _ in range(150)]
    truth = {name: np.mean([figure(*own).value for own in large]) for name, figure in made.items()}
    held = dict.fromkeys(made, 0)
    for _ in range(runs):
        own = skewed(50, rng)
        for name, figure in made.items():
            found = figure(*own)
            held[name] += found.low <= truth[name] <= found.high
    assert all(0.92 <= hits / runs <= 0.98 for hits in held.values()), held
