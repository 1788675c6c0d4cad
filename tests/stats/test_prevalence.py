"""Corrected prevalence: known truth by simulation, exact enumeration, degenerate studies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from ctcfish.errors import StatisticsError
from ctcfish.stats.prevalence import RateStudy, corrected_prevalence, corrected_prevalence_estimated
from ctcfish.stats.proportions import clopper_pearson


def test_perfect_calls_leave_the_exact_interval() -> None:
    made = corrected_prevalence(3, 40, 0.0, 1.0)
    low, high = clopper_pearson(3, 40)
    assert (made.value, made.low, made.high) == pytest.approx((3 / 40, float(low), float(high)))


def test_worked_example() -> None:
    # apparent 0.30, sensitivity 0.90, specificity 0.85: (0.30 + 0.85 - 1) / (0.90 + 0.85 - 1) = 0.20
    assert corrected_prevalence(30, 100, 0.15, 0.90).value == pytest.approx(0.20)


def test_one_call_in_a_hundred_at_one_per_cent_error_is_no_evidence() -> None:
    made = corrected_prevalence(1, 100, 0.01, 0.95)
    assert made.value == pytest.approx(0.0)
    assert made.low == 0.0
    assert 0.04 < made.high < 0.05


@pytest.mark.parametrize("true_share", [0.0, 0.016, 0.1, 0.353])
@pytest.mark.parametrize("cells", [9, 30, 100])
def test_known_rates_cover_by_enumeration(true_share: float, cells: int) -> None:
    a, se = 0.01, 0.9
    apparent = true_share * se + (1 - true_share) * a
    covered = 0.0
    for k in range(cells + 1):
        made = corrected_prevalence(k, cells, a, se)
        covered += binom.pmf(k, cells, apparent) * (made.low <= true_share <= made.high)
    assert covered >= 0.95


@pytest.mark.parametrize(("true_share", "cells"), [(0.1, 100), (0.3, 60), (0.5, 30)])
def test_estimated_rates_cover_by_simulation(true_share: float, cells: int) -> None:
    rng = np.random.default_rng(5)
    covered, runs, negatives, positives = 0, 1500, 200, 60
    for _ in range(runs):
        calls = rng.binomial(cells, true_share * 0.9 + (1 - true_share) * 0.05)
        study = RateStudy(rng.binomial(negatives, 0.05), negatives, rng.binomial(positives, 0.9), positives)
        made = corrected_prevalence_estimated(int(calls), cells, study)
        covered += made.low <= true_share <= made.high
    assert 0.93 <= covered / runs <= 0.975


def test_estimated_rates_miss_on_both_sides_alike() -> None:
    rng = np.random.default_rng(6)
    share, cells, se, sp, runs = 0.9, 1000, 0.85, 0.95, 3000
    too_high = too_low = 0
    for _ in range(runs):
        study = RateStudy(rng.binomial(200, 1 - sp), 200, rng.binomial(30, se), 30)
        calls = int(rng.binomial(cells, share * se + (1 - share) * (1 - sp)))
        if study.true_positives / 30 > study.false_positives / 200:
            made = corrected_prevalence_estimated(calls, cells, study)
            too_high += made.low > share
            too_low += made.high < share
    # without the shift of the paper, or with its sign turned, one side takes nearly all
    assert 0.01 < too_high / runs < 0.035
    assert 0.01 < too_low / runs < 0.035


@pytest.mark.parametrize(
    ("calls", "cells", "sensitivity", "specificity", "value", "high"),
    [(23, 150, 0.96, 0.89, 5.1, None), (6, 151, 0.964, 0.927, 0.0, 1.3)],
)
def test_published_examples_in_per_cent(
    calls: int, cells: int, sensitivity: float, specificity: float, value: float, high: float | None
) -> None:
    # brucellosis in cattle, and Helicobacter in children (Moujaber 2008), as worked in the manual of epiR
    made = corrected_prevalence(calls, cells, 1 - specificity, sensitivity)
    assert round(100 * made.value, 1) == value
    assert made.low == 0.0
    assert high is None or round(100 * made.high, 1) == high


def test_estimated_rates_widen_the_interval() -> None:
    known = corrected_prevalence(20, 100, 0.05, 0.9)
    estimated = corrected_prevalence_estimated(20, 100, RateStudy(1, 20, 18, 20))
    assert estimated.value == pytest.approx(known.value)
    assert estimated.high - estimated.low > known.high - known.low


def test_no_cells_say_nothing() -> None:
    made = corrected_prevalence(0, 0, 0.01, 0.9)
    assert np.isnan(made.value)
    assert (made.low, made.high) == (0.0, 1.0)


def test_useless_tests_are_refused() -> None:
    with pytest.raises(StatisticsError, match="does not exceed the false-positive rate"):
        corrected_prevalence(3, 10, 0.5, 0.5)
    with pytest.raises(StatisticsError, match="each must be at least 1"):
        corrected_prevalence_estimated(3, 10, RateStudy(0, 0, 5, 5))
    with pytest.raises(StatisticsError, match="whole numbers from 0 up"):
        corrected_prevalence_estimated(11, 10, RateStudy(0, 10, 5, 5))
    with pytest.raises(StatisticsError, match="sensitivity must lie in 0 to 1"):
        corrected_prevalence(3, 10, 0.1, 1.5)
