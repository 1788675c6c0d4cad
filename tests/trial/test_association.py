from __future__ import annotations

import math
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.firth import firth_cox, firth_logistic
from ctcfish.trial.association import associations
from ctcfish.trial.cox import cox
from ctcfish.trial.finding import Finding
from ctcfish.trial.subjects import Study
from tests.make_trial import Rows, ctc, row, run_of, slide, study

DOSE = pd.Timestamp(2015, 1, 20)

PATIENTS: list[dict[str, Any]] = [
    # amplified and evaluable CTC, HER2 of the brightest (CEP17 2), size at 42 and 84 days, day of death
    {"amplified": 1, "evaluable": 100, "her2": 6, "sizes": (55, 70), "death": 150},
    {"amplified": 2, "evaluable": 50, "her2": 8, "sizes": (48, 48), "death": 260},
    {"amplified": 4, "evaluable": 40, "her2": 7, "sizes": (30, 30), "death": 420},
    {"amplified": 1, "evaluable": 9, "her2": 12, "sizes": (32, 32), "death": 500},
    {"amplified": 3, "evaluable": 60, "her2": 5, "sizes": (70, None), "death": 90},
    {"amplified": 8, "evaluable": 20, "her2": 16, "sizes": (20, 15), "death": 610},
    {"amplified": 1, "evaluable": 30, "her2": 5, "sizes": (52, 66), "death": 170},
    {"amplified": 5, "evaluable": 80, "her2": 9, "sizes": (49, 47), "death": 240},
    {"amplified": 2, "evaluable": 16, "her2": 10, "sizes": (None, None), "death": 35},
]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Study:
    rows: Rows = {"patients": [], "tumours": [], "survival": []}
    slides, cells = [], []
    for number, patient in enumerate(PATIENTS, start=1):
        key = f"P{number}"
        rows["patients"].append(row("patients", key, "2015-01-05", "yes", "yes", "2015-01-20"))
        k, n = patient["amplified"], patient["evaluable"]
        slides.append(slide(key, n, n, k))
        cells += ctc(f"{key}-S1", (patient["her2"], 2), *[(5, 2)] * (k - 1), *[(2, 2)] * (n - k))
        sizes = {-3: 50, 42: patient["sizes"][0], 84: patient["sizes"][1]}
        for day, size in sizes.items():
            if size is not None:
                date = f"{DOSE + pd.Timedelta(days=day):%Y-%m-%d}"
                rows["tumours"].append(row("tumours", key, date, "T1", "target", "liver", "no", size, "mm", ""))
        death = f"{DOSE + pd.Timedelta(days=patient['death']):%Y-%m-%d}"
        rows["survival"].append(row("survival", key, "dead", death, death, "", ""))
    return study(tmp_path_factory.mktemp("c"), rows, run_of(slides, cells))


@pytest.fixture(scope="module")
def figures(example: Study) -> dict[str, Finding]:
    return {finding.label.key: finding for finding in associations(example)}


SCALES = {
    "highest_ratio": [p["her2"] / 2 for p in PATIENTS],
    "n_amplified": [math.log2(p["amplified"]) for p in PATIENTS],
    "fraction": [10 * p["amplified"] / p["evaluable"] for p in PATIENTS],
}
RESPONDERS = np.array([False, False, True, True, False, True, False, False, False])
CHANGES = [0.1, -0.04, -0.4, -0.36, 0.4, -0.7, 0.04, -0.06, None]


def test_there_is_a_figure_of_each_kind_for_each_predictor(figures: dict[str, Finding]) -> None:
    kinds = ("response", "change", "odds", "hazard", "cox")
    assert set(figures) == {f"{kind}_by_{column}" for kind in kinds for column in SCALES}


@pytest.mark.parametrize("column", SCALES)
def test_responders_against_the_rest(figures: dict[str, Finding], column: str) -> None:
    values = np.array(SCALES[column])
    found = figures[f"response_by_{column}"]
    a, b = values[RESPONDERS], values[~RESPONDERS]
    wins = (a[:, None] > b[None, :]).mean() + (a[:, None] == b[None, :]).mean() / 2
    assert found.estimate.value == pytest.approx(wins)
    exact = stats.permutation_test(
        (a, b),
        lambda x, y: stats.rankdata(np.concatenate([x, y]))[: len(x)].sum(),
        permutation_type="independent",
        n_resamples=np.inf,
    )
    assert found.p_value == pytest.approx(exact.pvalue)


