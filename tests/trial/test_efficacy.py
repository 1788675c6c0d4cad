from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import median_survival_times

from ctcfish.stats.proportions import clopper_pearson
from ctcfish.trial.efficacy import curve_of, efficacy, interval_curve
from ctcfish.trial.finding import Finding
from ctcfish.trial.subjects import Study
from tests.closed_forms import survival_bounds
from tests.make_trial import Rows, clean, row, run_of, slide, study

DOSE = pd.Timestamp(2015, 1, 20)

COURSES: dict[str, dict[str, Any]] = {
    # patient: sizes by day after a baseline of 50 mm; last day known alive, or day of death
    "A1": {
        "sizes": {42: 30, 84: 30, 126: 80},
        "death": 300,
        "cohort": "LOW",
        "best": "PR",
    },
    "A2": {
        "sizes": {42: 45, 84: 45},
        "last": 200,
        "cohort": "LOW",
        "best": "SD",
    },
    "A3": {
        "sizes": {42: 80},
        "death": 100,
        "cohort": "LOW",
        "best": "PD",
    },
    "B1": {
        "sizes": {42: 30, 84: 50, 126: 70},
        "death": 400,
        "cohort": "HIGH",
        "best": "SD",
    },
    "B2": {
        "sizes": {},
        "death": 30,
        "cohort": "HIGH",
        "best": "NE",
    },
    "B3": {
        "sizes": {42: 0, 84: 0, 126: 0},
        "last": 500,
        "cohort": "HIGH",
        "best": "CR",
    },
    "B4": {
        "sizes": {42: 48},
        "last": 60,
        "cohort": "HIGH",
        "best": "SD",
    },
}

TIMES = {
    # patient: days to progression or censoring, event; days of survival, event
    "A1": (126, True, 300, True),
    "A2": (84, False, 200, False),
    "A3": (42, True, 100, True),
    "B1": (84, True, 400, True),
    "B2": (30, True, 30, True),
    "B3": (126, False, 500, False),
    "B4": (42, False, 60, False),
}


def iso(day: int) -> str:
    return f"{DOSE + pd.Timedelta(days=day):%Y-%m-%d}"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Study:
    rows: Rows = {"patients": [], "tumours": [], "survival": []}
    slides = []
    for patient, course in COURSES.items():
        rows["patients"].append(row("patients", patient, "2015-01-05", "yes", "yes", iso(0)))
        slides.append(slide(patient, 9, 9, 1 if course["cohort"] == "LOW" else 5))
        for day, size in ({-3: 50} | course["sizes"]).items():
            rows["tumours"].append(row("tumours", patient, iso(day), "T1", "target", "liver", "no", size, "mm", ""))
        death = course.get("death")
        last = iso(death if death is not None else course["last"])
        told = ("dead", last, last) if death is not None else ("alive", last, "")
        rows["survival"].append(row("survival", patient, *told, "", ""))
    return study(tmp_path_factory.mktemp("c"), rows, run_of(slides))


@pytest.fixture(scope="module")
def figures(example: Study) -> dict[str, Finding]:
    return {finding.label.key: finding for finding in efficacy(example)}


def test_every_patient_is_what_she_was_made(example: Study) -> None:
    told = example.treated.set_index("patient_id")
    assert told["best"].to_dict() == {patient: course["best"] for patient, course in COURSES.items()}
    assert told["cohort"].to_dict() == {patient: course["cohort"] for patient, course in COURSES.items()}
    for patient, (pfs, progressed, os, died) in TIMES.items():
        own = told.loc[patient]
        assert (own["pfs_days"], own["pfs_event"]) == (pfs, progressed)
        assert (own["os_days"], own["os_event"]) == (os, died)


COUNTS = [
    # key, numerator, denominator, population
    ("response_all", 2, 7, "treated patients"),
    ("response_LOW", 1, 3, "treated patients of cohort LOW"),
    ("response_HIGH", 1, 4, "treated patients of cohort HIGH"),
    ("response_evaluable", 2, 6, "response-evaluable patients"),
    ("response_unconfirmed", 3, 7, "treated patients"),
    ("response_week_6", 3, 7, "treated patients"),  # A1, B1 and B3
    ("response_week_12", 2, 7, "treated patients"),  # B1 has progressed from her nadir
    ("response_week_18", 1, 7, "treated patients"),
    ("response_week_24", 0, 7, "treated patients"),
    ("best_CR", 1, 7, "treated patients"),
    ("best_PR", 1, 7, "treated patients"),
    ("best_SD", 3, 7, "treated patients"),
    ("best_PD", 1, 7, "treated patients"),
    ("best_NE", 1, 7, "treated patients"),
    ("best_NON_CR_NON_PD", 0, 7, "treated patients"),
    ("disease_control", 3, 7, "treated patients"),
]


@pytest.mark.parametrize(("key", "numerator", "n", "population"), COUNTS)
def test_counts_and_their_exact_intervals(
    figures: dict[str, Finding], key: str, numerator: int, n: int, population: str
) -> None:
    found = figures[key]
    assert (found.numerator, found.n, found.population) == (numerator, n, population)
    low, high = clopper_pearson(numerator, n)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((float(low), float(high)))


def test_only_the_response_by_cohort_is_primary(figures: dict[str, Finding]) -> None:
    roles = {key: f.role for key, f in figures.items() if f.label.endpoint == "response"}
    assert {key for key, role in roles.items() if role is None} == {"response_all", "response_LOW", "response_HIGH"}
    assert set(roles.values()) == {None, "secondary"}  # none of its own: that of the endpoint, which is primary


