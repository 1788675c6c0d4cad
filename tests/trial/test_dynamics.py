from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ctcfish.trial.dynamics import amplified_pairs, ctc_changes, ctc_course, ctc_pairs, ctdna, ctdna_pairs
from ctcfish.trial.finding import Finding
from ctcfish.trial.subjects import Study
from ctcfish.trial.toxicity import on_treatment, toxicity, worst_grades
from tests.make_trial import Rows, row, run_of, slide, study

COUNTS: dict[str, dict[str, Any]] = {
    # CTC before, at cycle 2 and at cycle 3; whether she responds
    "P1": {"counts": (40, 20, 2), "responds": True},
    "P2": {"counts": (10, None, 5), "responds": False},
    "P3": {"counts": (7, 9, 14), "responds": False},
    "P4": {"counts": (100, 50, 51), "responds": False},
    "P5": {"counts": (0, 1, 3), "responds": False},
    "P6": {"counts": (3, 3, 0), "responds": True},
    "P7": {"counts": (25, 25, None), "responds": False},
    "P8": {"counts": (12, 12, 12), "responds": False},
}
DAYS = {"screening": "2015-01-06", "cycle_2": "2015-02-10", "cycle_3": "2015-03-03"}

EVENTS = [
    # patient, first day, term, grade, attribution, serious
    ("P1", "2015-02-01", "Nausea", 1, "possible", "no"),
    ("P1", "2015-02-09", "Nausea", 3, "unrelated", "no"),
    ("P1", "2015-02-01", "Fatigue", 2, "definite", "no"),
    ("P2", "2015-02-01", "Nausea", 2, "probable", "no"),
    ("P3", "2015-02-01", "Anemia", 4, "probable", "yes"),
    ("P4", "2015-02-01", "Sepsis", 5, "unlikely", "yes"),
    ("P5", "2015-01-07", "Nausea", 3, "possible", "no"),  # before the first dose
    ("Q1", "2015-02-01", "Nausea", 3, "possible", "no"),  # never treated
]

DNA = [
    # patient, day, marker, value
    ("P1", "2015-01-06", "PIK3CA", 8.0),
    ("P1", "2015-01-19", "PIK3CA", 10.0),
    ("P1", "2015-02-10", "PIK3CA", 1.0),
    ("P1", "2015-03-10", "PIK3CA", 9.0),
    ("P1", "2015-01-06", "TP53", 3.0),
    ("P1", "2015-02-10", "TP53", 2.0),
    ("P2", "2015-01-06", "TP53", 4.0),
    ("P2", "2015-02-10", "TP53", 6.0),
    ("P3", "2015-01-06", "TP53", 5.0),
    ("P4", "2015-02-10", "TP53", 5.0),
    ("P6", "2015-01-20", "ESR1", 2.0),
    ("P6", "2015-02-10", "ESR1", 0.0),
    ("P8", "2015-01-06", "ESR1", 1.0),
    ("P8", "2015-02-10", "ESR1", 1.5),
]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Study:
    rows: Rows = {"patients": [], "visits": [], "tumours": [], "ctdna": [], "adverse_events": [], "survival": []}
    slides = []
    for number, (patient, told) in enumerate(COUNTS.items(), start=1):
        rows["patients"].append(row("patients", patient, "2015-01-05", "yes", "yes", "2015-01-20"))
        slides.append(slide(patient, 20, 20, number))
        for (visit, day), count in zip(DAYS.items(), told["counts"], strict=True):
            rows["visits"].append(row("visits", patient, visit, day, "" if count is None else count, ""))
        sizes = (50, 20, 20) if told["responds"] else (50, 50, 50)
        for day, size in zip(("2015-01-15", "2015-03-03", "2015-04-20"), sizes, strict=True):
            rows["tumours"].append(row("tumours", patient, day, "T1", "target", "liver", "no", size, "mm", ""))
    rows["patients"].append(row("patients", "Q1", "2015-01-05", "yes", "no", ""))
    rows["visits"].append(row("visits", "Q1", "screening", "2015-01-06", 4, ""))
    for patient, day, term, grade, cause, serious in EVENTS:
        rows["adverse_events"].append(row("adverse_events", patient, day, term, grade, cause, "4.03", serious))
    for patient, day, marker, value in DNA:
        rows["ctdna"].append(row("ctdna", patient, day, "", marker, value, "percent"))
    rows["survival"].append(row("survival", "P4", "dead", "2015-06-01", "2015-06-01", "", ""))
    return study(tmp_path_factory.mktemp("c"), rows, run_of(slides))


