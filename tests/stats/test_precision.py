"""Precision studies: hand analysis of variance, recovery of known components, coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.precision import nested_components, verification_limit

EP05, EP15 = ("day", "run", "replicate"), ("day", "replicate")


def ep05(rng: np.random.Generator, day: float, run: float, rep: float) -> np.ndarray:
    return 10 + rng.normal(0, day, (20, 1, 1)) + rng.normal(0, run, (20, 2, 1)) + rng.normal(0, rep, (20, 2, 2))


def test_ep15_by_hand() -> None:
    values = np.random.default_rng(0).normal(10, 1, (5, 5)) + np.arange(5)[:, None]
    between = 5 * values.mean(axis=1).var(ddof=1)
    within = values.var(axis=1, ddof=1).mean()
    made = nested_components(values, EP15)
    assert made.variances == pytest.approx(((between - within) / 5, within))
    assert made.repeatability.value == pytest.approx(math.sqrt(within))
    assert made.total.value == pytest.approx(math.sqrt((between - within) / 5 + within))
    low, high = (math.sqrt(20 * within / stats.chi2.ppf(q, 20)) for q in (0.975, 0.025))
    assert (made.repeatability.low, made.repeatability.high) == pytest.approx((low, high))
    assert made.repeatability_freedom == 20
    assert 4 <= made.total_freedom <= 24


def test_ep05_by_its_own_formulas() -> None:
    values = ep05(np.random.default_rng(1), 1.0, 0.5, 0.3)
    error = ((values[..., 0] - values[..., 1]) ** 2 / 2).mean()
    runs = values.mean(axis=2)
    run = ((runs[:, 0] - runs[:, 1]) ** 2 / 2).mean() - error / 2
    day = runs.mean(axis=1).var(ddof=1) - (run + error / 2) / 2
    assert nested_components(values, EP05).variances == pytest.approx((day, run, error))


def test_components_are_recovered_on_average() -> None:
    rng = np.random.default_rng(2)
    found = np.mean([nested_components(ep05(rng, 1.0, 0.5, 0.3), EP05).variances for _ in range(400)], axis=0)
    assert found == pytest.approx([1.0, 0.25, 0.09], rel=0.06)


@pytest.mark.parametrize(("day", "run", "rep"), [(0.3, 0.3, 1.0), (1.0, 0.5, 0.3)])
def test_ep05_intervals_cover(day: float, run: float, rep: float) -> None:
    rng = np.random.default_rng(3)
    made = [nested_components(ep05(rng, day, run, rep), EP05) for _ in range(1000)]
    total = math.sqrt(day**2 + run**2 + rep**2)
    assert 0.935 <= np.mean([m.repeatability.low <= rep <= m.repeatability.high for m in made]) <= 0.965
    assert 0.93 <= np.mean([m.total.low <= total <= m.total.high for m in made]) <= 0.97


def test_ep15_total_covers_where_days_hardly_differ() -> None:
    rng = np.random.default_rng(4)
    made = [nested_components(rng.normal(0, 0.3, (5, 1)) + rng.normal(10, 1, (5, 5)), EP15) for _ in range(1000)]
    assert np.mean([m.total.low <= math.hypot(0.3, 1) <= m.total.high for m in made]) >= 0.93


def test_sites_are_one_more_level() -> None:
    rng = np.random.default_rng(5)
    values = 5 + rng.normal(0, 1, (200, 1, 1)) + rng.normal(0, 0.2, (200, 5, 1)) + rng.normal(0, 0.1, (200, 5, 5))
    made = nested_components(values, ("site", "day", "replicate"))
    assert made.levels[0] == "site"
    assert np.sqrt(made.variances) == pytest.approx([1, 0.2, 0.1], rel=0.1)
    assert made.total.value > made.repeatability.value


def test_identical_repeats_have_no_spread() -> None:
    made = nested_components(np.full((5, 5), 2.0), EP15)
    assert made.variances == (0.0, 0.0)
    assert (made.total.value, made.total.low, made.total.high) == (0, 0, 0)


def test_negative_components_are_zero() -> None:
    values = np.tile([1.0, 2.0, 3.0], (4, 1))
    assert nested_components(values, EP15).variances == pytest.approx((0.0, 1.0))


def test_verification_limit() -> None:
    assert verification_limit(1.0, 20) == pytest.approx(math.sqrt(stats.chi2.ppf(0.95, 20) / 20))
    assert verification_limit(1.0, 20, samples=2) > verification_limit(1.0, 20)
    with pytest.raises(StatisticsError, match="all must be above 0"):
        verification_limit(0.0, 20)


@pytest.mark.parametrize(
    ("values", "levels", "message"),
    [
        ([[1.0, np.nan], [1, 2]], EP15, "missing or infinite"),
        ([[1.0, 2.0]], EP15, "at least 2 each, found shape"),
        ([[1.0, 2.0], [1, 2]], EP05, "for day, run, replicate"),
        ([1.0, 2.0], ("replicate",), "two or more named levels"),
    ],
)
def test_refusals(values: list[float], levels: tuple[str, ...], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        nested_components(values, levels)
