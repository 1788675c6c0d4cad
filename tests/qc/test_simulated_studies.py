"""Studies whose truth is known: what they recover, how often, and how many cells that takes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ctcfish.qc.agreement import Wide, eligibility
from ctcfish.qc.precision import RATIO, precision
from ctcfish.stats import moments
from ctcfish.stats.bootstrap import FISHER, LOG, BootstrapPlan, bootstrap_interval

PLAN = BootstrapPlan(resamples=200)
LIMITS = {"within": 4.74, "between": 11.9}


def study(numbers: np.ndarray) -> pd.DataFrame:
    """Slide values of days by replicates."""
    days, replicates = numbers.shape
    frame = pd.DataFrame({"value": numbers.ravel(), "day": np.repeat(np.arange(days), replicates).astype(str)})
    frame["reading"] = [f"r{k}" for k in range(len(frame))]
    frame["relation"] = ["first", *["rescan"] * (len(frame) - 1)]
    absent = dict.fromkeys(("site", "operator", "scanner", "probe_lot", "run"))
    return frame.assign(group="s", patient_id="p", population="all nuclei", quantity=RATIO, n_cells=60, **absent)


def total_cv(numbers: np.ndarray) -> pd.Series:
    found = precision(study(numbers), LIMITS).set_index("component")
    return found.loc["total"]


@pytest.mark.parametrize(("within", "between"), [(0.03, 0.02), (0.04, 0.0), (0.01, 0.03)])
def test_components_of_ep15_are_recovered_on_average(within: float, between: float) -> None:
    rng, found = np.random.default_rng(4), []
    for _ in range(60):
        numbers = 1.0 + rng.normal(0, between, (5, 1)) + rng.normal(0, within, (5, 5))
        own = precision(study(numbers), LIMITS).set_index("component")["sd"]
        found.append((own["repeatability"] ** 2, own["total"] ** 2))
    mean = np.mean(found, axis=0)
    assert mean[0] == pytest.approx(within**2, rel=0.12)
    # a day's negative estimate is set to 0, which raises the total a little
    assert 0.9 * (within**2 + between**2) < mean[1] < 1.35 * (within**2 + between**2)


def test_total_of_ep15_is_covered() -> None:
    rng, covered, n = np.random.default_rng(6), 0, 80
    truth = np.hypot(0.03, 0.02)
    for _ in range(n):
        row = total_cv(1.0 + rng.normal(0, 0.02, (5, 1)) + rng.normal(0, 0.03, (5, 5)))
        covered += row["low"] <= truth <= row["high"]
    assert covered / n >= 0.88  # Satterthwaite is an approximation, best for many days


def test_a_good_laboratory_passes_and_a_bad_one_does_not() -> None:
    """True CV 3 % passes 4.74 % nearly always, 8 % hardly ever."""
    rng, n = np.random.default_rng(7), 40
    passed = {
        cv: sum(bool(total_cv(1.0 + rng.normal(0, cv, (5, 5)))["passed"]) for _ in range(n)) for cv in (0.03, 0.08)
    }
    assert passed[0.03] >= 0.9 * n
    assert passed[0.08] <= 0.1 * n


def counts(rng: np.random.Generator, cells: int, missed: float, extra: float) -> np.ndarray:
    """One reading of diploid cells whose two signals are missed or joined by strangers."""
    return rng.binomial(2, 1 - missed, cells) + rng.poisson(extra, cells)


def test_equal_counts_of_two_readings_follow_from_the_error_rates() -> None:
    missed, extra, cells = 0.05, 0.03, 20_000
    rng = np.random.default_rng(0)
    first, later = (counts(rng, cells, missed, extra) for _ in range(2))
    grid = np.arange(12)
    pmf = np.convolve(stats.binom.pmf(np.arange(3), 2, 1 - missed), stats.poisson.pmf(grid, extra))[:12]
    assert (first == later).mean() == pytest.approx((pmf**2).sum(), abs=0.01)
    sums = moments.item_sums(np.stack([first, later], axis=1).astype(float)).sum(axis=0, keepdims=True)
    spread = np.sqrt(2 * missed * (1 - missed) + extra)
    assert moments.within_sd(sums)[0] == pytest.approx(spread, rel=0.02)
    assert moments.icc_agreement(sums)[0] == pytest.approx(0.0, abs=0.02)  # all cells are truly alike


@pytest.mark.parametrize("cells", [50, 200])
def test_spread_of_a_slides_ratio_falls_with_the_root_of_its_cells(cells: int) -> None:
    rng = np.random.default_rng(1)
    ratios = [counts(rng, cells, 0.05, 0.03).sum() / counts(rng, cells, 0.05, 0.03).sum() for _ in range(400)]
    per_signal = np.sqrt(2 * 0.05 * 0.95 + 0.03) / (2 * 0.95 + 0.03)
    assert np.std(ratios) / np.mean(ratios) == pytest.approx(np.sqrt(2 / cells) * per_signal, rel=0.12)


@pytest.mark.parametrize(("patients", "cells"), [(30, 5), (60, 2)])
def test_clustered_correlation_is_covered_by_patients(patients: int, cells: int) -> None:
    """Cells of one patient share their level; ICC of readings is (4 + 1) / (4 + 1 + 1)."""
    rng, n, covered = np.random.default_rng(patients), 150, 0
    for _ in range(n):
        level = rng.normal(0, 2, (patients, 1, 1)) + rng.normal(0, 1, (patients, cells, 1))
        table = level + rng.normal(0, 1, (patients, cells, 2))
        sums = np.stack([moments.item_sums(own).sum(axis=0) for own in table])
        made = bootstrap_interval(lambda i, s=sums: moments.icc_agreement(s[i].sum(axis=1)), patients, FISHER, PLAN)
        covered += made.low <= 5 / 6 <= made.high
    assert 0.89 * n <= covered <= 0.99 * n


def test_ignoring_patients_would_promise_too_much() -> None:
    """Kappa of cells that share their patient's difficulty: resampling cells gives intervals too narrow by half."""
    rng, patients, cells = np.random.default_rng(3), 40, 20
    error = rng.beta(0.4, 2.0, (patients, 1))
    truth = rng.random((patients, cells)) < 0.4
    first, later = (truth ^ (rng.random(truth.shape) < error) for _ in range(2))
    right = (first == later).astype(float)
    by_patient = np.stack([np.full(patients, float(cells)), right.sum(axis=1)], axis=1)
    by_cell = np.stack([np.ones(right.size), right.ravel()], axis=1)

    def width(parts: np.ndarray) -> float:
        made = bootstrap_interval(
            lambda i: parts[i].sum(axis=1)[:, 1] / parts[i].sum(axis=1)[:, 0], len(parts), LOG, PLAN
        )
        return made.high - made.low

    assert width(by_patient) > 1.5 * width(by_cell)