@pytest.fixture(scope="module")
def counts(example: Study) -> dict[str, Finding]:
    return {finding.label.key: finding for finding in ctc_changes(example)}


def test_the_course_holds_every_count_of_the_treated(example: Study) -> None:
    course = ctc_course(example)
    assert len(course) == sum(c is not None for told in COUNTS.values() for c in told["counts"])
    assert "Q1" not in set(course["patient_id"])
    assert sorted(course["day"].unique()) == [-14, 21, 42]


def scanned(tmp_path: Path, **changes: Any) -> Study:
    """Three treated patients with slides of two visits; the table of visits leaves counts to them."""
    rows: Rows = {"patients": [], "visits": []}
    slides = []
    found = {"P1": ((9, 8, 2), (3, 2, 0)), "P2": ((20, 20, 5), (30, 25, 10)), "P3": ((6, 6, 1), (4, 0, 0))}
    for patient, visits in found.items():
        rows["patients"].append(row("patients", patient, "2015-01-05", "yes", "yes", "2015-01-20"))
        for number, (name, numbers) in enumerate(zip(("screening", "cycle_3"), visits, strict=True), start=1):
            slides.append(slide(patient, *numbers, slide_id=f"{patient}-S{number}", visit=name))
            rows["visits"].append(row("visits", patient, name, DAYS[name], "", "ok"))
    slides.append(slide("P1", 2, 2, 1, slide_id="P1-S3", visit="cycle_3"))  # a second slide of that visit
    rows["visits"][0]["ctc_per_7_5_ml"] = 12
    rows["visits"][3] |= changes
    return study(tmp_path, rows, run_of(slides))


def test_slides_count_where_the_clinical_table_gives_no_number(tmp_path: Path) -> None:
    course = ctc_course(scanned(tmp_path)).set_index(["patient_id", "visit"])
    assert course["ctc"].to_dict() == {
        ("P1", "screening"): 12,  # the table's number, not the slide's 9
        ("P1", "cycle_3"): 5,  # two slides of one visit
        ("P2", "screening"): 20,
        ("P2", "cycle_3"): 30,
        ("P3", "screening"): 6,
        ("P3", "cycle_3"): 4,
    }
    assert course.loc[("P1", "cycle_3"), ["day", "n_evaluable", "n_amplified"]].tolist() == [42, 4, 1]


def test_a_failed_sample_has_no_count_whatever_its_slide_says(tmp_path: Path) -> None:
    course = ctc_course(scanned(tmp_path, sample_status="enumeration_failed")).set_index(["patient_id", "visit"])
    assert math.isnan(course.loc[("P2", "cycle_3"), "ctc"])


def test_a_slide_without_its_visit_in_the_table_has_no_day(tmp_path: Path) -> None:
    own = scanned(tmp_path, visit="cycle_2")
    course = ctc_course(own).set_index(["patient_id", "visit"])
    assert math.isnan(course.loc[("P2", "cycle_3"), "day"])
    assert course.loc[("P2", "cycle_3"), "ctc"] == 30
    assert ("P2", "cycle_2") not in course.index  # neither counted nor scanned
    assert len(ctc_pairs(own)) == 3


