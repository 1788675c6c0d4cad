"""Cohorts: who is positive, with how many cells, and a folder that reads as a study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctcfish.errors import ConfigError, UsageError
from ctcfish.io.study import study_slides
from ctcfish.synth import CohortSpec, SlideSpec, read_cohort, simulate_cohort
from ctcfish.synth.cohort import patient_slides
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
    slides = [spec for spec, _ in patient_slides(CohortSpec(patients=40))]
    assert (
        len({s.slide_id for s in slides}) == len({s.patient_id for s in slides}) == len({s.seed for s in slides}) == 40
    )
    assert slides[0].slide_id == "P0001-S1"


def test_same_seed_same_cohort() -> None:
    assert patient_slides(CohortSpec(patients=5)) == patient_slides(CohortSpec(patients=5))
    assert patient_slides(CohortSpec(patients=5)) == patient_slides(CohortSpec(patients=9))[:5]
    assert patient_slides(CohortSpec(patients=5, seed=2)) != patient_slides(CohortSpec(patients=5))


def test_shares_and_numbers_follow_the_specification() -> None:
    cohort = CohortSpec(patients=2000, positive_share=0.3, amplified_share=(0.1, 0.4), ctc_median=10, ctc_max=60)
    slides = patient_slides(cohort)
    shares = np.array([share for _, share in slides])
    n_ctc = np.array([spec.population.ctc for spec, _ in slides])
    assert (shares > 0).mean() == pytest.approx(0.3, abs=0.04)
    assert shares[shares > 0].min() >= 0.1
    assert shares.max() <= 0.4
    assert np.median(n_ctc) == pytest.approx(10, abs=1)
    assert n_ctc.max() == 60
    n_amplified = np.array([amplified(spec) for spec, _ in slides])
    assert (n_amplified[shares == 0] == 0).all()
    expected = (shares * n_ctc)[shares > 0].sum()
    assert n_amplified.sum() == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize("seed", range(4))
def test_drawn_cells_are_those_of_the_mix(seed: int) -> None:
    wide = SlideSpec(population=Population(leukocytes=0, touching_pairs=0))
    for spec, _ in patient_slides(CohortSpec(patients=4, seed=seed, positive_share=1.0, slide=wide)):
        drawn = [c.copy_class for c in populate(spec)]
        assert len(drawn) == spec.population.ctc
        assert sum(c in AMPLIFIED for c in drawn) == amplified(spec)


def test_mix_without_amplified_classes_still_has_positive_patients() -> None:
    plain = SlideSpec(population=Population(ctc_mix={"diploid": 1}))
    slides = patient_slides(
        CohortSpec(patients=20, positive_share=1.0, amplified_share=(0.9, 1.0), ctc_median=5, slide=plain)
    )
    assert sum(spec.population.ctc_mix.get("amplified_dispersed", 0) for spec, _ in slides) > 30


def test_study_folder(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    cohort = CohortSpec(patients=3, positive_share=1.0, amplified_share=(0.5, 0.6), ctc_max=4, slide=TINY)
    out = simulate_cohort(cohort, tmp_path / "study", lambda *step: told.append(step))
    assert told == [("P0001-S1", 1, 3), ("P0002-S1", 2, 3), ("P0003-S1", 3, 3)]
    assert [ref.slide_id for ref in study_slides(out)] == ["P0001-S1", "P0002-S1", "P0003-S1"]
    truth = pd.read_csv(out / "truth.csv")
    assert list(truth.columns) == ["slide_id", "patient_id", "amplified_share", "n_ctc", "n_amplified"]
    for row, (spec, share) in zip(truth.itertuples(), patient_slides(cohort), strict=True):
        assert (row.n_ctc, row.n_amplified) == (spec.population.ctc, amplified(spec))
        assert row.amplified_share == pytest.approx(share, abs=1e-4)
        assert (out / row.slide_id / "truth" / "cells.csv").is_file()


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
