from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ctcfish.stats.proportions import clopper_pearson
from ctcfish.trial.assay import (
    clustered_share,
    detection,
    failure,
    fish_against_protein,
    heterogeneity,
    reproducibility,
)
from ctcfish.trial.finding import Finding
from ctcfish.trial.flow import flow
from ctcfish.trial.subjects import FAILURES, Study
from ctcfish.trial.tables import REPRODUCIBILITY
from tests.make_trial import Rows, ctc, row, run_of, slide, study

PATIENTS = [
    # patient, age, receptor, evaluable, amplified, code
    ("P1", 40, "positive", 10, 1, None),
    ("P2", 50, "positive", 10, 2, None),
    ("P3", 60, "negative", 10, 4, None),
    ("P4", 70, "negative", 10, 6, None),
    ("P5", 45, "positive", 1, 1, None),
    ("P6", 55, "negative", 20, 0, None),
    ("P7", 65, "positive", 30, 0, None),
    ("P8", 66, "positive", 0, 0, "S4"),
    ("P9", 67, "positive", 0, 0, "S5"),
    ("Q1", 68, "negative", 0, 0, "S2"),
]


def tables() -> tuple[Rows, list[dict[str, object]]]:
    rows: Rows = {"patients": []}
    slides = []
    for patient, age, receptor, n, k, code in PATIENTS:
        rows["patients"].append(row("patients", patient, "2015-01-05", "yes", "no", "", age, receptor, 1))
        total = 0 if code == "S2" else max(n, 5)
        slides.append(slide(patient, total, n, k, technical_code=code))
    return rows, slides


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Study:
    rows, slides = tables()
    cells: list[dict[str, object]] = []
    for patient, _, _, n, k, _ in PATIENTS:
        high, low = [(9, 2)] * k, [(2, 2)] * (n - k)
        own = ctc(f"{patient}-S1", *high, *low)
        for index, cell in enumerate(own):
            # protein agrees on all amplified but the first, and on all others but the last of P6
            agrees = (index > 0) if cell["call"] == "amplified" else not (patient == "P6" and index == n - 1)
            amplified = cell["call"] == "amplified"
            cell["her2_protein_class"] = "high" if amplified == agrees else "negative"
        cells += own
    return study(tmp_path_factory.mktemp("c"), rows, run_of(slides, cells))


def by_key(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.label.key: finding for finding in findings}


DETECTED = [
    # key, numerator, denominator
    ("detected_of_screened", 5, 10),
    ("detected_of_blood_drawn", 5, 10),
    ("detected_of_enumerated", 5, 10),
    ("detected_of_with_at_least_one_ctc", 5, 9),
    ("detected_of_fish_attempted", 5, 9),
    ("detected_of_fish_evaluable", 5, 7),
    ("cohort_LOW", 3, 7),
    ("cohort_HIGH", 2, 7),
    ("detected_guarded", 5, 7),
]


@pytest.mark.parametrize(("key", "numerator", "n"), DETECTED)
def test_detection_over_every_denominator(example: Study, key: str, numerator: int, n: int) -> None:
    found = by_key(detection(example, flow(example)))
    assert set(found) == {key for key, _, _ in DETECTED}
    assert (found[key].numerator, found[key].n) == (numerator, n)
    low, high = clopper_pearson(numerator, n)
    assert (found[key].estimate.low, found[key].estimate.high) == pytest.approx((float(low), float(high)))


FAILED = [
    # key, numerator, denominator, population
    ("failed_S0", 0, 10, "blood drawn"),
    ("failed_S1", 0, 10, "blood drawn"),
    ("failed_S3", 0, 10, "blood drawn"),
    ("failed_S4", 1, 10, "blood drawn"),
    ("failed_S5", 1, 10, "blood drawn"),
    ("failed_RELOCATION", 0, 10, "blood drawn"),
    ("failed_fish", 2, 9, "FISH attempted"),
]


@pytest.mark.parametrize(("key", "numerator", "n", "population"), FAILED)
def test_failures_by_code(example: Study, key: str, numerator: int, n: int, population: str) -> None:
    found = by_key(failure(example))[key]
    assert (found.numerator, found.n, found.population) == (numerator, n, population)


def test_no_ctc_is_no_failure(example: Study) -> None:
    assert "S2" not in FAILURES
    assert not any("S2" in key for key in by_key(failure(example)))


def test_cells_that_failed_are_clustered_by_patient(tmp_path: Path) -> None:
    rows, slides = tables()
    cells = ctc("P1-S1", *[(2, 2)] * 20) + ctc("P6-S1", *[(2, 2)] * 20) + ctc("P7-S1", *[(2, 2)] * 20)
    for cell in cells[:15]:
        cell |= {"call": "not_evaluable", "reason": "LOST"}
    found = by_key(failure(study(tmp_path, rows, run_of(slides, cells))))["failed_cells"]
    assert found.estimate.value == pytest.approx(15 / 60)
    assert found.n == 60
    width = found.estimate.high - found.estimate.low
    naive = np.diff(np.array(clopper_pearson(15, 60)).ravel())[0]
    assert width > naive  # all failures in one patient: cells are no independent witnesses


