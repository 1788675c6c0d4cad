"""Kaplan-Meier and Turnbull against lifelines, a published curve and hand calculation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import median_survival_times

from ctcfish.errors import StatisticsError
from ctcfish.stats.proportions import clopper_pearson
from ctcfish.stats.survival import kaplan_meier, turnbull
from tests.closed_forms import survival_bounds

# Freireich 1963 as in Cox 1972: weeks of remission under 6-mercaptopurine
REMISSION = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]


def test_published_remissions() -> None:
    km = kaplan_meier(REMISSION, RELAPSED)
    assert km.time.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert km.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert km.events.tolist() == [3, 1, 1, 1, 1, 1, 1]
    assert km.survival.round(4).tolist() == [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]
    assert km.median().value == 23


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rounding", [6, 0])
def test_equals_lifelines(seed: int, rounding: int) -> None:
    rng = np.random.default_rng(seed)
    time, limit = np.round(rng.exponential(10, 60), rounding), np.round(rng.uniform(2, 30, 60), rounding)
    durations, events = np.minimum(time, limit), time <= limit
    km = kaplan_meier(durations, events)
    fit = KaplanMeierFitter().fit(durations, events)
    assert km.survival == pytest.approx(fit.survival_function_at_times(km.time).to_numpy(), abs=1e-9)
    limits = fit.confidence_interval_.loc[km.time].to_numpy()
    alive = km.survival > 0
    assert np.stack([km.low, km.high], axis=1)[alive] == pytest.approx(limits[alive], abs=1e-6)
    assert km.at_risk == pytest.approx(fit.event_table.loc[km.time, "at_risk"].to_numpy())
    oracle = median_survival_times(fit.confidence_interval_).to_numpy()[0]
    median = km.median()
    assert median.value == pytest.approx(fit.median_survival_time_) or math.isinf(fit.median_survival_time_)
    assert median.low == pytest.approx(oracle[0])
    assert median.high == pytest.approx(oracle[1])


def test_numbers_at_risk() -> None:
    km = kaplan_meier(REMISSION, RELAPSED)
    assert km.number_at_risk([0, 6, 6.5, 35, 36]).tolist() == [21, 21, 17, 1, 0]


def test_survival_at_a_time() -> None:
    km = kaplan_meier(REMISSION, RELAPSED)
    assert km.at(0).value == 1.0
    assert km.at(6).value == pytest.approx(18 / 21)
    assert km.at(9.9).value == pytest.approx(0.8067, abs=1e-4)
    assert km.at(35).value == pytest.approx(0.4482, abs=1e-4)
    assert math.isnan(km.at(35.1).value)


def test_interval_covers_at_thirty_patients() -> None:
    rng = np.random.default_rng(0)
    covered, medians, moments = 0, 0, (0.4, 0.5, 0.6, 0.7, 0.8)  # several: with few patients coverage swings with time
    for _ in range(1000):
        time, limit = rng.exponential(1, 30), rng.uniform(0.5, 3, 30)
        km = kaplan_meier(np.minimum(time, limit), time <= limit)
        covered += sum((here := km.at(t)).low <= math.exp(-t) <= here.high for t in moments)
        median = km.median()
        medians += median.low <= math.log(2) <= median.high
    assert 0.93 <= covered / 5000 <= 0.97, covered / 5000
    assert 0.93 <= medians / 1000 <= 0.98, medians / 1000


def test_nobody_nothing_and_everybody() -> None:
    nobody = kaplan_meier([], [])
    assert nobody.time.size == 0
    assert math.isnan(nobody.at(0).value)
    assert math.isnan(nobody.median().value)
    censored = kaplan_meier([3, 5], [False, False])
    assert censored.time.size == 0
    assert censored.at(4).value == 1.0
    assert censored.at(4).low == pytest.approx(float(clopper_pearson(n := int(censored.number_at_risk(4)), n)[0]))
    assert math.isnan(censored.median().value)
    assert censored.median().high == math.inf
    dead = kaplan_meier([1, 2, 2], [1, 1, 1])
    assert dead.survival[-1] == 0.0
    assert np.isnan(dead.low[-1])
    assert dead.at(9).value == 0.0
    one = kaplan_meier([4.0], [True])
    assert (one.median().value, one.survival.tolist()) == (4.0, [0.0])


def test_turnbull_of_exact_and_censored_times_is_kaplan_meier() -> None:
    time = np.array(REMISSION, dtype=float)
    seen = np.array(RELAPSED, dtype=bool)
    curve = turnbull(time, np.where(seen, time, np.inf))
    km = kaplan_meier(time, seen)
    for moment, survival in zip(km.time, km.survival, strict=True):
        assert survival_bounds(curve, moment)[1] == pytest.approx(survival, abs=1e-5)
    assert curve.median_bounds() == (23, 23)


def test_turnbull_by_hand() -> None:
    # two subjects surely in (0, 6], one in (6, 12], one censored at 6: its mass joins (6, 12]
    curve = turnbull([0, 0, 6, 6], [6, 6, 12, np.inf])
    assert curve.left.tolist() == [0, 6]
    assert curve.right.tolist() == [6, 12]
    assert curve.mass == pytest.approx([0.5, 0.5])
    assert survival_bounds(curve, 6) == pytest.approx((0.5, 0.5))
    assert survival_bounds(curve, 3) == pytest.approx((0.5, 1.0))
    assert curve.median_bounds() == (0, 6)


@pytest.mark.parametrize("seed", range(3))
def test_turnbull_equals_lifelines_where_no_visits_coincide(seed: int) -> None:
    # with shared visit days the two differ: lifelines closes intervals on both sides
    rng = np.random.default_rng(seed)
    visits = np.cumsum(rng.uniform(4, 8, (50, 6)), axis=1)
    event = rng.exponential(15, 50)
    number = (visits < event[:, None]).sum(axis=1)
    padded = np.column_stack([np.zeros(50), visits, np.full(50, np.inf)])
    left, right = padded[np.arange(50), number], padded[np.arange(50), number + 1]
    curve = turnbull(left, right)
    assert curve.mass.sum() == pytest.approx(1)
    oracle = KaplanMeierFitter().fit_interval_censoring(left, right, tol=1e-9).survival_function_
    for moment in curve.right[np.isfinite(curve.right)]:
        low, high = survival_bounds(curve, float(moment))
        assert high == pytest.approx(oracle["NPMLE_estimate_lower"].loc[:moment].iloc[-1], abs=4e-3)
        assert low == pytest.approx(high)


def test_turnbull_beats_every_other_mass() -> None:
    rng = np.random.default_rng(5)
    left = rng.integers(0, 5, 25).astype(float)
    right = left + rng.integers(1, 4, 25)
    curve = turnbull(left, right)
    covers = (left[:, None] <= curve.left) & (curve.right <= right[:, None])
    best = np.log(covers @ curve.mass).sum()
    for _ in range(300):
        other = curve.mass + 0.02 * rng.normal(size=curve.mass.size)
        other = np.maximum(other, 1e-9)
        assert np.log(covers @ (other / other.sum())).sum() <= best + 1e-6


def test_turnbull_without_events_or_subjects() -> None:
    curve = turnbull([3, 5], [np.inf, np.inf])
    assert curve.mass == pytest.approx([1.0])
    assert curve.right.tolist() == [np.inf]
    nobody = turnbull([], [])
    assert nobody.mass.size == 0
    assert np.isnan(nobody.median_bounds()).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kaplan_meier([1, 2], [True]), "2 durations and 1 event marks"),
        (lambda: kaplan_meier([-1.0], [True]), "check the dates"),
        (lambda: kaplan_meier([np.nan], [True]), "missing or infinite"),
        (lambda: kaplan_meier([1.0], [np.nan]), "event marks must be yes or no"),
        (lambda: kaplan_meier([1.0], [True], 95), "give 0.95 for 95 %"),
        (lambda: turnbull([2], [1]), "left <= right"),
        (lambda: turnbull([np.nan], [1]), "must be known"),
        (lambda: turnbull([1, 2], [3]), "two ends each"),
    ],
)
def test_refusals(call: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()  # type: ignore[operator]