@pytest.mark.parametrize(("error", "kappa"), [(0.0, 1.0), (0.5, 0.0)])
def test_readers_without_error_and_without_eyes(error: float, kappa: float) -> None:
    rng = np.random.default_rng(2)
    truth = rng.random((2000, 1)) < 0.4
    calls = truth ^ (rng.random((2000, 3)) < error)
    found = pd.DataFrame(eligibility(calls.astype(np.int64), BootstrapPlan(resamples=100))).set_index("statistic")[
        "value"
    ]
    for name in ("Cohen kappa", "Fleiss kappa", "Krippendorff alpha"):
        assert found[name] == pytest.approx(kappa, abs=0.05)


def test_a_biased_reader_shows_in_agreement_and_not_in_consistency() -> None:
    rng = np.random.default_rng(5)
    level = rng.normal(5, 1, (300, 1))
    table = level + rng.normal(0, 0.3, (300, 2)) + np.array([0.0, 1.0])
    sums = moments.item_sums(table).sum(axis=0, keepdims=True)
    assert moments.icc_consistency(sums)[0] == pytest.approx(1 / 1.09, abs=0.02)
    assert moments.icc_agreement(sums)[0] == pytest.approx(1 / (1.09 + 0.5), abs=0.03)
    pairs = moments.pair_sums(table[:, 0], table[:, 1]).sum(axis=0, keepdims=True)
    assert moments.bias(pairs)[0] == pytest.approx(1.0, abs=0.05)


def test_wide_rows_are_kept_together() -> None:
    calls = np.array([[0, 1], [1, 1], [2, -1]])
    numbers = np.arange(6.0).reshape(3, 2)
    wide = Wide(np.array(["a", "b", "c"], dtype=object), calls, numbers, numbers + 10, numbers + 20)
    kept = wide.rows(np.array([False, True, True]))
    assert kept.patient.tolist() == ["b", "c"]
    assert kept.call.tolist() == [[1, 1], [2, -1]]
    assert kept.cep17.tolist() == [[12.0, 13.0], [14.0, 15.0]]