@pytest.mark.parametrize("hits", [[0, 0, 0, 0], [9, 8, 7, 10]])
def test_where_all_patients_agree_only_patients_count(hits: list[int]) -> None:
    """Cells of a patient are no witnesses of each other: four patients say what four patients can."""
    size = np.array([9, 8, 7, 10])
    found = clustered_share(np.array(hits), size, 0.95)
    low, high = clopper_pearson(4 if sum(hits) else 0, 4)
    assert (found.low, found.high) == pytest.approx((float(low), float(high)))
    assert found.value == (1.0 if sum(hits) else 0.0)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.9])
def test_a_share_of_clustered_cells_stays_between_0_and_1(share: float) -> None:
    rng = np.random.default_rng(2)
    size = rng.integers(2, 40, 12)
    hits = rng.binomial(size, share)
    found = clustered_share(hits, size, 0.95)
    assert found.value == pytest.approx(hits.sum() / size.sum())
    assert 0.0 <= found.low < found.value < found.high <= 1.0


def test_a_share_and_what_is_left_mirror_each_other() -> None:
    size, hits = np.full(12, 9), np.array([1] + [0] * 11)
    few, many = clustered_share(hits, size, 0.95), clustered_share(size - hits, size, 0.95)
    assert (few.low, few.high) == pytest.approx((1 - many.high, 1 - many.low))
    assert few.low == pytest.approx(0.0, abs=1e-9)
    assert 0.02 < few.high < 0.3


def test_heterogeneous_patients(example: Study) -> None:
    found = by_key(heterogeneity(example))
    assert (found["heterogeneous"].numerator, found["heterogeneous"].n) == (4, 4)  # P5 has one cell
    assert (found["cap_2009"].numerator, found["cap_2009"].n) == (3, 4)  # 10, 20, 40 %; 60 % is amplified
    assert "two evaluable CTC or more" in found["heterogeneous"].population


def test_the_median_share(example: Study) -> None:
    found = by_key(heterogeneity(example))["median_share"]
    assert found.estimate.value == pytest.approx(0.4)  # of 0.1, 0.2, 0.4, 0.6, 1
    assert found.n == 5
    assert math.isinf(found.estimate.low)  # five patients hold no 95 % interval of a median


def test_the_share_rises_with_age(example: Study) -> None:
    found = by_key(heterogeneity(example))["share_by_age_years"]
    ages, shares = [40, 50, 60, 70, 45], [0.1, 0.2, 0.4, 0.6, 1.0]
    oracle = stats.spearmanr(ages, shares)
    assert found.estimate.value == pytest.approx(oracle.statistic)
    assert found.n == 5
    exact = stats.permutation_test(
        (ages,),
        lambda x: abs(stats.spearmanr(x, shares).statistic),
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
    )
    assert found.p_value == pytest.approx(exact.pvalue)


def test_the_share_by_receptor(example: Study) -> None:
    found = by_key(heterogeneity(example))["share_by_er_status"]
    assert found.n == 5
    # positive: 0.1, 0.2, 1.0; negative: 0.4, 0.6: two of six pairs are won
    assert found.estimate.value == pytest.approx(2 / 6)


def test_unknown_characteristics_are_told(example: Study) -> None:
    found = by_key(heterogeneity(example))
    assert found["share_by_prior_lines"].n == 0
    assert math.isnan(found["share_by_prior_lines"].estimate.value)
    assert found["share_by_visceral"].note == "One of the two groups is empty."


def kappa(table: np.ndarray) -> float:
    """Cohen's kappa written out."""
    n = table.sum()
    observed = np.trace(table) / n
    expected = (table.sum(axis=0) * table.sum(axis=1)).sum() / n**2
    return float((observed - expected) / (1 - expected))


def test_fish_against_protein_per_cell(example: Study) -> None:
    found = by_key(fish_against_protein(example))
    # of 14 amplified CTC in P1 to P5 the first of each is not high; of 77 others the last of P6 is high
    table = np.array([[76, 1], [5, 9]])
    assert found["fish_if_kappa"].n == table.sum() == 91
    assert found["fish_if_kappa"].estimate.value == pytest.approx(kappa(table))
    assert found["fish_if_positive"].estimate.value == pytest.approx(2 * 9 / (2 * 9 + 5 + 1))
    assert found["fish_if_negative"].estimate.value == pytest.approx(2 * 76 / (2 * 76 + 5 + 1))
    assert found["fish_if_overall"].estimate.value == pytest.approx(85 / 91)
    assert "clustered by patient" in found["fish_if_kappa"].population


def test_fish_against_protein_per_patient(example: Study) -> None:
    found = by_key(fish_against_protein(example))
    # amplified: P1 to P5; high: P2, P3, P4 and P6
    assert (found["fish_if_patient"].numerator, found["fish_if_patient"].n) == (4, 7)
    assert (found["fish_if_mcnemar"].numerator, found["fish_if_mcnemar"].n) == (2, 3)
    assert found["fish_if_mcnemar"].p_value == pytest.approx(stats.binomtest(2, 3).pvalue)