@pytest.mark.parametrize(("day", "week"), [(22, 6), (62, 6), (64, 12), (104, 12), (106, 18)])
def test_an_assessment_counts_at_the_nearest_planned_one(tmp_path: Path, day: int, week: int) -> None:
    rows: Rows = {"patients": [row("patients", "P1", "2015-01-05", "yes", "yes", iso(0))], "tumours": []}
    for when, size in ((-3, 50), (day, 20)):
        rows["tumours"].append(row("tumours", "P1", iso(when), "T1", "target", "liver", "no", size, "mm", ""))
    found = {f.label.key: f for f in efficacy(study(tmp_path, rows, run_of([slide("P1", 9, 9, 1)])))}
    hits = [key for key, f in found.items() if key.startswith("response_week") and f.numerator]
    assert hits == [f"response_week_{week}"]


def test_best_responses_add_up(figures: dict[str, Finding]) -> None:
    assert sum(f.numerator or 0 for key, f in figures.items() if key.startswith("best_")) == len(COURSES)


@pytest.mark.parametrize("name", ["pfs", "os"])
def test_survival_is_that_of_lifelines(example: Study, figures: dict[str, Finding], name: str) -> None:
    days = [t[0 if name == "pfs" else 2] for t in TIMES.values()]
    events = [t[1 if name == "pfs" else 3] for t in TIMES.values()]
    months = np.array(days) / 30.4375
    oracle = KaplanMeierFitter().fit(months, events)
    curve = curve_of(example, name)
    for moment, value, low, high in zip(curve.time, curve.survival, curve.low, curve.high, strict=True):
        assert value == pytest.approx(float(oracle.survival_function_at_times(moment).iloc[0]))
        if value > 0:
            limits = oracle.confidence_interval_.loc[moment].tolist()
            assert (low, high) == pytest.approx(tuple(limits))
    assert figures[f"{name}_median"].estimate.value == pytest.approx(oracle.median_survival_time_)
    low, high = median_survival_times(oracle.confidence_interval_).iloc[0].tolist()
    found = figures[f"{name}_median"].estimate
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high) or (math.isinf(found.high) and math.isinf(high))
    at = figures[f"{name}_6_months"].estimate
    if not math.isnan(at.value):
        assert at.value == pytest.approx(float(oracle.survival_function_at_times(6.0).iloc[0]))


@pytest.mark.parametrize("name", ["pfs", "os"])
def test_follow_up_is_the_curve_turned_round(figures: dict[str, Finding], name: str) -> None:
    days = [t[0 if name == "pfs" else 2] for t in TIMES.values()]
    censored = [not t[1 if name == "pfs" else 3] for t in TIMES.values()]
    oracle = KaplanMeierFitter().fit(np.array(days) / 30.4375, censored)
    assert figures[f"{name}_follow_up"].estimate.value == pytest.approx(oracle.median_survival_time_)


def test_at_risk_counts_everyone_before(example: Study) -> None:
    curve = curve_of(example, "pfs")
    for months in (0.0, 1.0, 2.0, 3.0, 4.0):
        wanted = sum(t[0] / 30.4375 >= months for t in TIMES.values())
        assert curve.number_at_risk([months]).tolist() == [wanted]


def test_the_interval_censored_curve_brackets_the_other(example: Study, figures: dict[str, Finding]) -> None:
    curve = interval_curve(example)
    assert curve.mass.sum() == pytest.approx(1.0)
    dated = curve_of(example, "pfs")
    for moment in (0.9, 1.5, 2.0, 2.9):
        low, high = survival_bounds(curve, moment)
        assert low - 1e-9 <= high
        # dating progression at its visit is the latest it can be
        assert dated.at(moment).value >= low - 1e-6
    found = figures["pfs_median_interval"]
    assert found.estimate.low <= found.estimate.high
    assert "no confidence interval" in found.estimate.method


def test_events_are_told(figures: dict[str, Finding]) -> None:
    assert figures["pfs_median"].note.startswith("4 events among 7 patients.")
    assert figures["os_median"].note.startswith("4 events among 7 patients.")


def test_nobody_treated_is_no_error(tmp_path: Path) -> None:
    rows = {"patients": [clean()["patients"][1]]}
    found = {f.label.key: f for f in efficacy(study(tmp_path, rows, run_of([])))}
    assert found["response_all"].n == 0
    assert found["response_all"].note == "Nobody was treated in this population."
    assert (found["response_all"].estimate.low, found["response_all"].estimate.high) == (0.0, 1.0)
    for key in ("pfs_median", "os_median", "pfs_median_interval", "os_follow_up"):
        assert math.isnan(found[key].estimate.value)


def test_without_confirmation_more_responses_count(tmp_path: Path, example: Study) -> None:
    loose = {"assessment_weeks": 6, "confirm": False, "min_stable_days": 35, "disease_control_days": 84}
    rows: Rows = {"patients": [row("patients", "A1", "2015-01-05", "yes", "yes", iso(0))], "tumours": []}
    for day, size in ((-3, 50), (42, 30), (84, 60)):
        rows["tumours"].append(row("tumours", "A1", iso(day), "T1", "target", "liver", "no", size, "mm", ""))
    run = run_of([slide("A1", 9, 9, 1)])
    strict = {f.label.key: f for f in efficacy(study(tmp_path / "a", rows, run))}
    other = {f.label.key: f for f in efficacy(study(tmp_path / "b", rows, run, response=loose))}
    assert strict["response_all"].numerator == 0
    assert other["response_all"].numerator == 1
    assert "confirmed" in strict["response_all"].label.title
    assert "confirmed" not in other["response_all"].label.title