def test_amplified_cells_of_both_visits(tmp_path: Path) -> None:
    own = scanned(tmp_path)
    pairs = amplified_pairs(own).set_index("patient_id")
    assert set(pairs.index) == {"P1", "P2"}  # nothing was evaluable at P3's second visit
    assert pairs.loc["P1"].tolist() == [2, 1, 2 / 8, 1 / 4]
    assert pairs.loc["P2"].tolist() == [5, 10, 5 / 20, 10 / 25]
    found = {f.label.key: f for f in ctc_changes(own)}
    assert found["amplified_change"].estimate.value == np.median([-1, 5])
    assert found["amplified_share_change"].estimate.value == pytest.approx(np.median([0.0, 0.15]))
    assert found["amplified_change"].n == 2
    assert "evaluable CTC on slides of screening and cycle_3" in found["amplified_change"].population


def test_pairs_are_the_two_visits_of_the_protocol(example: Study) -> None:
    pairs = ctc_pairs(example).set_index("patient_id")
    assert set(pairs.index) == {"P1", "P2", "P3", "P4", "P5", "P6", "P8"}
    assert pairs.loc["P1", "change"] == pytest.approx(-0.95)
    assert pairs.loc["P3", "change"] == pytest.approx(1.0)
    assert math.isnan(pairs.loc["P5", "change"])  # nothing to fall from


COUNTED = [
    # key, numerator, denominator, part of the population
    ("ctc_fall", 3, 6, "with CTC before"),  # P1, P2 and P6; P4 falls by 49 %
    ("ctc_favourable", 1, 5, "5 CTC or more before"),  # P1 of P1, P2, P3, P4, P8
]


@pytest.mark.parametrize(("key", "numerator", "n", "population"), COUNTED)
def test_responses_of_the_count(counts: dict[str, Finding], key: str, numerator: int, n: int, population: str) -> None:
    found = counts[key]
    assert (found.numerator, found.n) == (numerator, n)
    assert population in found.population


def test_the_median_change_and_its_paired_test(counts: dict[str, Finding]) -> None:
    pairs = [(c[0], c[2]) for c in (told["counts"] for told in COUNTS.values()) if c[2] is not None]
    change = np.array([after - before for before, after in pairs], dtype=float)
    found = counts["ctc_change"]
    assert found.estimate.value == np.median(change)
    assert found.n == len(pairs) == 7
    ranks = stats.rankdata(np.abs(change[change != 0]))
    sign = np.sign(change[change != 0])
    observed = ranks[sign > 0].sum()
    every = [
        sum(r for r, bit in zip(ranks, format(code, f"0{ranks.size}b"), strict=True) if bit == "1")
        for code in range(2**ranks.size)
    ]
    tail = min(np.mean([e <= observed for e in every]), np.mean([e >= observed for e in every]))
    assert found.p_value == pytest.approx(min(1.0, 2 * tail))


def test_responders_fall_more(counts: dict[str, Finding]) -> None:
    found = counts["ctc_by_response"]
    assert found.estimate.value == 0.0  # both responders fall more than anybody else
    assert found.estimate.low == 0.0
    assert 0 < found.estimate.high < 1
    assert found.p_value == pytest.approx(2 / math.comb(6, 2))


def test_the_ratio_of_counts_has_a_model(counts: dict[str, Finding]) -> None:
    found = counts["ctc_ratio"]
    assert found.unit == "ratio"
    assert found.n == 8
    before, during = ([told["counts"][k] for told in COUNTS.values() if told["counts"][k] is not None] for k in (0, 2))
    assert found.estimate.value == pytest.approx(np.mean(during) / np.mean(before))
    assert 0 < found.estimate.low < found.estimate.value < found.estimate.high
    assert "GEE" in found.estimate.method
    assert "p by swapping visits" in found.estimate.method


def test_ctdna_pairs_the_highest_marker_around_the_dose(example: Study) -> None:
    pairs = ctdna_pairs(example).set_index("patient_id")
    assert pairs["marker"].to_dict() == {"P1": "PIK3CA", "P2": "TP53", "P6": "ESR1", "P8": "ESR1"}
    assert pairs["before"].to_dict() == {"P1": 10.0, "P2": 4.0, "P6": 2.0, "P8": 1.0}
    assert pairs["during"].to_dict() == {"P1": 1.0, "P2": 6.0, "P6": 0.0, "P8": 1.5}