def test_no_protein_is_told(tmp_path: Path) -> None:
    rows, slides = tables()
    cells = ctc("P1-S1", (2, 2), protein=None)  # type: ignore[arg-type]
    (found,) = fish_against_protein(study(tmp_path, rows, run_of(slides, cells)))
    assert found.note.startswith("No CTC has both")
    (found,) = fish_against_protein(study(tmp_path / "b", rows, run_of(slides)))
    assert found.n == 0


STATISTICS = [
    {
        "level": "cell",
        "relation": "rescan",
        "population": "CTC",
        "stratum": "all",
        "quantity": "call",
        "statistic": "Cohen kappa",
        "value": 0.83,
        "low": 0.37,
        "high": 0.93,
        "method": "bootstrap",
        "n_items": 57,
    },
    {
        "level": "patient",
        "relation": "reader",
        "population": "patients",
        "stratum": "all",
        "quantity": "eligible",
        "statistic": "positive agreement",
        "value": None,
        "low": None,
        "high": None,
        "method": "bootstrap",
        "n_items": 3,
    },
    {
        "level": "cell",
        "relation": "rescan",
        "population": "CTC",
        "stratum": "near",
        "quantity": "call",
        "statistic": "Cohen kappa",
        "value": 0.5,
        "low": 0.1,
        "high": 0.7,
        "method": "bootstrap",
        "n_items": 9,
    },
    {
        "level": "slide",
        "relation": "rescan",
        "population": "slides",
        "stratum": "all",
        "quantity": "ratio",
        "statistic": "icc",
        "value": 0.9,
        "low": 0.8,
        "high": 0.95,
        "method": "F",
        "n_items": 9,
    },
]


def test_reproducibility_is_read_from_the_laboratory(example: Study) -> None:
    told = REPRODUCIBILITY.check(pd.DataFrame(STATISTICS))
    found = reproducibility(replace(example, run=replace(example.run, reproducibility=told)))
    assert [f.label.title for f in found] == [
        "Call: Cohen kappa (per cell, rescan)",
        "Eligible or not: positive agreement (per patient, reader)",
    ]
    assert [f.unit for f in found] == ["agreement", "agreement"]
    assert found[0].n == 57
    assert (found[0].estimate.value, found[0].estimate.low, found[0].estimate.high) == (0.83, 0.37, 0.93)
    assert math.isnan(found[1].estimate.value)


def test_the_limits_of_a_share_end_at_0(example: Study) -> None:
    first = STATISTICS[0] | {"low": -0.4}
    told = REPRODUCIBILITY.check(pd.DataFrame([first, first | {"statistic": "positive agreement"}]))
    kappa_, positive = reproducibility(replace(example, run=replace(example.run, reproducibility=told)))
    assert kappa_.estimate.low == -0.4  # a kappa may be negative
    assert positive.estimate.low == 0.0
    assert positive.estimate.high == 0.93


def test_of_reproducibility_the_ctc_count_and_the_figures_that_are_asked(example: Study) -> None:
    first, patient, *_ = STATISTICS
    others = [
        first | {"population": "all nuclei", "value": 0.99},
        first | {"statistic": "Deming slope", "value": 1.1},
        first | {"quantity": "her2", "statistic": "repeatability SD", "value": 0.4, "low": None, "high": None},
        first | {"quantity": "ratio", "statistic": "ICC(2,1), log scale", "low": None, "method": "interval withheld"},
        first | {"quantity": "ratio", "statistic": "repeatability SD, log scale", "value": 0.2},
    ]
    told = REPRODUCIBILITY.check(pd.DataFrame([first, *others, patient]))
    found = reproducibility(replace(example, run=replace(example.run, reproducibility=told)))
    assert [f.label.title.rpartition(" (per")[0].removesuffix("(2,1), log scale") for f in found] == [
        "Call: Cohen kappa",
        "HER2 count: repeatability SD",
        "HER2/CEP17: ICC",
        "HER2/CEP17: repeatability SD, log scale",
        "Eligible or not: positive agreement",
    ]
    assert [f.unit for f in found] == ["agreement", "spread", "agreement", "spread", "agreement"]
    assert found[2].note == ""  # the method says why
    assert found[1].note.startswith("No interval: the readings do not differ")
    nuclei = REPRODUCIBILITY.check(pd.DataFrame([first | {"population": "all nuclei"}]))
    (alone,) = reproducibility(replace(example, run=replace(example.run, reproducibility=nuclei)))
    assert alone.population == "all nuclei"  # a study without an IF scan knows no CTC


def test_no_reproducibility_study_is_told(example: Study) -> None:
    (found,) = reproducibility(example)
    assert "--qc" in found.note


@pytest.mark.parametrize("figures", [heterogeneity, failure, fish_against_protein, reproducibility])
def test_nobody_screened_is_no_error(tmp_path: Path, figures: Callable[[Study], list[Finding]]) -> None:
    found = figures(study(tmp_path, {"patients": []}, run_of([])))
    assert found
    assert all(f.n == 0 for f in found)
