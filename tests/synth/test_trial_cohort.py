from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.errors import ConfigError, UsageError
from ctcfish.synth.cohort import CohortSpec
from ctcfish.synth.trial_cohort import cohort_tables, read_any_cohort, simulate_clinical, simulate_tables
from ctcfish.synth.trial_course import after_progression
from ctcfish.synth.trial_run import screen, screened_of
from ctcfish.synth.trial_spec import TableCohort
from ctcfish.trial.read import check_clinical
from ctcfish.trial.run import read_run
from tests.make import run


def test_the_published_margins_hold_exactly() -> None:
    people = screen(TableCohort())
    assert people.patient_id.size == 154
    assert int(people.enumerated.sum()) == 150
    assert int((people.ctc >= 1).sum()) == 118
    assert int((people.amplified >= 1).sum()) == 14
    assert int(people.treated.sum()) == 11
    assert int(people.responder.sum()) == 1
    assert set(np.flatnonzero(people.treated)) <= set(np.flatnonzero(people.amplified))


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_amplified_share_is_small_and_wide(seed: int) -> None:
    people = screen(TableCohort(seed=seed))
    share = (people.amplified / np.maximum(people.evaluable, 1))[people.amplified > 0]
    assert 0.010 <= np.median(share) <= 0.024  # published: 1.6 % (0.3 to 35.3)
    assert share.min() >= 0.001
    assert share.max() <= 0.5


def test_five_ctc_or_more_in_as_many_as_published() -> None:
    people = screen(TableCohort(patients=20_000))
    assert (people.ctc[people.enumerated] >= 5).mean() == pytest.approx(86 / 150, abs=0.015)
    assert (people.ctc[people.enumerated] >= 1).mean() == pytest.approx(0.787, abs=0.001)
    share = (people.amplified / np.maximum(people.evaluable, 1))[people.amplified > 0]
    assert np.median(share) == pytest.approx(0.016, rel=0.1)


