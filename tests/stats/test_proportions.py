"""Proportions against scipy, statsmodels and the worked figures of the domain."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest
from statsmodels.stats.proportion import proportion_confint

from ctcfish.errors import StatisticsError
from ctcfish.stats import proportions as p


@pytest.mark.parametrize(
    ("k", "n", "method", "low", "high"),
    [
        (1, 11, "clopper-pearson", 0.2, 41.3),
        (1, 11, "wilson", 1.6, 37.7),
        (14, 118, "clopper-pearson", 6.6, 19.1),
    ],
)
def test_published_intervals_in_per_cent(k: int, n: int, method: p.IntervalMethod, low: float, high: float) -> None:
    made = p.proportion(k, n, "patients", method)
    assert (round(100 * made.low, 1), round(100 * made.high, 1)) == (low, high)


@pytest.mark.parametrize(("k", "n"), [(14, 118), (14, 154), (118, 150), (118, 154)])
def test_the_two_denominators_of_the_trial_print_apart(k: int, n: int) -> None:
    text = str(p.proportion(k, n, "patients with at least one CTC"))
    assert f"{k}/{n} patients with at least one CTC = {100 * k / n:.1f} %" in text


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.5, 0.999))
def test_intervals_equal_statsmodels_and_scipy(k: int, extra: int, confidence: float) -> None:
    n = k + extra
    if n == 0:
        return
    low, high = p.clopper_pearson(k, n, confidence)
    assert (low, high) == pytest.approx(proportion_confint(k, n, 1 - confidence, "beta"), abs=1e-9)
    exact = binomtest(k, n).proportion_ci(confidence, "exact")
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-9)
    assert p.wilson(k, n, confidence) == pytest.approx(proportion_confint(k, n, 1 - confidence, "wilson"), abs=1e-9)


def test_one_sided_bounds_invert_the_binomial() -> None:
    upper, lower = p.clopper_pearson_upper(3, 40), p.clopper_pearson_lower(3, 40)
    assert binom.cdf(3, 40, upper) == pytest.approx(0.05)
    assert binom.sf(2, 40, lower) == pytest.approx(0.05)


def test_arrays_broadcast() -> None:
    low, high = p.clopper_pearson([[0], [1]], [5, 10, 20])
    assert low.shape == high.shape == (2, 3)
    assert (np.diff(high, axis=1) < 0).all()


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("n", [11, 30, 118])
def test_exact_coverage_is_never_below_nominal(share: float, n: int) -> None:
    k = np.arange(n + 1)
    low, high = p.clopper_pearson(k, np.full(n + 1, n))
    assert binom.pmf(k, n, share)[(low <= share) & (share <= high)].sum() >= 0.95


def test_empty_population_is_legal_and_says_so() -> None:
    empty = p.proportion(0, 0, "patients treated")
    assert np.isnan(empty.value)
    assert (empty.low, empty.high) == (0.0, 1.0)
    assert "no value" in str(empty)


def test_all_and_none() -> None:
    assert p.proportion(0, 3, "CTC").low == 0.0
    assert p.proportion(3, 3, "CTC").high == 1.0
    assert p.wilson(0, 3)[0] == 0.0
    assert p.wilson(3, 3)[1] == 1.0


@pytest.mark.parametrize("population", ["", "   "])
def test_a_proportion_without_population_cannot_be_made(population: str) -> None:
    with pytest.raises(StatisticsError, match="has no population: name whom"):
        p.proportion(14, 118, population)
    with pytest.raises(StatisticsError, match="has no population"):
        p.Proportion(14, 118, population, "none", 0.0, 1.0)
    named = p.proportion(14, 118, "screened")
    with pytest.raises(StatisticsError, match="has no population"):
        dataclasses.replace(named, population=population)


def test_a_proportion_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        p.proportion(14, 118, "screened").denominator = 154  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"numerator": 119}, "numerator must lie in 0 to denominator"),
        ({"numerator": -1}, "numerator must lie in 0 to denominator"),
        ({"low": 0.2, "high": 0.1}, "must rise within 0 to 1"),
        ({"high": 1.5}, "must rise within 0 to 1"),
        ({"low": 0.5, "high": 0.9}, "do not hold the value"),
    ],
)
def test_impossible_proportions_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        dataclasses.replace(p.proportion(14, 118, "screened"), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("k", "n", "confidence", "message"),
    [
        (5, 4, 0.95, "5 successes in 4 trials"),
        (-1, 4, 0.95, "whole numbers from 0 up"),
        (0.5, 4, 0.95, "whole numbers from 0 up"),
        (np.nan, 4, 0.95, "missing or infinite"),
        (1, 4, 95, "give 0.95 for 95 %"),
    ],
)
def test_bad_counts_are_refused(k: float, n: int, confidence: float, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        p.clopper_pearson(k, n, confidence)
    with pytest.raises(StatisticsError, match=message):
        p.wilson(k, n, confidence)


def test_unknown_method_is_named() -> None:
    with pytest.raises(StatisticsError, match="'wald' is unknown: use one of clopper-pearson, wilson"):
        p.proportion(1, 2, "CTC", "wald")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rate", "cells", "per_cent"),
    [(0.01, 10, 9.6), (0.01, 100, 63.4), (0.001, 10, 1.0), (0.001, 100, 9.5), (0.0001, 10, 0.1), (0.0001, 100, 1.0)],
)
def test_one_false_cell_makes_a_false_patient(rate: float, cells: int, per_cent: float) -> None:
    assert round(100 * float(p.patient_by_error(rate, cells)), 1) == per_cent
    assert p.any_by_error(np.full(cells, rate)) == pytest.approx(float(p.patient_by_error(rate, cells)), rel=1e-12)


@pytest.mark.parametrize("least", [0, 1, 2, 3, 7])
def test_at_least_by_error(least: int) -> None:
    assert p.at_least_by_error(np.full(40, 0.03), least) == pytest.approx(binom.sf(least - 1, 40, 0.03), rel=1e-9)
    uneven = [0.5, 0.1, 0.02, 0.9]
    by_hand = 0.0
    for called in itertools.product([0, 1], repeat=4):
        if sum(called) >= least:
            by_hand += np.prod([rate if c else 1 - rate for rate, c in zip(uneven, called, strict=True)])
    assert p.at_least_by_error(uneven, least) == pytest.approx(by_hand, abs=1e-12)
    assert p.at_least_by_error([], least) == (0.0 if least else 1.0)


def test_two_false_cells_are_rarer_than_one() -> None:
    # at 1 % a cell and 100 cells one false cell is met in 63 % of patients, two in 26 %
    assert round(100 * p.at_least_by_error(np.full(100, 0.01), 2)) == 26
    assert p.at_least_by_error(np.full(1000, 1e-9), 2) == pytest.approx(4.995e-13, rel=1e-3)


def test_patient_by_error_at_the_edges() -> None:
    assert p.patient_by_error(0.0, 100) == 0.0
    assert p.patient_by_error(1.0, [0, 1]).tolist() == [0.0, 1.0]
    assert p.any_by_error([]) == 0.0
    assert p.any_by_error([0.1, 1.0]) == 1.0
    assert p.any_by_error([0.1, 0.2]) == pytest.approx(1 - 0.9 * 0.8)
    assert p.any_by_error([1e-18, 1e-18]) == pytest.approx(2e-18)
    with pytest.raises(StatisticsError, match="false-call rate must lie in 0 to 1"):
        p.patient_by_error(1.1, 3)


@pytest.mark.parametrize(
    ("fraction", "cells"), [(0.003, 998), (0.016, 186), (0.05, 59), (0.1, 29), (0.353, 7), (1.0, 1)]
)
def test_cells_needed(fraction: float, cells: int) -> None:
    assert p.cells_needed(fraction) == cells
    assert p.patient_by_error(fraction, cells) >= 0.95
    assert p.patient_by_error(fraction, cells - 1) < 0.95


@settings(max_examples=100, deadline=None)
@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_cells_needed_is_the_smallest_number(probability: float, fraction: float) -> None:
    n = p.cells_needed(fraction, probability)
    assert p.patient_by_error(fraction, n) >= probability - 1e-12
    assert p.patient_by_error(fraction, n - 1) < probability + 1e-12


def test_cells_needed_refuses_what_is_never_seen() -> None:
    with pytest.raises(StatisticsError, match="a kind that is absent is never seen"):
        p.cells_needed(0.0)


@pytest.mark.parametrize(("cells", "per_cent"), [(3, 63), (20, 14), (0, 100)])
def test_upper_bound_behind_a_negative(cells: int, per_cent: int) -> None:
    bound = float(p.negative_upper_bound(cells))
    assert round(100 * bound) == per_cent
    assert bound == pytest.approx(1 - 0.05 ** (1 / cells) if cells else 1.0)


def test_a_thousand_clean_leukocytes_bound_the_rate_at_three_per_mille() -> None:
    assert round(100 * float(p.negative_upper_bound(1000)), 1) == 0.3


@pytest.mark.parametrize(("normals", "per_cent"), [(200, 1.487), (500, 0.597), (1000, 0.299)])
def test_cutoff_from_normals(normals: int, per_cent: float) -> None:
    assert round(100 * float(p.cutoff_from_normals(0, normals)), 3) == per_cent


def test_cutoff_from_normals_is_the_inverse_beta() -> None:
    false_positives = np.array([0, 1, 5, 20])
    assert p.cutoff_from_normals(false_positives, 200) == pytest.approx(beta.ppf(0.95, false_positives + 1, 200))
    with pytest.raises(StatisticsError, match="needs normal nuclei, found 0"):
        p.cutoff_from_normals(0, 0)


@pytest.mark.parametrize(("rate", "cells"), [(0.01, 200), (0.002, 500), (0.3, 5), (0.5, 1)])
def test_cutoff_count_is_the_first_beyond_error(rate: float, cells: int) -> None:
    count = p.cutoff_count(rate, cells)
    assert binom.sf(count - 1, cells, rate) <= 0.05
    assert binom.sf(count - 2, cells, rate) > 0.05


def test_cutoff_count_at_the_edges() -> None:
    assert p.cutoff_count(0.0, 10) == 1
    assert p.cutoff_count(1.0, 10) == 11
    assert p.cutoff_count(0.2, 0) == 1