@pytest.mark.parametrize("column", SCALES)
def test_the_best_change_against_amplification(figures: dict[str, Finding], column: str) -> None:
    known = [i for i, change in enumerate(CHANGES) if change is not None]
    oracle = stats.spearmanr([SCALES[column][i] for i in known], [CHANGES[i] for i in known])
    found = figures[f"change_by_{column}"]
    assert found.n == len(known) == 8
    assert found.estimate.value == pytest.approx(oracle.statistic)
    assert "all permutations" in found.estimate.method


def progression(example: Study) -> tuple[np.ndarray, np.ndarray]:
    treated = example.treated.set_index("patient_id").loc[[f"P{i}" for i in range(1, 10)]]
    return treated["pfs_days"].to_numpy(float) / 30.4375, treated["pfs_event"].to_numpy(bool)


@pytest.mark.parametrize("column", SCALES)
def test_odds_and_hazards_are_those_of_the_penalised_fits(
    example: Study, figures: dict[str, Finding], column: str
) -> None:
    values = np.array(SCALES[column])[:, None]
    logistic = firth_logistic(values, RESPONDERS)
    found = figures[f"odds_by_{column}"]
    assert found.estimate.value == pytest.approx(math.exp(logistic.coefficients[1].value))
    assert found.p_value == pytest.approx(logistic.p_values[1])
    months, events = progression(example)
    cox = firth_cox(values, months, events)
    found = figures[f"hazard_by_{column}"]
    assert found.estimate.value == pytest.approx(math.exp(cox.coefficients[0].value))
    assert found.estimate.low < found.estimate.value < found.estimate.high
    assert found.unit == "hazard ratio"


@pytest.mark.parametrize("column", SCALES)
def test_the_ordinary_cox_is_that_of_lifelines(example: Study, figures: dict[str, Finding], column: str) -> None:
    months, events = progression(example)
    frame = pd.DataFrame({"x": SCALES[column], "time": months, "event": events})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = CoxPHFitter().fit(frame, "time", "event").summary.loc["x"]
    found = figures[f"cox_by_{column}"]
    assert found.estimate.value == pytest.approx(oracle["exp(coef)"], rel=1e-3)
    assert found.estimate.low == pytest.approx(oracle["exp(coef) lower 95%"], rel=1e-3)
    assert found.estimate.high == pytest.approx(oracle["exp(coef) upper 95%"], rel=1e-3)
    assert math.isnan(found.p_value)  # Firth's test stands for both in the family


def test_without_the_library_the_reason_is_told(example: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.duration.hazard_regression", None)
    found = {f.label.key: f for f in associations(example)}
    assert "pip install 'ctcfish[trial]'" in found["cox_by_fraction"].note
    assert math.isnan(found["cox_by_fraction"].estimate.value)
    assert math.isfinite(found["hazard_by_fraction"].estimate.value)


def few(tmp_path: Path, number: int) -> Study:
    """The first patients only."""
    rows: Rows = {"patients": [], "tumours": []}
    slides = []
    for index in range(1, number + 1):
        rows["patients"].append(row("patients", f"P{index}", "2015-01-05", "yes", "yes", "2015-01-20"))
        slides.append(slide(f"P{index}", 9, 9, index))
    return study(tmp_path, rows, run_of(slides))


@pytest.mark.parametrize("number", [1, 2])
def test_too_few_patients_are_told_not_raised(tmp_path: Path, number: int) -> None:
    found = {f.label.key: f for f in associations(few(tmp_path, number))}
    for kind, why in (
        ("response", "One of the two groups is empty."),
        ("hazard", "at least one event"),
        ("cox", "event"),
    ):
        assert why in found[f"{kind}_by_n_amplified"].note
        assert math.isnan(found[f"{kind}_by_n_amplified"].estimate.value)


def test_nobody_treated_is_told(tmp_path: Path) -> None:
    rows: Rows = {"patients": [row("patients", "P1", "2015-01-05", "yes", "no", "")]}
    for found in associations(study(tmp_path, rows, run_of([slide("P1", 9, 9, 1)]))):
        assert found.n == 0
        assert math.isnan(found.estimate.value)


def test_cox_says_where_the_likelihood_has_no_maximum() -> None:
    covariate = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    months = np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(StatisticsError, match="separates the events"):
            cox(covariate, months, np.ones(6), 0.95)