def test_calls_follow_their_counts_and_sum_to_the_slides() -> None:
    run_frames, _ = cohort_tables(TableCohort(patients=300, seed=4))
    cells, slides = run_frames["cells"], run_frames["slides"]
    counted = cells[cells["call"] != "not_evaluable"]
    passes = 5 * counted["her2_count"] >= 11 * counted["cep17_count"]
    assert ((counted["call"] == "amplified") == passes).all()
    assert counted.loc[passes, "ratio"].min() > 2.2
    for column, call in (("n_amplified", ["amplified"]), ("n_evaluable", ["amplified", "not_amplified"])):
        per_slide = cells[cells["call"].isin(call)].groupby("slide_id").size()
        wanted = slides.set_index("slide_id")[column].fillna(0).astype(int)
        assert wanted[wanted > 0].to_dict() == per_slide.to_dict()
    guarded = cells[cells["call_guarded"] == "amplified"]
    assert ((guarded["cep17_count"] >= 2) | (guarded["her2_count"] >= 4)).all()
    assert cells["cell_id"].is_unique
    tables.CELLS.check(cells.assign(reason_guarded=None))


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulate_tables(TableCohort(patients=40, seed=seed), tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.csv"))
    assert len(files) == 9
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a" / "cells.csv").read_bytes() != (tmp_path / "c" / "cells.csv").read_bytes()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_written_has_no_problem(tmp_path: Path, seed: int) -> None:
    simulate_tables(TableCohort(patients=600, seed=seed), tmp_path / "c")
    clinical, problems = check_clinical(tmp_path / "c" / "clinical")
    assert problems == []
    assert len(clinical.patients) == 600
    again = read_run(tmp_path / "c")
    assert len(again.slides) == 600
    assert again.slides["technical_code"].value_counts().keys().isin(["S1", "S2", "S4", "S5"]).all()


@pytest.mark.parametrize(("pfs", "os"), [(146.1, 289.2), (100.0, 101.0), (30.0, 900.0)])
def test_median_survival_is_as_asked(pfs: float, os: float) -> None:
    rng = np.random.default_rng(5)
    both = rng.exponential(pfs / np.log(2), 200_000) + rng.exponential(after_progression(pfs, os), 200_000)
    assert np.median(both) == pytest.approx(os, rel=0.02)


def test_ten_thousand_patients_cost_seconds() -> None:
    start = time.process_time()
    run_frames, clinical = cohort_tables(TableCohort(patients=10_000))
    assert time.process_time() - start < 30
    assert len(clinical["patients"]) == len(run_frames["patients"]) == 10_000


def test_the_command_writes_tables_where_the_spec_says_so(tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text('level = "tables"\npatients = 30\n', encoding="utf-8")
    assert run("simulate", "cohort", spec, "--out", tmp_path / "out") == 0
    assert len(pd.read_csv(tmp_path / "out" / "patients.csv")) == 30
    assert run("simulate", "cohort", spec, "--out", tmp_path / "out") == 2
    with pytest.raises(UsageError, match="exists already"):
        simulate_tables(TableCohort(), tmp_path / "out")


def test_both_kinds_of_cohort_are_read(tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text("patients = 3\n", encoding="utf-8")
    assert isinstance(read_any_cohort(spec), CohortSpec)
    spec.write_text('level = "tables"\n', encoding="utf-8")
    assert read_any_cohort(spec) == TableCohort()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("os_median_months = 4.0", "death follows progression"),
        ("amplified_median = 0.5", "amplified_range must hold"),
        ("patients = 0", "greater than or equal to 1"),
        ("colour = 1", "Extra inputs"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text(f'level = "tables"\n{text}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_any_cohort(spec)


def test_a_cohort_without_positives_is_a_cohort(tmp_path: Path) -> None:
    simulate_tables(TableCohort(patients=20, positive_share=0.0), tmp_path / "c")
    clinical, problems = check_clinical(tmp_path / "c" / "clinical")
    assert problems == []
    assert len(clinical.tumours) == len(clinical.survival) == 0
    assert read_run(tmp_path / "c").patients["n_amplified"].fillna(0).sum() == 0


def slides_of(*rows: tuple[str, int | None, int, int, str | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["patient_id", "n_ctc", "n_evaluable", "n_amplified", "technical_code"])
    frame = frame.assign(slide_id=[f"S{i}" for i in range(len(frame))], preset="circe_tdm1", n_nuclei=9, flags="")
    return tables.SLIDES.check(frame)


SLIDES = slides_of(
    ("P1", 9, 8, 2, None),
    ("P2", 30, 20, 0, None),
    ("P2", 10, 10, 4, None),
    ("P3", 0, 0, 0, "S2"),
    ("P4", None, 0, 0, "S1"),
    ("P5", 12, 12, 1, None),
)


def test_the_patients_of_a_run_are_screened_as_they_are() -> None:
    people = screened_of(SLIDES, TableCohort(treated_share=1.0, response_share=1 / 3))
    assert people.patient_id.tolist() == ["P1", "P2", "P3", "P4", "P5"]
    assert people.ctc.tolist() == [9, 40, 0, -1, 12]
    assert people.amplified.tolist() == [2, 4, 0, 0, 1]
    assert people.enumerated.tolist() == [True, True, True, False, True]
    assert people.treated.tolist() == [True, True, False, False, True]
    assert people.responder.sum() == 1


def test_a_run_gets_a_clinical_course_without_problems(tmp_path: Path) -> None:
    simulate_clinical(SLIDES, TableCohort(treated_share=1.0), tmp_path / "clinical")
    clinical, problems = check_clinical(tmp_path / "clinical")
    assert problems == []
    assert clinical.patients["patient_id"].tolist() == ["P1", "P2", "P3", "P4", "P5"]
    assert set(clinical.survival["patient_id"]) == {"P1", "P2", "P5"}
    assert clinical.visits["visit"].nunique() >= 2
    with pytest.raises(UsageError, match="exists already"):
        simulate_clinical(SLIDES, TableCohort(), tmp_path / "clinical")


def two_visits() -> pd.DataFrame:
    """The same patients with a second slide at cycle 3, a repeated scan and a control."""
    first = SLIDES.assign(visit="screening")
    later = first.assign(slide_id=[f"L{i}" for i in range(len(first))], visit="cycle_3", n_ctc=3, n_amplified=9)
    again = first.head(1).assign(slide_id="R1", replicate_of="S0", n_amplified=7)
    control = first.head(1).assign(slide_id="C1", patient_id="control", control="cells")
    return tables.SLIDES.check(pd.concat([first, later.drop_duplicates("patient_id"), again, control]))


def test_later_slides_and_repeats_screen_nobody(tmp_path: Path) -> None:
    slides = two_visits()
    first = screened_of(slides[slides["visit"] == "screening"], TableCohort(treated_share=1.0))
    assert first.amplified.tolist() == [2, 4, 0, 0, 1]
    assert "control" not in first.patient_id
    simulate_clinical(slides, TableCohort(treated_share=1.0), tmp_path / "clinical")
    clinical, problems = check_clinical(tmp_path / "clinical")
    assert problems == []
    assert set(clinical.survival["patient_id"]) == {"P1", "P2", "P5"}


@pytest.mark.parametrize("seed", range(6))
def test_counts_of_scanned_visits_are_left_to_the_run(tmp_path: Path, seed: int) -> None:
    cohort = TableCohort(treated_share=1.0, seed=seed, pfs_median_months=0.1, os_median_months=0.2)
    simulate_clinical(two_visits(), cohort, tmp_path / "clinical")
    clinical, problems = check_clinical(tmp_path / "clinical")
    assert problems == []  # nobody dies before a visit that was scanned
    visits = clinical.visits.set_index(["patient_id", "visit"])
    for patient in ("P1", "P2", "P3", "P4", "P5"):
        assert pd.isna(visits.loc[(patient, "screening"), "ctc_per_7_5_ml"])
        assert pd.isna(visits.loc[(patient, "cycle_3"), "ctc_per_7_5_ml"])
    assert visits.loc[("P4", "screening"), "sample_status"] == "enumeration_failed"
    simulated = visits[visits.index.get_level_values("visit") == "cycle_2"]
    assert simulated["ctc_per_7_5_ml"].notna().all()
    dated = clinical.visits.merge(clinical.survival, on="patient_id")
    assert (dated["death_date"].isna() | (dated["visit_date"] <= dated["death_date"])).all()


def test_the_command_takes_a_run_to_clinical_tables(tmp_path: Path) -> None:
    simulate_tables(TableCohort(patients=40), tmp_path / "run")
    assert run("trial", "simulate", tmp_path / "run", "--out", tmp_path / "clinical", "--seed", 3) == 0
    assert run("trial", "check", "--clinical", tmp_path / "clinical") == 0
    assert run("trial", "simulate", tmp_path / "run", "--out", tmp_path / "clinical") == 2
    assert run("trial", "simulate", tmp_path / "nowhere", "--out", tmp_path / "other") == 3