def test_ctdna_figures(example: Study) -> None:
    found = {f.label.key: f for f in ctdna(example)}
    assert found["ctdna_change"].estimate.value == np.median([-9.0, 2.0, -2.0, 0.5])
    assert found["ctdna_change"].unit == "percent"
    assert found["ctdna_change"].n == 4
    fractions = {"P1": 1 / 20, "P2": 2 / 20, "P6": 6 / 20, "P8": 8 / 20}
    oracle = stats.spearmanr([10.0, 4.0, 2.0, 1.0], list(fractions.values()))
    assert found["ctdna_by_fraction"].estimate.value == pytest.approx(oracle.statistic)
    change = stats.spearmanr([-9.0, 2.0, -2.0, 0.5], list(fractions.values()))
    assert found["ctdna_change_by_fraction"].estimate.value == pytest.approx(change.statistic)
    assert found["ctdna_by_response"].estimate.value == 0.0
    assert found["ctdna_by_highest_ratio"].n == 0  # no cells in this run


def test_no_ctdna_is_told(tmp_path: Path) -> None:
    rows: Rows = {"patients": [row("patients", "P1", "2015-01-05", "yes", "yes", "2015-01-20")]}
    found = study(tmp_path, rows, run_of([slide("P1", 9, 9, 1)]))
    (figure,) = ctdna(found)
    assert "Nobody has a sample before" in figure.note
    told = {f.label.key: f for f in ctc_changes(found)}
    assert told["ctc_change"].note == "Nobody is known at both visits."
    assert (told["ctc_fall"].numerator, told["ctc_fall"].n) == (0, 0)
    assert "three patients or more" in told["ctc_ratio"].note


TOXIC = [
    # key, patients
    ("toxicity_any", 4),
    ("toxicity_severe", 3),
    ("toxicity_related", 3),
    ("toxicity_severe_related", 1),
    ("toxicity_fatal", 1),
    ("toxicity_serious", 2),
    ("toxicity_term_Nausea", 2),
    ("toxicity_severe_Nausea", 1),
    ("toxicity_related_Nausea", 2),
    ("toxicity_term_Fatigue", 1),
    ("toxicity_severe_Fatigue", 0),
    ("toxicity_related_Fatigue", 1),
    ("toxicity_term_Anemia", 1),
    ("toxicity_severe_Anemia", 1),
    ("toxicity_related_Anemia", 1),
    ("toxicity_term_Sepsis", 1),
    ("toxicity_severe_Sepsis", 1),
    ("toxicity_related_Sepsis", 0),
]


@pytest.mark.parametrize(("key", "patients"), TOXIC)
def test_toxicity_counts_patients_not_events(example: Study, key: str, patients: int) -> None:
    found = {f.label.key: f for f in toxicity(example)}
    assert set(found) == {name for name, _ in TOXIC}
    assert (found[key].numerator, found[key].n) == (patients, len(COUNTS))
    assert found[key].note == "CTCAE 4.03."


def test_only_events_on_treatment_count(example: Study) -> None:
    events = on_treatment(example)
    assert len(events) == 6
    assert not {"P5", "Q1"} & set(events["patient_id"])


def test_the_worst_grade_of_a_patient_and_term_counts(example: Study) -> None:
    worst = worst_grades(example)
    assert worst.loc["Nausea"].tolist() == [0, 1, 1, 0, 0]
    assert worst.loc["Sepsis"].tolist() == [0, 0, 0, 0, 1]
    assert worst.to_numpy().sum() == 5
    assert worst.columns.tolist() == [1, 2, 3, 4, 5]


def test_no_event_is_no_error(tmp_path: Path) -> None:
    rows: Rows = {"patients": [row("patients", "P1", "2015-01-05", "yes", "yes", "2015-01-20")]}
    found = study(tmp_path, rows, run_of([]))
    assert {f.numerator for f in toxicity(found)} == {0}
    assert {f.note for f in toxicity(found)} == {"No event was reported."}
    assert len(worst_grades(found)) == 0
