"""Bootstrap intervals: coverage by simulation, clusters, degenerate samples."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats import agreement
from ctcfish.stats.bootstrap import (
    FISHER,
    IDENTITY,
    LOG,
    BootstrapPlan,
    Scale,
    bootstrap_interval,
    cluster_interval,
    near_one,
)

QUICK = BootstrapPlan(resamples=400)


def mean_of(values: np.ndarray):
    return lambda index: values[index].mean(axis=-1)


@pytest.mark.parametrize(("scale", "draw", "truth"), [
    (IDENTITY, lambda rng: rng.normal(2.0, 1.0, 30), 2.0),
    (LOG, lambda rng: rng.gamma(4.0, 0.5, 30), 2.0),
])  # fmt: skip
def test_coverage_of_a_mean_at_thirty(scale: Scale, draw, truth: float) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        made = bootstrap_interval(mean_of(draw(rng)), 30, scale, QUICK)
        covered += made.low <= truth <= made.high
    assert 0.93 <= covered / 1000 <= 0.97


def test_large_sample_equals_the_t_interval() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    made = bootstrap_interval(mean_of(values), 400, IDENTITY, BootstrapPlan(resamples=8000))
    low, high = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert (made.low, made.high) == pytest.approx((low, high), abs=0.02)


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(2).random(20)
    assert bootstrap_interval(mean_of(values), 20) == bootstrap_interval(mean_of(values), 20)
    other = BootstrapPlan(seed=1)
    assert bootstrap_interval(mean_of(values), 20, plan=other) != bootstrap_interval(mean_of(values), 20)


def test_many_units_are_drawn_in_chunks() -> None:
    values = np.random.default_rng(3).random(30_000)
    made = bootstrap_interval(mean_of(values), values.size, IDENTITY, BootstrapPlan(resamples=150))
    assert made.low < 0.5 < made.high
    assert made.high - made.low < 0.02


def test_clusters_widen_the_interval() -> None:
    rng = np.random.default_rng(4)
    patient = np.repeat(np.arange(20), 10)
    values = rng.normal(0, 1, 20)[patient] + rng.normal(0, 0.1, 200)
    alone = bootstrap_interval(mean_of(values), 200, IDENTITY, QUICK)
    whole = cluster_interval(lambda rows: float(values[rows].mean()), patient, IDENTITY, QUICK)
    assert "bootstrap of 20 units" in whole.method
    assert whole.value == pytest.approx(alone.value)
    assert whole.high - whole.low > 2.5 * (alone.high - alone.low)


def test_clustered_coverage_with_unequal_patients() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(300):
        patient = rng.permutation(np.repeat(np.arange(30), rng.integers(1, 8, 30)))
        values = rng.normal(0, 1, 30)[patient] + rng.normal(0, 1, patient.size)
        made = cluster_interval(lambda rows, v=values: float(v[rows].mean()), patient, IDENTITY, BootstrapPlan(200))
        covered += made.low <= 0 <= made.high
    assert 0.92 <= covered / 300 <= 0.98


def test_clusters_of_one_row_are_plain_units() -> None:
    values = np.random.default_rng(6).random(25)
    alone = cluster_interval(lambda rows: float(values[rows].mean()), np.arange(25), IDENTITY, QUICK)
    assert alone == bootstrap_interval(mean_of(values), 25, IDENTITY, QUICK)
    with pytest.raises(StatisticsError, match="at least one unit"):
        cluster_interval(lambda rows: float(rows.mean()), [])


@pytest.mark.parametrize(
    ("values", "scale"), [([1.0], IDENTITY), ([2.0, 2.0, 2.0], IDENTITY), ([0.0, 0.0], LOG), ([1.0, 1.0, 1.0], FISHER)]
)
def test_no_spread_no_limits(values: list[float], scale: Scale) -> None:
    made = bootstrap_interval(mean_of(np.array(values)), len(values), scale)
    assert made.value == values[0]
    assert np.isnan([made.low, made.high]).all()


def test_undefined_resamples_are_left_out_or_refused() -> None:
    mostly_bad = bootstrap_interval(lambda index: np.where(index[:, 0] == 0, 1.0 * index[:, 1], np.nan), 9, plan=QUICK)
    assert np.isnan(mostly_bad.low)
    rarely_bad = bootstrap_interval(
        lambda index: np.where(index[:, 0] == 8, np.nan, index.mean(axis=1)), 9, IDENTITY, QUICK
    )
    assert rarely_bad.low < 4 < rarely_bad.high


def test_refusals() -> None:
    with pytest.raises(StatisticsError, match="at least one unit"):
        bootstrap_interval(mean_of(np.array([])), 0)
    with pytest.raises(StatisticsError, match="give at least 100"):
        BootstrapPlan(resamples=10)
    with pytest.raises(StatisticsError, match="between 0 and 1"):
        BootstrapPlan(confidence=95)


def test_no_interval_where_a_sixth_of_the_resamples_lie_on_the_bound() -> None:
    values = np.array([0.0] * 29 + [1.0])  # a third of the resamples miss the one that differs
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = bootstrap_interval(mean_of(values), 30, LOG)
    assert found.value == pytest.approx(1 / 30)
    assert np.isnan([found.low, found.high]).all()
    assert np.isfinite(bootstrap_interval(mean_of(np.append(values, [1.0, 1.0])), 32, LOG).low)


def test_agreement_near_one_has_an_interval_that_says_something() -> None:
    tables = np.zeros((60, 2, 2), np.int64)
    tables[:45, 0, 0], tables[45:59, 1, 1], tables[59, 0, 1] = 1, 1, 1
    found = agreement.clustered(tables, agreement.percent_agreement, BootstrapPlan(resamples=400))
    assert found.value == pytest.approx(59 / 60)
    assert 0.8 < found.low < 0.97
    assert 0.99 < found.high <= 1.0
    scale = near_one(60)
    values = np.array([-0.5, 0.0, 0.9, 1.0])
    np.testing.assert_allclose(scale.inverse(scale.forward(values)), values, atol=1e-12)
    assert np.isfinite(scale.forward(np.array([1.0, -1.0]))).all()


@pytest.mark.parametrize(("units", "cells", "error"), [(60, 1, 0.05), (40, 5, 0.02)])
def test_agreement_of_simulated_readers_is_covered(units: int, cells: int, error: float) -> None:
    rng, covered, told, n = np.random.default_rng(units), 0, 0, 200
    truth = (1 - error) ** 2 + error**2
    for _ in range(n):
        amplified = rng.random((units, cells)) < 0.2
        first, second = (amplified ^ (rng.random(amplified.shape) < error) for _ in range(2))
        tables = np.zeros((units, 2, 2), np.int64)
        np.add.at(tables, (np.arange(units)[:, None], first.astype(int), second.astype(int)), 1)
        found = agreement.clustered(tables, agreement.percent_agreement, BootstrapPlan(resamples=200))
        told += np.isfinite(found.low)
        covered += found.low <= truth <= found.high
    assert told >= 0.97 * n
    assert 0.90 <= covered / told <= 0.985
