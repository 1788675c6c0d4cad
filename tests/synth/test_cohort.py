"""Cohorts: who is positive, with how many cells, and a folder that reads as a study."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctcfish.errors import ConfigError, UsageError
from ctcfish.io.study import study_slides
from ctcfish.synth import CohortSpec, SlideSpec, read_cohort, simulate_cohort
from ctcfish.synth.cohort import CohortSlide, cohort_slides
from ctcfish.synth.population import populate
from ctcfish.synth.spec import AMPLIFIED, FishScan, Population

TINY = SlideSpec(
    with_if=False,
    population=Population(leukocytes=2, touching_pairs=0),
    fish=FishScan(shape_px=(260, 260), planes=1),
)


def amplified(spec: SlideSpec) -> int:
    return round(sum(n for c, n in spec.population.ctc_mix.items() if c in AMPLIFIED))


def test_names_and_seeds_are_unique() -> None:
    slides = [slide.spec for slide in cohort_slides(CohortSpec(patients=40))]
    assert (
        len({s.slide_id for s in slides}) == len({s.patient_id for s in slides}) == len({s.seed for s in slides}) == 40
    )
    assert slides[0].slide_id == "P0001-S1"


def test_same_seed_same_cohort() -> None:
    assert cohort_slides(CohortSpec(patients=5)) == cohort_slides(CohortSpec(patients=5))
    assert cohort_slides(CohortSpec(patients=5)) == cohort_slides(CohortSpec(patients=9))[:5]
    assert cohort_slides(CohortSpec(patients=5, seed=2)) != cohort_slides(CohortSpec(patients=5))


def test_shares_and_numbers_follow_the_specification() -> None:
    cohort = CohortSpec(patients=2000, positive_share=0.3, amplified_share=(0.1, 0.4), ctc_median=10, ctc_max=60)
    slides = cohort_slides(cohort)
    shares = np.array([slide.amplified_share for slide in slides])
    n_ctc = np.array([slide.spec.population.ctc for slide in slides])
    assert (shares > 0).mean() == pytest.approx(0.3, abs=0.04)
    assert shares[shares > 0].min() >= 0.1
    assert shares.max() <= 0.4
    assert np.median(n_ctc) == pytest.approx(10, abs=1)
    assert n_ctc.max() == 60
    n_amplified = np.array([amplified(slide.spec) for slide in slides])
    assert (n_amplified[shares == 0] == 0).all()
    expected = (shares * n_ctc)[shares > 0].sum()
    assert n_amplified.sum() == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize("seed", range(4))
def test_drawn_cells_are_those_of_the_mix(seed: int) -> None:
    wide = SlideSpec(population=Population(leukocytes=0, touching_pairs=0))
    for slide in cohort_slides(CohortSpec(patients=4, seed=seed, positive_share=1.0, slide=wide)):
        drawn = [c.copy_class for c in populate(slide.spec)]
        assert len(drawn) == slide.spec.population.ctc
        assert sum(c in AMPLIFIED for c in drawn) == amplified(slide.spec)


def test_mix_without_amplified_classes_still_has_positive_patients() -> None:
    plain = SlideSpec(population=Population(ctc_mix={"diploid": 1}))
    slides = cohort_slides(
        CohortSpec(patients=20, positive_share=1.0, amplified_share=(0.9, 1.0), ctc_median=5, slide=plain)
    )
    assert sum(spec.population.ctc_mix.get("amplified_dispersed", 0) for spec in (slide.spec for slide in slides)) > 30


def test_study_folder(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    cohort = CohortSpec(patients=3, positive_share=1.0, amplified_share=(0.5, 0.6), ctc_max=4, slide=TINY)
    out = simulate_cohort(cohort, tmp_path / "study", lambda *step: told.append(step))
    assert told == [("P0001-S1", 1, 3), ("P0002-S1", 2, 3), ("P0003-S1", 3, 3)]
    assert [ref.slide_id for ref in study_slides(out)] == ["P0001-S1", "P0002-S1", "P0003-S1"]
    truth = pd.read_csv(out / "truth.csv")
    assert list(truth.columns) == ["slide_id", "patient_id", "visit", "amplified_share", "n_ctc", "n_amplified"]
    for row, slide in zip(truth.itertuples(), cohort_slides(cohort), strict=True):
        assert (row.n_ctc, row.n_amplified) == (slide.spec.population.ctc, amplified(slide.spec))
        assert row.amplified_share == pytest.approx(slide.amplified_share, abs=1e-4)
        assert (out / row.slide_id / "truth" / "cells.csv").is_file()


TWICE = CohortSpec(
    patients=400, visits=("screening", "cycle_3"), positive_share=0.5, ctc_median=20, ctc_max=400, rescans=3, seed=4
)


def by_patient(cohort: CohortSpec) -> list[list[CohortSlide]]:
    first = [slide for slide in cohort_slides(cohort) if not slide.replicate_of]
    return [list(own) for _, own in groupby(first, key=lambda slide: slide.spec.patient_id)]


def test_every_patient_is_seen_at_every_visit() -> None:
    patients = by_patient(TWICE)
    assert len(patients) == 400
    for number, (before, during) in enumerate(patients, start=1):
        assert [before.visit, during.visit] == ["screening", "cycle_3"]
        assert [before.spec.slide_id, during.spec.slide_id] == [f"P{number:04d}-S1", f"P{number:04d}-S2"]
        assert before.amplified_share == during.amplified_share
        assert before.spec.seed != during.spec.seed  # other cells


def test_a_later_visit_has_its_own_number_of_ctc() -> None:
    many = TWICE.model_copy(update={"ctc_median": 300.0, "ctc_log_sd": 0.2, "ctc_max": 10_000})
    counts = np.array([[slide.spec.population.ctc for slide in own] for own in by_patient(many)], dtype=float)
    ratio = np.log(counts[:, 1] / counts[:, 0])
    assert np.median(ratio) == pytest.approx(np.log(0.6), abs=0.12)
    assert ratio.std() == pytest.approx(0.7, abs=0.08)


def test_first_visits_do_not_hang_on_later_ones() -> None:
    alone = cohort_slides(CohortSpec(patients=6))
    assert tuple(own[0] for own in by_patient(CohortSpec(patients=6, visits=("screening", "b", "c")))) == alone


def test_a_slide_scanned_again_is_the_same_slide() -> None:
    slides = {slide.spec.slide_id: slide for slide in cohort_slides(TWICE)}
    again = [slide for slide in slides.values() if slide.replicate_of]
    assert [slide.spec.slide_id for slide in again] == ["P0001-S1-R2", "P0002-S1-R2", "P0003-S1-R2"]
    for slide in again:
        first = slides[slide.replicate_of]
        assert slide.visit == first.visit == "screening"
        assert (slide.spec.seed, slide.spec.population) == (first.spec.seed, first.spec.population)
        assert slide.spec.fish.scan == 2
        assert slide.spec.signals.photons != first.spec.signals.photons


def test_the_sheet_names_visits_and_repeats(tmp_path: Path) -> None:
    cohort = CohortSpec(patients=2, visits=("screening", "cycle_3"), rescans=1, ctc_max=2, slide=TINY)
    refs = study_slides(simulate_cohort(cohort, tmp_path / "study"))
    told = [(ref.slide_id, ref.row["patient_id"], ref.row["visit"], ref.row["replicate_of"]) for ref in refs]
    assert told == [
        ("P0001-S1", "P0001", "screening", ""),
        ("P0001-S2", "P0001", "cycle_3", ""),
        ("P0002-S1", "P0002", "screening", ""),
        ("P0002-S2", "P0002", "cycle_3", ""),
        ("P0001-S1-R2", "P0001", "screening", "P0001-S1"),
    ]


def test_what_an_interrupted_run_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".study.part" / "P0001-S1").mkdir(parents=True)
    out = simulate_cohort(CohortSpec(patients=1, ctc_max=1, slide=TINY), tmp_path / "study")
    assert (out / "study.csv").is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["study"]


def test_existing_folder_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already; choose another output folder"):
        simulate_cohort(CohortSpec(patients=1), tmp_path)
    assert not list(tmp_path.iterdir())


def test_reads_toml(tmp_path: Path) -> None:
    path = tmp_path / "cohort.toml"
    path.write_text("patients = 4\n[slide.fish]\nplanes = 2\n", encoding="utf-8")
    cohort = read_cohort(path)
    assert (cohort.patients, cohort.slide.fish.planes) == (4, 2)
    path.write_text("patient = 4\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cohort.toml: patient: Extra inputs .* The keys are those of CohortSpec"):
        read_cohort(path)
